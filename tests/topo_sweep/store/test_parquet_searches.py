"""The store's promises for searches: those for trials, and neither table disturbs the other."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import topo_sweep.store.parts
from tests.topo_sweep.runs.search_run import search_curve_of, stored_search
from tests.topo_sweep.store.local_store import ids, make_store, parts
from tests.topo_sweep.store.store_contract import Ended, best, histories
from tests.topo_sweep.store.store_rows import ON_DISK, T0, append, trial_row
from topo_sweep.store.parquet import ResultStore, Row
from topo_sweep.store.parts import StoreError
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import SEARCH_EPOCH_SCHEMA, SEARCH_SCHEMA, SEARCHES, TABLES

FEW = settings(ON_DISK, max_examples=5)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return make_store(tmp_path / "sweep")


def append_searches(store: ResultStore, rows: Sequence[Row]) -> None:
    """Append searches with their curves."""
    store.append(rows, [epoch for row in rows for epoch in search_curve_of(row)], table=SEARCHES)


def search_ids(store: ResultStore) -> list[str]:
    return list(store.searches()["search_id"])


def ended_search(ended: Ended) -> dict[str, Any]:
    """Return the row of an attempt: no two have the same loss or the same number of epochs."""
    return stored_search(
        ended.trial_id,
        status=ended.status,
        finished_at=T0 + timedelta(minutes=ended.minute),
        train_loss=float(ended.minute),
        epochs=ended.minute % 4,
        attempt=ended.minute + 1,
    )


def replay(store: ResultStore, history: list[list[Ended] | None]) -> list[Ended]:
    """Append searches and compact as the history says; return what was appended."""
    for step in history:
        if step is None:
            store.compact()
        else:
            append_searches(store, [ended_search(attempt) for attempt in step])
    return [attempt for step in history if step is not None for attempt in step]


def everything(store: ResultStore) -> list[pd.DataFrame]:
    return [store.searches(), store.search_epochs(), store.trials(), store.epochs()]


def check_unchanged(store: ResultStore, before: list[pd.DataFrame]) -> None:
    for now, then in zip(everything(store), before, strict=True):
        pd.testing.assert_frame_equal(now, then)


# Reading what was written


def test_an_empty_store_reads_as_no_searches_of_the_documented_columns(store: ResultStore) -> None:
    assert store.searches().empty
    assert store.search_epochs().empty
    assert list(store.searches().columns) == SEARCH_SCHEMA.names
    assert list(store.search_epochs().columns) == SEARCH_EPOCH_SCHEMA.names
    assert store.newest_row() is None
    assert store.attempts() == {}


@FEW
@given(data=st.data())
def test_every_value_of_a_search_survives_being_stored(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    number = st.none() | st.integers(-(2**63), 2**63 - 1)
    fraction = st.none() | st.floats(0, 1)
    written = [
        stored_search(
            search_id,
            topology=data.draw(number),
            images=data.draw(number),
            peak_memory_bytes=data.draw(number),
            stopped_early=data.draw(st.none() | st.booleans()),
            genotype=data.draw(st.none() | st.text()),
            train_loss=data.draw(st.none() | st.floats()),
            alpha_accuracy=data.draw(fraction),
            val_accuracy=data.draw(fraction),
            finished_at=T0 + data.draw(st.timedeltas(timedelta(-999), timedelta(9999))),
        )
        for search_id in "ab"
    ]
    store = make_store(tmp_path_factory.mktemp("sweep"))
    append_searches(store, written)

    read = store.searches().set_index("search_id")
    for row in written:
        for column, value in row.items():
            if column != "search_id":
                stored = read.loc[row["search_id"], column]
                missing = value is None or value != value  # noqa: PLR0124 - only NaN differs
                assert pd.isna(stored) if missing else stored == value, column


def test_rows_and_curves_of_searches_are_made_up_of_all_columns() -> None:
    row = stored_search()
    assert list(row) == SEARCH_SCHEMA.names
    assert list(search_curve_of(row)[0]) == SEARCH_EPOCH_SCHEMA.names


@FEW
@given(history=histories())
def test_a_search_is_its_ok_row_before_diverged_before_failed_then_the_earliest_with_its_curve(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[Ended] | None]
) -> None:
    store = make_store(tmp_path_factory.mktemp("sweep"))
    chosen = best(replay(store, history))

    rows = store.searches()
    assert rows["search_id"].is_unique
    assert {
        row["search_id"]: Ended(row["search_id"], row["status"], round(row["train_loss"]))
        for row in rows.to_dict("records")
    } == chosen
    epochs = store.search_epochs()
    for search_id, ended in chosen.items():
        curve = epochs[epochs["search_id"] == search_id]
        assert list(curve["epoch"]) == list(range(ended.minute % 4))
        assert set(curve["train_loss"]) <= {float(ended.minute)}
    assert set(epochs["search_id"]) <= set(chosen)


@pytest.mark.slow
@FEW
@given(history=histories(), data=st.data())
def test_appending_the_same_searches_again_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[list[Ended] | None],
    data: st.DataObject,
) -> None:
    store = make_store(tmp_path_factory.mktemp("sweep"))
    written = replay(store, history)
    before = everything(store)

    if written:
        again = data.draw(st.lists(st.sampled_from(written)))
        append_searches(store, [ended_search(attempt) for attempt in again])

    check_unchanged(store, before)


@pytest.mark.slow
@FEW
@given(history=histories())
def test_compaction_changes_nothing_in_either_table(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[Ended] | None]
) -> None:
    store = make_store(tmp_path_factory.mktemp("sweep"))
    for trial_id in "xy":
        append(store, [trial_row(trial_id)])
    replay(store, history)
    before, newest, attempts = everything(store), store.newest_row(), store.attempts()

    store.compact()

    check_unchanged(store, before)
    assert (store.newest_row(), store.attempts()) == (newest, attempts)
    for table in TABLES.values():
        for name in (table.name, table.curve_name):
            assert len(parts(store.paths.part_folder(name))) <= 1


def test_parts_stay_few_however_many_searches_are_appended(store: ResultStore) -> None:
    for number in range(34):
        append_searches(store, [stored_search(f"{number:02d}", epochs=1)])

    assert len(parts(store.paths.part_folder("searches"))) < 33
    assert search_ids(store) == [f"{number:02d}" for number in range(34)]
    assert list(store.search_epochs()["search_id"]) == search_ids(store)


def test_searches_and_trials_of_one_id_are_rows_of_their_own(store: ResultStore) -> None:
    append(store, [trial_row("same", train_loss=1.0)])
    append_searches(store, [stored_search("same", train_loss=2.0)])

    assert list(store.trials()["train_loss"]) == [1.0]
    assert list(store.searches()["train_loss"]) == [2.0]
    assert set(store.epochs()["train_loss"]) == {1.0}
    assert set(store.search_epochs()["train_loss"]) == {2.0}


# Both tables together


@pytest.mark.parametrize(("trial_minute", "search_minute"), [(3, 9), (9, 3)])
def test_the_newest_row_is_that_of_either_table(
    store: ResultStore, trial_minute: int, search_minute: int
) -> None:
    append(store, [trial_row(finished_at=T0 + timedelta(minutes=trial_minute))])
    append_searches(store, [stored_search(finished_at=T0 + timedelta(minutes=search_minute))])

    assert store.newest_row() == T0 + timedelta(minutes=9)


def test_the_newest_row_may_be_a_searchs_where_nothing_is_evaluated_yet(
    store: ResultStore,
) -> None:
    append_searches(store, [stored_search()])

    assert store.newest_row() == T0


def test_attempts_are_the_last_ones_at_trials_and_searches_alike(store: ResultStore) -> None:
    for attempt, status in ((1, "ok"), (2, "failed"), (3, "failed")):
        finished_at = T0 + timedelta(minutes=attempt)
        values = {"attempt": attempt, "status": status, "finished_at": finished_at}
        append_searches(store, [stored_search("search", **values)])
        if attempt < 3:
            append(store, [trial_row("trial", **values)])

    assert store.attempts() == {"search": 3, "trial": 2}


# Old stores


def test_a_store_from_before_there_were_searches_has_none(store: ResultStore) -> None:
    append(store, [trial_row("old")])
    append(store, [trial_row("old 2")])
    for name in ("searches", "search_epochs"):
        assert not store.paths.part_folder(name).exists(), "made only with the first search"

    assert store.searches().empty
    assert store.search_epochs().empty
    assert store.newest_row() == T0
    assert store.attempts() == {"old": 1, "old 2": 1}
    store.compact()
    assert set(ids(store)) == {"old", "old 2"}


def test_searches_can_be_added_to_a_store_from_before_there_were_any(store: ResultStore) -> None:
    append(store, [trial_row("old")])
    for name in ("searches", "search_epochs"):
        shutil.rmtree(store.paths.part_folder(name), ignore_errors=True)

    append_searches(store, [stored_search("new")])

    assert (ids(store), search_ids(store)) == (["old"], ["new"])
    assert len(store.search_epochs()) == 2


def test_columns_that_older_parts_of_searches_lack_read_as_null(store: ResultStore) -> None:
    folder = store.paths.part_folder("searches")
    folder.mkdir()
    lacking = ["alpha_step_seconds", "peak_memory_bytes", "stopped_early"]
    old = pa.Table.from_pylist([stored_search("old")], SEARCH_SCHEMA).drop_columns(lacking)
    pq.write_table(old, folder / "part-0.parquet")
    append_searches(store, [stored_search("new")])

    for _ in range(2):
        searches = store.searches().set_index("search_id")
        assert searches.loc["old", lacking].isna().all()
        assert searches.loc["new", "peak_memory_bytes"] == 10**9
        assert str(searches["peak_memory_bytes"].dtype) == "Int64"
        store.compact()


def test_a_damaged_part_of_searches_is_named_with_advice(store: ResultStore) -> None:
    append_searches(store, [stored_search()])
    (part,) = parts(store.paths.part_folder("searches"))
    part.write_bytes(b"no Parquet at all")

    for read in (store.searches, store.newest_row, store.attempts):
        with pytest.raises(StoreError) as failure:
            read()
        assert str(failure.value).startswith(f"{part} is damaged")
        assert "check" in str(failure.value)


# Crashes


class CrashError(BaseException):
    """The process ends here."""


def crash_at(patch: pytest.MonkeyPatch, target: str, number: int) -> None:
    """End the process before the call of `target` with this number."""
    where: Any = Path if target == "unlink" else topo_sweep.store.parts
    call, calls = getattr(where, target), itertools.count()

    def crashing(*arguments: Any, **options: Any) -> Any:
        if next(calls) == number:
            raise CrashError
        return call(*arguments, **options)

    patch.setattr(where, target, crashing)


@pytest.mark.parametrize("number", [0, 1])
def test_a_crash_between_the_parts_of_an_append_shows_none_of_its_searches(
    store: ResultStore, number: int
) -> None:
    append_searches(store, [stored_search("before")])
    before = everything(store)
    with pytest.MonkeyPatch.context() as patch:
        crash_at(patch, "write_durably", number)
        with pytest.raises(CrashError):
            append_searches(store, [stored_search("a"), stored_search("b")])

    check_unchanged(store, before)

    append_searches(store, [stored_search("a"), stored_search("b")])
    assert set(search_ids(store)) == {"before", "a", "b"}
    assert len(store.search_epochs()) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "number"),
    [("write_durably", 0), ("write_durably", 3), ("unlink", 0), ("unlink", 5)],
)
def test_a_crash_at_any_step_of_a_compaction_changes_nothing(
    store: ResultStore, target: str, number: int
) -> None:
    for name in "abc":
        append(store, [trial_row(name)])
        append_searches(store, [stored_search(name)])
    before = everything(store)
    with pytest.MonkeyPatch.context() as patch:
        crash_at(patch, target, number)
        with pytest.raises(CrashError):
            store.compact()

    check_unchanged(store, before)
    store.compact()
    check_unchanged(store, before)


def test_an_append_with_a_search_that_does_not_fit_shows_none_of_its_rows(
    store: ResultStore,
) -> None:
    with pytest.raises(ValueError, match="method"):
        append_searches(store, [stored_search("good"), stored_search("bad", method=None)])

    assert store.searches().empty


def test_reading_searches_makes_no_folder(tmp_path: Path) -> None:
    store = ResultStore(StorePaths(tmp_path / "none"))

    assert store.searches().empty
    assert not store.paths.folder.exists()
