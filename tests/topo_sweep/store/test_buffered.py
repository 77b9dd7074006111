"""Rows on their way into a store: bursts, disks that cannot be written, and runs that end there."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.files import write_durably
from tests.disk import fill, full_disk
from tests.topo_sweep.conftest import Clock
from tests.topo_sweep.runs.search_run import search_curve_of, stored_search
from tests.topo_sweep.store.local_store import ids, make_store, parts, rows_in
from tests.topo_sweep.store.store_rows import append, curve_of, trial_row
from topo_sweep.store.buffered import BufferedWriter
from topo_sweep.store.parquet import ResultStore, Row
from topo_sweep.store.parts import StoreError
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import SEARCHES, TRIALS, Table


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return make_store(tmp_path / "sweep")


def test_what_a_run_wrote_is_one_part_of_each_kind_when_it_ends(store: ResultStore) -> None:
    writer = BufferedWriter(store, seconds=0.0)
    for trial_id in "abc":
        row = trial_row(trial_id)
        writer.add(row, curve_of(row))

    assert writer.close() == []

    assert len(parts(store.paths.trials)) == len(parts(store.paths.epochs)) == 1
    assert ids(store) == ["a", "b", "c"]


def test_a_run_that_wrote_nothing_leaves_the_parts_alone(store: ResultStore) -> None:
    for trial_id in "ab":
        append(store, [trial_row(trial_id)])
    before = parts(store.paths.folder)

    assert BufferedWriter(store).close() == []

    assert parts(store.paths.folder) == before


class Appends(ResultStore):
    """A store that only remembers when which trials were appended."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(StorePaths(Path("nowhere")))
        self._clock = clock
        self.calls: list[tuple[float, list[str], int]] = []

    def append(self, rows: Sequence[Row], curves: Sequence[Row], *, table: Table = TRIALS) -> None:
        trials, epochs = rows, curves
        self.calls.append((self._clock.now, [row["trial_id"] for row in trials], len(epochs)))


def test_a_row_after_a_quiet_spell_is_durable_at_once_and_a_burst_waits(clock: Clock) -> None:
    store = Appends(clock)
    writer = BufferedWriter(store, seconds=2.0)

    def add(trial_id: str) -> list[str]:
        row = trial_row(trial_id)
        return writer.add(row, curve_of(row))

    assert add("first") == ["first"]
    clock.now += 0.5
    assert add("second") == []
    assert add("third") == []
    clock.now += 1.25
    assert writer.tick() == []
    clock.now += 0.25
    assert writer.tick() == ["second", "third"]
    clock.now += 60
    assert add("fourth") == ["fourth"]
    assert add("fifth") == []
    assert writer.flush() == ["fifth"]
    assert writer.flush() == writer.tick() == []
    assert [(trials, epochs) for _, trials, epochs in store.calls] == [
        (["first"], 2),
        (["second", "third"], 4),
        (["fourth"], 2),
        (["fifth"], 2),
    ]


@given(gaps=st.lists(st.floats(0, 5), max_size=30))
def test_however_rows_come_there_is_at_most_one_part_in_two_seconds_and_each_row_is_in_one(
    gaps: list[float],
) -> None:
    clock = Clock()
    store = Appends(clock)
    writer = BufferedWriter(store, seconds=2.0)
    durable: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", clock)
        for number, gap in enumerate(gaps):
            clock.now += gap
            durable += writer.add(trial_row(str(number)), [])
            assert [trial for _, trials, _ in store.calls for trial in trials] == durable
        times = [moment for moment, _, _ in store.calls]
        durable += writer.flush()

    assert all(later - earlier >= 2.0 for earlier, later in itertools.pairwise(times))
    assert durable == [str(number) for number in range(len(gaps))]


