"""Estimates, and how tables are given to programs and to people."""

from __future__ import annotations

import json

import pytest

from tests.topo_sweep.paper.compare_rows import (
    T_975,
    four_methods,
    known_cells,
    source,
)
from topo_sweep.paper.compare import Compared, compare
from topo_sweep.paper.records import estimate, to_records


def test_an_estimate_has_the_t_interval_of_a_calculation_by_hand() -> None:
    ours = estimate([90.0, 92.0, 94.0])

    assert ours is not None
    assert (ours.n, ours.mean, ours.sd) == (3, 92.0, 2.0)
    half = T_975[2] * 2.0 / 3**0.5
    assert (ours.low, ours.high) == pytest.approx((92 - half, 92 + half), rel=1e-6)


def test_the_p_value_is_five_percent_where_the_interval_ends_at_zero() -> None:
    ours = estimate([1 - 1 / T_975[1], 1 + 1 / T_975[1]])  # mean 1, half width 1

    assert ours is not None
    assert ours.low == pytest.approx(0, abs=1e-6)
    assert ours.p_value == pytest.approx(0.05, abs=1e-6)


def test_one_value_has_no_spread_none_no_estimate_and_equal_ones_a_point() -> None:
    single, equal = estimate([3.0]), estimate([3.0, 3.0])

    assert estimate([]) is None
    assert single is not None
    assert (single.n, single.sd, single.low, single.p_value) == (1, None, None, None)
    assert equal is not None
    assert (equal.low, equal.high, equal.p_value) == (3, 3, 0)


def everything() -> Compared:
    return compare([source(*four_methods()), source(known_cells(), name="known")])


def test_records_are_flat_json_that_carries_setting_and_differences() -> None:
    records = to_records(everything().tables)

    assert json.loads(json.dumps(records, allow_nan=False)) == records
    assert len({tuple(record) for record in records}) == 1
    first = records[0]
    assert (first["table"], first["row"], first["n"], first["paper"]) == ("2", "DARTS", 2, "90.25")
    assert first["difference"] == pytest.approx(first["ours"] - 90.25)
    assert "protocol shallow" in first["setting"]


def test_the_text_shows_percent_with_two_decimals_and_the_papers_number_as_printed() -> None:
    *lines, _missing = everything().text.splitlines()
    (line,) = (text for text in lines if text.split()[:1] == ["PC_DARTS"] and "93.0" in text)

    assert line.split() == ["PC_DARTS", "1", "93.00", "-", "-", "93.0", "+0.00"]
    assert max(map(len, lines)) <= 140
