"""Rows of a run that was killed while its store could not be written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.topo_sweep.conftest import Clock, make_sweep, small_spec
from tests.topo_sweep.runs.search_run import search_curve_of, stored_search
from tests.topo_sweep.store.local_store import fill_up, ids, make_store, parts, rows_in
from tests.topo_sweep.store.store_rows import append, curve_of, trial_row
from topo_sweep.store.buffered import BufferedWriter
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.rescued import save_elsewhere, take_back
from topo_sweep.store.tables import SEARCHES


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return make_store(tmp_path / "sweep")


@pytest.fixture
def full(store: ResultStore) -> Iterator[pytest.MonkeyPatch]:
    """Let no part be written in the store until this is undone."""
    with pytest.MonkeyPatch.context() as patch:
        fill_up(patch, store.paths.folder)
        yield patch


def add(writer: BufferedWriter, name: str) -> None:
    row = trial_row(name)
    writer.add(row, curve_of(row))


def killed(store: ResultStore, full: pytest.MonkeyPatch, *names: str) -> None:
    """Let a run be killed that has these trials in memory."""
    writer = BufferedWriter(store)
    for name in names:
        add(writer, name)
    writer.flush()
    full.undo()


def test_what_a_killed_run_had_in_memory_comes_back_once(
    store: ResultStore, elsewhere: Path, full: pytest.MonkeyPatch
) -> None:
    writer = BufferedWriter(store)
    search = stored_search("s")
    add(writer, "a")
    writer.add(search, search_curve_of(search), table=SEARCHES)
    writer.flush()  # and no more is heard of it
    full.undo()

    assert (take_back(store), take_back(store)) == (2, 0)

    assert (ids(store), list(store.searches()["search_id"])) == (["a"], ["s"])
    assert (len(store.epochs()), len(store.search_epochs())) == (2, 2)
    assert not list(elsewhere.iterdir())


def test_what_is_saved_is_renewed_as_rows_come_and_goes_when_they_are_written(
    store: ResultStore, elsewhere: Path, full: pytest.MonkeyPatch, clock: Clock
) -> None:
    writer = BufferedWriter(store)
    seen = []
    for name in ("a", "b", ""):
        if name:
            add(writer, name)
        clock.now += 5
        writer.tick()
        (saved,) = elsewhere.iterdir()
        seen.append((saved.name, ids(ResultStore(StorePaths(saved)))))

    assert [names for _, names in seen] == [["a"], ["a", "b"], ["a", "b"]]
    assert seen[1] == seen[2], "nothing was new"
    full.undo()
    assert writer.flush() == ["a", "b"]
    assert not list(elsewhere.iterdir())


def test_what_was_copied_or_trained_again_meanwhile_stays_as_it_is(
    store: ResultStore, elsewhere: Path, full: pytest.MonkeyPatch
) -> None:
    killed(store, full, "copied", "again", "left")
    (saved,) = elsewhere.iterdir()
    rows = ResultStore(StorePaths(saved)).trials().set_index("trial_id")
    append(store, [trial_row("copied", finished_at=rows.loc["copied", "finished_at"])])
    append(store, [trial_row("again", test_accuracy=0.25)])

    assert take_back(store) == 1

    assert ids(store) == ["again", "copied", "left"]
    assert rows_in(store.paths.trials) == 3


def test_of_another_sweep_or_another_user_nothing_is_taken(
    store: ResultStore,
    elsewhere: Path,
    full: pytest.MonkeyPatch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed(store, full, "a")
    assert take_back(make_store(tmp_path / "other")) == 0
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert take_back(store) == 0
    assert parts(elsewhere)


def test_of_a_sweep_that_was_removed_nothing_comes_back_into_the_next_in_its_place(
    tmp_path: Path, elsewhere: Path
) -> None:
    row = trial_row("a")
    for is_removed, count in ((True, 0), (False, 1)):
        store = make_sweep(tmp_path / "results", small_spec())
        save_elsewhere(store.paths, {"trials": ([row], curve_of(row))})
        if is_removed:
            shutil.rmtree(store.paths.folder)
            store = make_sweep(tmp_path / "results", small_spec())
        assert take_back(store) == count
    assert parts(elsewhere), "what was saved first stays"


def test_what_cannot_be_taken_back_stays_and_is_named(
    store: ResultStore, elsewhere: Path, full: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    killed(store, full, "a")
    caplog.clear()
    (saved,) = elsewhere.iterdir()
    (part,) = (saved / "trials").iterdir()
    whole = part.read_bytes()
    part.write_bytes(whole[:-1])

    assert take_back(store) == 0
    (message,) = caplog.messages
    assert message.startswith(f"rows that were saved in {saved} stay there: {part} is damaged")

    part.write_bytes(whole)
    assert take_back(store) == 1


def test_what_a_run_was_killed_over_while_it_saved_is_no_row_and_goes(
    store: ResultStore, elsewhere: Path, full: pytest.MonkeyPatch
) -> None:
    killed(store, full, "a")
    (saved,) = elsewhere.iterdir()
    shutil.copytree(saved / "epochs", Path(f"{saved}x") / "epochs")

    assert take_back(store) == 1
    assert ids(store) == ["a"]
    assert not list(elsewhere.iterdir())
