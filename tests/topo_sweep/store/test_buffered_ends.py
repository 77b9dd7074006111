"""Runs that end while rows wait that cannot be written: where those are then."""

from __future__ import annotations

import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.disk import full_disk
from tests.topo_sweep.conftest import Clock
from tests.topo_sweep.runs.search_run import search_curve_of, stored_search
from tests.topo_sweep.store.local_store import fill_up, ids, make_store, rows_in
from tests.topo_sweep.store.store_rows import curve_of, trial_row
from topo_sweep.store import buffered, rescued
from topo_sweep.store.buffered import BufferedWriter
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import StoreError
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.rescued import take_back
from topo_sweep.store.tables import SEARCHES


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return make_store(tmp_path / "sweep")


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no time pass; return the list of what was slept."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def waiting(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> BufferedWriter:
    """Return a writer with a search and an evaluation for a store that cannot be written."""
    fill_up(monkeypatch, store.paths.folder)
    writer = BufferedWriter(store)
    trial, search = trial_row("a"), stored_search("s")
    writer.add(trial, curve_of(trial))
    writer.add(search, search_curve_of(search), table=SEARCHES)
    return writer


def test_what_cannot_be_written_when_a_run_ends_is_saved_elsewhere_and_the_way_back_is_told(
    store: ResultStore,
    monkeypatch: pytest.MonkeyPatch,
    sleeps: list[float],
    elsewhere: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        writer = waiting(store, patch)
        caplog.clear()
        with pytest.raises(StoreError) as failure:
            writer.close()

    (saved,) = elsewhere.iterdir()
    assert saved.name.startswith("topo-sweep-rescued-")
    assert stat.S_IMODE(saved.stat().st_mode) == 0o700
    assert sorted(path.name for path in saved.iterdir()) == [
        *("epochs", "search_epochs", "searches", "trials")
    ]
    begin = f"cannot write to {store.paths.folder}: the disk is full; rows in memory: 2, they are"
    begin = f"{begin} saved in {saved}"
    again = "run the sweep again on this machine, which takes them from there"
    assert str(failure.value) == f"{begin}: once there is room, {again}"
    assert caplog.messages == [f"{begin}; trying for 10 s more, then {again}"]
    assert sleeps == [1.0] * 10
    assert not ids(store)

    assert take_back(store) == 2
    assert (ids(store), list(store.searches()["search_id"])) == (["a"], ["s"])
    assert (len(store.epochs()), len(store.search_epochs())) == (2, 2)


def test_nothing_is_left_elsewhere_where_there_is_room_in_time(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    patch = pytest.MonkeyPatch()
    writer = waiting(store, patch)

    def sleep(_: float) -> None:
        assert list(elsewhere.rglob("*.parquet")), "a kill from here on would lose nothing"
        patch.undo()

    monkeypatch.setattr(time, "sleep", sleep)

    assert writer.close() == ["s", "a"]
    assert not list(elsewhere.iterdir())
    assert ids(store) == ["a"]


@pytest.mark.usefixtures("sleeps")
def test_where_the_temporary_folder_is_full_too_rows_are_saved_in_memory(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, elsewhere: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(rescued, "_IN_MEMORY", tmp_path / "memory")
    (tmp_path / "memory").mkdir()
    with monkeypatch.context() as patch:
        writer = waiting(store, patch)
        fill_up(patch, elsewhere, store.paths.folder)
        with pytest.raises(StoreError, match=f"saved in {tmp_path}/memory/topo-sweep-rescued-"):
            writer.close()

    assert not list(elsewhere.iterdir())
    (saved,) = (tmp_path / "memory").iterdir()
    assert rows_in(saved / "trials") == 1


@pytest.mark.usefixtures("sleeps")
def test_where_rows_can_be_saved_nowhere_that_is_said(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "mkdtemp", full_disk)
    writer = waiting(store, monkeypatch)

    with pytest.raises(StoreError) as failure:
        writer.close()

    assert str(failure.value) == (
        f"cannot write to {store.paths.folder}: the disk is full; rows in memory: 2, they can be "
        "saved nowhere else: once there is room, run the sweep again, which trains them again"
    )


@pytest.mark.usefixtures("sleeps")
def test_of_a_store_that_was_silent_before_rows_are_saved_elsewhere_before_it_is_tried_again(
    store: ResultStore, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    append_rows = ResultStore.append
    saved: list[list[str]] = []

    def append_late(self: ResultStore, *rows: Any, **options: Any) -> None:
        if self.paths.folder != store.paths.folder:
            append_rows(self, *rows, **options)
            return
        rescued = (ResultStore(StorePaths(path)) for path in elsewhere.iterdir())
        saved.append([trial_id for each in rescued for trial_id in ids(each)])
        clock.now += 13
        raise StoreError("cannot write to there: no answer")

    monkeypatch.setattr(ResultStore, "append", append_late)
    writer = BufferedWriter(store)
    assert writer.add(trial_row("a"), []) == []
    with pytest.raises(StoreError, match="takes them from there"):
        writer.close()

    assert saved == [[], ["a"]], "one try when the row came, and one that began in time"


@pytest.fixture
def answers(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let the store be one elsewhere that is silent until it answers."""
    monkeypatch.setattr(buffered, "is_elsewhere", store.paths.folder.__eq__)
    monkeypatch.setattr(buffered, "_ANSWER_SECONDS", 0.01)
    append_rows, event = ResultStore.append, threading.Event()

    def append_late(self: ResultStore, *rows: Any, **options: Any) -> None:
        assert self.paths != store.paths or event.wait(timeout=60)
        append_rows(self, *rows, **options)

    monkeypatch.setattr(ResultStore, "append", append_late)
    yield event
    event.set()


def test_a_store_that_is_silent_holds_nobody_up_and_has_each_row_once_when_it_answers(
    store: ResultStore, answers: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    writer = BufferedWriter(store)
    row = trial_row("a")
    assert writer.add(row, curve_of(row)) == []
    other = trial_row("b")
    assert writer.add(other, curve_of(other)) == writer.flush() == []
    folder = store.paths.folder
    assert caplog.messages == [
        f"cannot write to {folder}: no answer in 0.01 s; rows that wait in memory: 1"
    ]

    answers.set()
    written: list[str] = []
    while len(written) < 2:
        written += writer.flush()

    assert written == ids(store) == ["a", "b"]
    assert (rows_in(store.paths.trials), rows_in(store.paths.epochs)) == (2, 4)


@pytest.mark.usefixtures("sleeps", "answers")
def test_where_it_stays_silent_all_rows_are_saved_elsewhere(
    store: ResultStore, elsewhere: Path
) -> None:
    writer = BufferedWriter(store)
    writer.add(trial_row("a"), [])
    writer.add(trial_row("b"), [])

    with pytest.raises(StoreError, match="; rows in memory: 2, they are saved in"):
        writer.close()

    (saved,) = elsewhere.iterdir()
    assert ids(ResultStore(StorePaths(saved))) == ["a", "b"]
