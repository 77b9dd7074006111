"""The store in a local folder: the contract, crashes, full disks, and what its files are."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.errors import InputError
from tests.topo_sweep.conftest import Clock
from tests.topo_sweep.store_contract import (
    ON_DISK,
    NewStore,
    StoreContract,
    another_process,
    append,
    curve_of,
    hold_lock,
    trial_row,
)
from topo_sweep.paths import StorePaths
from topo_sweep.store import (
    EPOCH_SCHEMA,
    TRIAL_SCHEMA,
    BufferedWriter,
    ResultStore,
    Row,
    StoreError,
)


def make_store(folder: Path) -> ResultStore:
    store = ResultStore(StorePaths(folder))
    store.create_folders()
    return store


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return make_store(tmp_path / "sweep")


class TestResultStore(StoreContract):
    @pytest.fixture
    def new_store(self, tmp_path: Path) -> NewStore:
        numbers = itertools.count()
        return lambda: make_store(tmp_path / str(next(numbers)))


def parts(folder: Path) -> list[Path]:
    """Return the Parquet files below a folder."""
    return sorted(folder.rglob("*.parquet"))


def ids(store: ResultStore) -> list[str]:
    return list(store.trials()["trial_id"])


# Files


def test_the_documented_trial_columns_are_there() -> None:
    documented = (
        "trial_id, sweep, kind, genotype, topology, class_id, reduction_topology, seed, "
        "protocol_hash, dataset, status, error, attempt, epochs, train_loss, train_accuracy, "
        "val_accuracy, test_accuracy, best_test_accuracy, parameters, multiply_adds, "
        "train_seconds, device, node, execution, search_id, finished_at"
    )
    assert set(documented.split(", ")) <= set(TRIAL_SCHEMA.names)


def test_appending_nothing_writes_no_file(store: ResultStore) -> None:
    store.append([], [])
    store.compact()

    assert parts(store.paths.folder) == []


def test_parts_stay_few_however_many_appends(store: ResultStore) -> None:
    for number in range(45):
        append(store, [trial_row(f"{number:02d}")])

    assert len(parts(store.paths.trials)) < 40
    assert ids(store) == [f"{number:02d}" for number in range(45)]


def test_compaction_leaves_one_part_of_each_kind(store: ResultStore) -> None:
    for trial_id in "abc":
        append(store, [trial_row(trial_id)])

    store.compact()

    assert len(parts(store.paths.trials)) == len(parts(store.paths.epochs)) == 1


def test_compaction_leaves_large_parts_alone(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, [trial_row(f"{number}", error=os.urandom(32).hex()) for number in range(1000)])
    large = parts(store.paths.trials)
    monkeypatch.setattr("topo_sweep.store._SMALL_PART_BYTES", large[0].stat().st_size)
    for trial_id in "abc":
        append(store, [trial_row(trial_id)])

    store.compact()

    assert len(parts(store.paths.trials)) == 2
    assert large[0] in parts(store.paths.trials)
    assert len(store.trials()) == 1003


def test_duckdb_reads_the_parts_as_one_table(store: ResultStore) -> None:
    import duckdb

    for trial_id, accuracy in (("a", 0.25), ("b", 0.75)):
        append(store, [trial_row(trial_id, test_accuracy=accuracy)])

    with duckdb.connect() as connection:
        query = f"SELECT count(*), avg(test_accuracy) FROM '{store.paths.trials}/*.parquet'"  # noqa: S608
        assert connection.execute(query).fetchone() == (2, 0.5)


def test_columns_that_older_parts_lack_read_as_null(store: ResultStore) -> None:
    old_trial = pa.Table.from_pylist([trial_row("old")], TRIAL_SCHEMA)
    old_epoch = pa.Table.from_pylist(curve_of(trial_row("old")), EPOCH_SCHEMA)
    lacking = ["multiply_adds", "search_id", "val_accuracy"]
    pq.write_table(old_trial.drop_columns(lacking), store.paths.trials / "part-0.parquet")
    pq.write_table(old_epoch.drop_columns("learning_rate"), store.paths.epochs / "part-0.parquet")
    append(store, [trial_row("new", val_accuracy=0.5)])

    def check() -> None:
        trials = store.trials().set_index("trial_id")
        assert trials.loc["old", lacking].isna().all()
        assert trials.loc["new", "val_accuracy"] == 0.5
        assert trials.loc["new", "multiply_adds"] == 56789
        assert str(trials["multiply_adds"].dtype) == "Int64"
        rates = store.epochs().groupby("trial_id")["learning_rate"]
        assert rates.count().to_dict() == {"old": 0, "new": 2}

    check()
    store.compact()
    check()


def test_columns_that_only_newer_versions_know_are_ignored(store: ResultStore) -> None:
    newer = pa.Table.from_pylist([trial_row()], TRIAL_SCHEMA).append_column(
        "watts", pa.array([300.0])
    )
    pq.write_table(newer, store.paths.trials / "part-0.parquet")

    assert list(store.trials().columns) == TRIAL_SCHEMA.names


@ON_DISK
@given(data=st.data())
def test_a_truncated_part_is_named_with_advice(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    store = make_store(tmp_path_factory.mktemp("sweep"))
    append(store, [trial_row()])
    part = parts(store.paths.trials)[0]
    content = part.read_bytes()
    part.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])

    check_part_is_named(store.trials, part)


@pytest.mark.parametrize("content", [bytes(4096), b"no Parquet at all", b"PAR1" * 100])
def test_a_part_of_other_bytes_is_named_with_advice(store: ResultStore, content: bytes) -> None:
    part = store.paths.epochs / "part-0.parquet"
    part.write_bytes(content)

    check_part_is_named(store.epochs, part)


def test_a_part_whose_column_has_another_type_is_named_with_advice(store: ResultStore) -> None:
    part = store.paths.trials / "part-0.parquet"
    table = pa.table({**{name: ["text"] for name in TRIAL_SCHEMA.names}})
    pq.write_table(table, part)

    check_part_is_named(store.trials, part)


def test_a_damaged_part_is_named_where_only_the_newest_row_is_read(store: ResultStore) -> None:
    part = store.paths.trials / "part-0.parquet"
    part.write_bytes(b"no Parquet at all")

    check_part_is_named(store.newest_row, part)


def check_part_is_named(read: Callable[[], object], part: Path) -> None:
    with pytest.raises(StoreError) as failure:
        read()
    message = str(failure.value)
    assert message.startswith(f"{part} is damaged")
    assert "move it away" in message
    assert "\n" not in message


@pytest.mark.parametrize("read", ["trials", "epochs", "newest_row"])
def test_a_reader_that_compaction_overtakes_starts_over(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    for trial_id in "abc":
        append(store, [trial_row(trial_id)])
    expected = getattr(store, read)()
    calls = itertools.count()
    read_table = pq.read_table

    def overtaken(*arguments: Any, **options: Any) -> Any:
        if next(calls) == 1:  # one part is read, two are still to come
            store.compact()
        return read_table(*arguments, **options)

    monkeypatch.setattr(pq, "read_table", overtaken)

    found = getattr(store, read)()
    assert found.equals(expected) if isinstance(found, pd.DataFrame) else found == expected


def test_reading_a_store_imports_no_torch(store: ResultStore) -> None:
    append(store, [trial_row()])
    script = (
        "import sys; from pathlib import Path\n"
        "from topo_sweep.paths import StorePaths; from topo_sweep.store import ResultStore\n"
        f"store = ResultStore(StorePaths(Path({str(store.paths.folder)!r})))\n"
        "print(len(store.trials()), len(store.epochs()), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "2", "False"]


# Crashes


def _killed_at(
    operation: int, folder: Path, change: Callable[[ResultStore], None], connection: Connection
) -> None:
    """Do the change, but end this process by SIGKILL before its file operation of this number."""
    numbers = itertools.count()

    def profile(_: FrameType, event: str, called: Any) -> None:
        changes_files = event == "c_call" and called.__name__ in {
            "write",
            "fsync",
            "replace",
            "rename",
            "unlink",
            "remove",
        }
        if changes_files and next(numbers) == operation:
            os.kill(os.getpid(), signal.SIGKILL)

    connection.send("ready")
    sys.setprofile(profile)
    change(ResultStore(StorePaths(folder)))
    sys.setprofile(None)


def _append_two(store: ResultStore) -> None:
    append(store, [trial_row("new 1"), trial_row("new 2")])


def _compact(store: ResultStore) -> None:
    store.compact()


@pytest.mark.parametrize("change", [_append_two, _compact])
def test_a_kill_before_any_file_operation_leaves_a_readable_store(
    tmp_path: Path, change: Callable[[ResultStore], None]
) -> None:
    states: list[list[str]] = []
    leftovers = 0
    for operation in range(100):
        folder = tmp_path / str(operation)
        store = make_store(folder)
        append(store, [trial_row("old 1")])
        append(store, [trial_row("old 2")])
        with another_process(_killed_at, operation, folder, change) as (process, _):
            process.join()
            ended = process.exitcode
        if ended == 0:
            break

        assert ended == -signal.SIGKILL
        leftovers += sum(path.suffix == ".tmp" for path in folder.rglob("*"))
        states.append(ids(store))
        assert sorted(store.epochs()["trial_id"]) == sorted(2 * states[-1])
        append(store, [trial_row("next")])
        store.compact()
        assert set(ids(store)) == {*states[-1], "next"}

    assert len(states) >= 6  # two files are written, synced and named
    assert leftovers
    old, new = ["old 1", "old 2"], ["new 1", "new 2", "old 1", "old 2"]
    assert states[0] == old
    assert all(state == old or (state == new and change is _append_two) for state in states)


# Full and read-only disks


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fails_from(call: Callable[..., Any], number: int) -> Callable[..., Any]:
    """Return `call` on a disk that is full from the call with this number on."""
    numbers = itertools.count()

    def wrapped(*arguments: object, **options: object) -> Any:
        if next(numbers) >= number:
            _full()
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
        full.setattr(call, fails_from(originals[call], number))
        calls_enough = number < 2 or call == "os.fsync"  # a part is synced, then its folder
        if calls_enough:
            with pytest.raises(StoreError) as failure:
                writer.add(row, curve_of(row))
            assert str(failure.value) == (f"cannot write to {store.paths.folder}: the disk is full")
        else:
            assert writer.add(row, curve_of(row)) == ["a"]
    assert "before" in ids(store)

    assert writer.flush() == (["a"] if calls_enough else [])
    assert ids(store) == ["a", "before"]
    assert len(store.epochs()) == 4
    assert not [path for path in store.paths.folder.rglob("*") if path.suffix == ".tmp"]


def test_a_folder_on_a_full_disk_is_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", _full)

    check_refused(tmp_path / "sweep", os.strerror(errno.ENOSPC))


def test_a_folder_that_cannot_be_made_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    check_refused(tmp_path / "file" / "sweep", os.strerror(errno.ENOTDIR))


def check_refused(folder: Path, reason: str) -> None:
    with pytest.raises(InputError) as refusal:
        make_store(folder)
    message = str(refusal.value)
    assert message.startswith(f"cannot write results to {folder}: {reason}")
    assert "--results" in message
    assert "\n" not in message


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 256 KiB, where the tests may."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take all space that is left; return the file to delete."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def test_rows_outlive_a_real_full_disk(tiny_disk: Path) -> None:
    store = make_store(tiny_disk / "sweep")
    append(store, [trial_row("before")])
    filler = fill(tiny_disk)
    writer = BufferedWriter(store)
    row = trial_row("a")

    with pytest.raises(StoreError, match=r"cannot write to .*: the disk is full$"):
        writer.add(row, curve_of(row))
    assert ids(store) == ["before"]

    filler.unlink()
    assert writer.flush() == ["a"]
    assert ids(store) == ["a", "before"]


def test_a_folder_on_a_real_full_disk_is_refused_with_advice(tiny_disk: Path) -> None:
    fill(tiny_disk)

    check_refused(tiny_disk / "sweep", os.strerror(errno.ENOSPC))
    assert not list(tiny_disk.rglob("*.tmp"))


def test_a_read_only_disk_is_refused_with_advice_and_still_read(tiny_disk: Path) -> None:
    store = make_store(tiny_disk / "sweep")
    append(store, [trial_row()])
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)

    check_refused(store.paths.folder, os.strerror(errno.EROFS))
    with pytest.raises(StoreError, match=os.strerror(errno.EROFS)):
        append(store, [trial_row("b")])
    assert ids(store) == ["trial"]
    assert not store.is_locked


# One writer


def test_the_lock_of_a_killed_writer_is_free(store: ResultStore) -> None:
    with another_process(hold_lock, store) as (process, _):
        process.kill()
        process.join()
        assert not store.is_locked
        with store.lock():
            assert store.is_locked


def test_a_store_without_folders_is_empty_and_not_locked(tmp_path: Path) -> None:
    store = ResultStore(StorePaths(tmp_path / "none"))

    assert store.trials().empty
    assert not store.is_locked
    assert not store.paths.folder.exists()


# Buffered writing


class Appends(ResultStore):
    """A store that only remembers when which trials were appended."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(StorePaths(Path("nowhere")))
        self._clock = clock
        self.calls: list[tuple[float, list[str], int]] = []

    def append(self, trials: Sequence[Row], epochs: Sequence[Row]) -> None:
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