def test_of_one_flush_a_search_is_written_before_its_evaluations(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    writer = BufferedWriter(store)
    assert writer.add(trial_row("first"), []) == ["first"]
    evaluation, search = trial_row("evaluation", search_id="search"), stored_search("search")
    assert writer.add(evaluation, curve_of(evaluation)) == []
    assert writer.add(search, search_curve_of(search), table=SEARCHES) == []
    written: list[str] = []
    append_rows = ResultStore.append

    def spied(self: ResultStore, *arguments: Any, table: Any = TRIALS) -> None:
        written.append(table.name)
        append_rows(self, *arguments, table=table)

    monkeypatch.setattr(ResultStore, "append", spied)
    clock.now += 10

    assert writer.tick() == ["search", "evaluation"]
    assert written == ["searches", "trials"]
    assert (ids(store), list(store.searches()["search_id"])) == (
        ["evaluation", "first"],
        ["search"],
    )
    assert writer.flush() == []


# Full disks


def fails_from(call: Callable[..., Any], number: int) -> Callable[..., Any]:
    """Return `call` on a disk that is full from the call with this number on."""
    numbers = itertools.count()

    def wrapped(*arguments: object, **options: object) -> Any:
        if next(numbers) >= number:
            full_disk()
        return call(*arguments, **options)

    return wrapped


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("call", ["os.fsync", "os.open", "pathlib.Path.open"])
def test_rows_outlive_a_disk_that_fills_up_at_any_point_and_are_written_once(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    append(store, [trial_row("before")])
    writer = BufferedWriter(store)
    row = trial_row("a")
    originals: dict[str, Callable[..., Any]] = {
        "os.fsync": os.fsync,
        "os.open": os.open,
        "pathlib.Path.open": Path.open,
    }
    with monkeypatch.context() as full:
        full.setattr(tempfile, "mkdtemp", full_disk)
        full.setattr(call, fails_from(originals[call], number))
        calls_enough = number < 2 or call == "os.fsync"  # a part is synced, then its folder
        assert writer.add(row, curve_of(row)) == ([] if calls_enough else ["a"])
        assert writer.flush() == []
    assert "before" in ids(store)

    assert writer.flush() == (["a"] if calls_enough else [])
    assert ids(store) == ["a", "before"]
    assert (rows_in(store.paths.trials), rows_in(store.paths.epochs)) == (2, 4)
    assert not [path for path in store.paths.folder.rglob("*") if path.suffix == ".tmp"]


def test_a_run_whose_parts_cannot_be_merged_ends_well(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, [trial_row("before")])
    writer = BufferedWriter(store, seconds=60)
    for trial_id in "ab":
        writer.add(trial_row(trial_id), [])
    monkeypatch.setattr(ResultStore, "compact", full_disk)

    assert writer.close() == ["b"]

    assert ids(store) == ["a", "b", "before"]


def test_rows_outlive_a_real_full_disk(tiny_disk: Path) -> None:
    store = make_store(tiny_disk / "sweep")
    append(store, [trial_row("before")])
    filler = fill(tiny_disk)
    writer = BufferedWriter(store)
    row = trial_row("a")

    assert writer.add(row, curve_of(row)) == []
    assert ids(store) == ["before"]

    filler.unlink()
    assert writer.flush() == ["a"]
    assert ids(store) == ["a", "before"]


def test_of_each_try_that_fails_halfway_nothing_is_left_to_fill_the_disk(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_for_rows(path: Path, content: bytes) -> None:
        if path.parent.name == "trials":
            full_disk()
        write_durably(path, content)

    writer = BufferedWriter(store)
    row = trial_row("a")
    monkeypatch.setattr("topo_sweep.store.parts.write_durably", full_for_rows)
    writer.add(row, curve_of(row))
    for _ in range(3):
        assert writer.flush() == []

    assert parts(store.paths.folder) == []


def test_rows_are_durable_where_only_merging_finds_no_room(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topo_sweep.store.parquet._MOST_PARTS", 1)
    monkeypatch.setattr("topo_sweep.store.parquet.merge", full_disk)
    writer = BufferedWriter(store, seconds=0.0)

    for trial_id in "abc":
        assert writer.add(trial_row(trial_id), []) == [trial_id]

    assert (ids(store), rows_in(store.paths.trials)) == (["a", "b", "c"], 3)


def test_of_two_tables_the_first_may_be_written_and_the_other_waits(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    writer = BufferedWriter(store)
    writer.flush()
    append_rows = ResultStore.append

    def full_for_trials(self: ResultStore, *rows: Any, table: Table = TRIALS) -> None:
        if table is TRIALS:
            raise StoreError("no room")
        append_rows(self, *rows, table=table)

    with monkeypatch.context() as patch:
        patch.setattr(ResultStore, "append", full_for_trials)
        assert writer.add(trial_row("a"), []) == []
        assert writer.add(stored_search("b"), [], table=SEARCHES) == []
        clock.now += 5
        assert writer.tick() == ["b"]
    clock.now += 5
    assert writer.tick() == ["a"]


def test_a_disk_that_cannot_be_written_is_tried_every_five_seconds_and_named_every_minute(
    store: ResultStore,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    writer, tries = BufferedWriter(store), []
    with monkeypatch.context() as patch:

        def append_rows(self: ResultStore, *_: object, **__: object) -> None:
            tries.extend([clock.now] if self is store else [])
            raise StoreError("cannot write to there: Disk quota exceeded")

        patch.setattr(ResultStore, "append", append_rows)
        assert writer.add(trial_row("a"), []) == []
        assert writer.add(trial_row("b"), []) == []
        for _ in range(125):
            clock.now += 1
            writer.tick()

    assert tries == [1000.0 + 5 * number for number in range(26)]
    failure = "cannot write to there: Disk quota exceeded; rows that wait in memory:"
    assert caplog.messages == [f"{failure} {count}" for count in (1, 2, 2)]
    caplog.clear()

    clock.now += 5
    assert writer.tick() == ["a", "b"]
    assert caplog.messages == [f"{store.paths.folder} can be written again, no row is lost"]
    clock.now += 1
    assert writer.add(trial_row("c"), []) == [], "a burst waits again as it did"
