"""Which row of a trial counts."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topo_sweep.store.precedence import STATUSES, by_time, merged, preferred

ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(STATUSES)), min_size=1)


def frame(rows: list[tuple[str, str]]) -> pd.DataFrame:
    """Return rows of a key and a status, numbered in their order."""
    return pd.DataFrame(rows, columns=["key", "status"]).assign(number=range(len(rows)))


@given(ROWS)
def test_ok_counts_before_diverged_before_failed_then_the_first(
    rows: list[tuple[str, str]],
) -> None:
    counted = preferred(frame(rows), "key").set_index("key")

    assert set(counted.index) == {key for key, _ in rows}
    for key, row in counted.iterrows():
        statuses = [status for name, status in rows if name == key]
        best = min(statuses, key=["ok", "diverged", "failed"].index)
        assert row["status"] == best
        assert row["number"] == rows.index((str(key), best))


@given(ROWS, ROWS)
def test_rows_of_several_sweeps_keep_their_order(
    first: list[tuple[str, str]], second: list[tuple[str, str]]
) -> None:
    rows = merged([frame(first), frame(second)], "key")

    both = frame([*first, *second])
    assert rows["key"].is_unique
    expected = preferred(both, "key").sort_values("number")
    assert list(zip(rows["key"], rows["status"], strict=True)) == list(
        zip(expected["key"], expected["status"], strict=True)
    )
    assert list(rows.index) == list(range(len(rows)))


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abcdef")), unique_by=lambda r: r[1]))
def test_rows_come_by_time_then_by_key(rows: list[tuple[int, str]]) -> None:
    times = pd.Series([minute for minute, _ in rows], dtype="datetime64[us, UTC]")
    shuffled = pd.DataFrame({"finished_at": times, "key": [key for _, key in rows]})

    ordered = by_time(shuffled, "key")

    assert list(ordered["key"]) == [key for _, key in sorted(rows)]
    assert list(ordered.index) == list(range(len(rows)))


def test_no_sweep_has_no_rows() -> None:
    assert merged([], "key").empty


@pytest.mark.parametrize("status", STATUSES)
def test_the_rows_that_are_given_stay_as_they_are(status: str) -> None:
    given_rows = frame([("a", "failed"), ("a", status)])
    before = given_rows.copy()

    merged([given_rows, given_rows], "key")

    pd.testing.assert_frame_equal(given_rows, before)
