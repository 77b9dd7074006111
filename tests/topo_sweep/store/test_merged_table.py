"""Rows and curves of several stores: which the first one lacks, and under which attempt."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.errors import InputError
from tests.topo_sweep.runs.search_run import search_curve_of, stored_search
from tests.topo_sweep.store.local_store import make_store, parts
from tests.topo_sweep.store.sites import everything
from tests.topo_sweep.store.store_contract import Ended, best, seen
from tests.topo_sweep.store.store_rows import ON_DISK, T0, append, trial_row
from topo_sweep.store import merged_table
from topo_sweep.store.merged_table import MergedTable
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import StoreError
from topo_sweep.store.tables import SEARCHES, TRIALS


def merge(*stores: ResultStore) -> MergedTable:
    """Write what the first store lacks of the trials of the others; return what was new."""
    table = MergedTable(TRIALS, stores)
    table.write_curves()
    table.write_rows()
    return table


def store_of(folder: Path, *rows: dict[str, Any]) -> ResultStore:
    store = make_store(folder)
    append(store, rows)
    return store


def attempt(number: int, minute: int, **values: Any) -> dict[str, Any]:
    at = T0 + timedelta(minutes=minute)
    return trial_row(attempt=number, finished_at=at, **values)


@ON_DISK
@given(
    st.lists(
        st.builds(
            Ended,
            trial_id=st.sampled_from("abc"),
            status=st.sampled_from(["ok", "diverged", "failed"]),
            minute=st.integers(0, 9),
        ),
        max_size=8,
        unique_by=lambda ended: (ended.trial_id, ended.minute),
    ),
    st.data(),
)
def test_however_attempts_are_spread_the_first_store_gets_each_once_with_its_own_number(
    tmp_path_factory: pytest.TempPathFactory, attempts: list[Ended], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("stores")
    held, stores = [], []
    for name in "xyz":
        held.append(data.draw(st.lists(st.sampled_from(attempts))) if attempts else [])
        stores.append(store_of(folder / name, *(ended.row() for ended in held[-1])))
    first, *others = stores
    before = [everything(store) for store in stores]

    table = merge(*stores)

    assert [everything(store) for store in others] == before[1:]
    assert seen(first) == best([ended for each in held for ended in each])
    rows = first.read("trials", TRIALS.schema).to_pandas()
    written = {(row["trial_id"], round(row["train_loss"])) for row in rows.to_dict("records")}
    assert written == {(ended.trial_id, ended.minute) for each in held for ended in each}
    assert len(everything(first)["trials"]) == len(before[0]["trials"]) + len(table.new)
    assert set(everything(first)["epochs"]) == {line for each in before for line in each["epochs"]}
    new = rows[rows["attempt"] > 1] if held[0] else rows
    assert not new.duplicated(["trial_id", "attempt"]).any()
    once = everything(first)
    assert merge(*stores).new.empty
    assert everything(first) == once


def test_attempts_are_numbered_by_the_time_at_which_they_ended(tmp_path: Path) -> None:
    ours = store_of(tmp_path / "a", attempt(1, 1, status="failed"), attempt(2, 3))
    theirs = store_of(tmp_path / "b", attempt(1, 2), attempt(1, 2, trial_id="other"))
    here = make_store(tmp_path / "out")

    merge(here, ours, theirs)

    rows = here.read("trials", TRIALS.schema).to_pandas().sort_values("finished_at")
    of_trial = rows[rows["trial_id"] == "trial"]
    assert of_trial["attempt"].tolist() == [1, 2, 3]
    assert rows[rows["trial_id"] == "other"]["attempt"].tolist() == [1]


def test_what_the_first_store_holds_keeps_its_number(tmp_path: Path) -> None:
    here = store_of(tmp_path / "a", attempt(2, 5))
    there = store_of(tmp_path / "b", attempt(1, 1, status="failed"), attempt(7, 5))

    assert merge(here, there).new["attempt"].tolist() == [3]

    assert here.attempts() == {"trial": 3}
    assert len(everything(here)["trials"]) == 2


@pytest.mark.parametrize("most", [1, 2, 100])
def test_curves_are_copied_some_rows_at_once_and_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(merged_table, "_ROWS_AT_ONCE", most)
    there = store_of(tmp_path / "a", *(attempt(1, n, trial_id=f"{n}") for n in range(5)))
    here = make_store(tmp_path / "out")
    killed = MergedTable(TRIALS, [here, there])
    killed.write_curves()
    assert len(parts(here.paths.epochs)) == -(-5 // most)

    merge(here, there)

    assert len(parts(here.paths.epochs)) == -(-5 // most)
    assert everything(here) == everything(there)


def test_nothing_that_is_not_a_number_becomes_missing_or_another(tmp_path: Path) -> None:
    row = attempt(1, 0, status="diverged", train_loss=float("nan"), train_limit=2**53 + 1)
    there, here = store_of(tmp_path / "a", row), make_store(tmp_path / "out")

    merge(here, there)

    assert everything(here) == everything(there)
    assert "'train_loss': nan" in everything(here)["epochs"][0]
    assert "'val_accuracy': None" in everything(here)["epochs"][0]


def test_a_row_whose_curve_is_lost_is_not_merged(tmp_path: Path) -> None:
    there, here = store_of(tmp_path / "a", attempt(1, 0)), make_store(tmp_path / "out")
    (part,) = parts(there.paths.epochs)
    part.unlink()

    with pytest.raises(StoreError, match=r"a has lost curves .* check .*a --repair`"):
        merge(here, there)

    assert everything(here)["trials"] == []


def test_what_ended_at_the_same_instant_with_other_values_is_refused(tmp_path: Path) -> None:
    one = store_of(tmp_path / "a", attempt(1, 0))
    other = store_of(tmp_path / "b", attempt(1, 0, parameters=9))

    with pytest.raises(InputError, match=r"a and .*b hold trial_id trial with other values"):
        MergedTable(TRIALS, [one, other])


def test_searches_that_found_other_cells_are_a_conflict(tmp_path: Path) -> None:
    stores = [make_store(tmp_path / name) for name in ("out", "a", "b")]
    for number, store in enumerate(stores[1:]):
        row = stored_search(genotype=f"cell {number}", finished_at=T0 + timedelta(hours=number))
        store.append([row], search_curve_of(row), table=SEARCHES)

    table = MergedTable(SEARCHES, stores)
    table.write_curves()
    table.write_rows()

    assert table.conflicts["genotype"].tolist() == ["cell 0", "cell 1"]
    assert table.conflicts["counts"].tolist() == [True, False]
    assert table.conflicts["folder"].tolist() == [str(each.paths.folder) for each in stores[1:]]
    assert stores[0].searches()["genotype"].tolist() == ["cell 0"]
    assert set(stores[0].search_epochs()["genotype"]) == {"cell 0"}
    assert stores[0].attempts() == {"search": 2}
    assert len(everything(stores[0])["search_epochs"]) == 4
