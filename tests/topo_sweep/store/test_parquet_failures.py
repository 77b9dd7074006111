"""The store in a local folder when a process is killed or a disk is full or read-only."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from nas_core.errors import InputError
from tests.disk import fill, full_disk
from tests.topo_sweep.store.local_store import ids, make_store, parts, rows_in
from tests.topo_sweep.store.store_rows import (
    another_process,
    append,
    curve_of,
    trial_row,
)
from topo_sweep.runs.reports.check import folders_to_check
from topo_sweep.store.check import damaged, repair
from topo_sweep.store.parquet import (
    ResultStore,
)
from topo_sweep.store.parts import StoreError
from topo_sweep.store.paths import StorePaths


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return make_store(tmp_path / "sweep")


# Crashes, and operations that fail

FILE_OPERATIONS = {"open", "write", "fsync", "replace", "rename", "unlink", "remove"}


@contextlib.contextmanager
def at_operation(number: int, act: Callable[[], None]) -> Iterator[None]:
    """Do something before the file operation of this number; opening to read is none."""
    numbers = itertools.count()

    def profile(frame: FrameType, event: str, called: Any) -> None:
        is_one = event == "c_call" and called.__name__ in FILE_OPERATIONS
        if is_one and frame.f_locals.get("mode") != "rb" and next(numbers) == number:
            act()

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)


def make_change(change: str, folder: Path) -> None:
    store = ResultStore(StorePaths(folder))
    if change == "append":
        append(store, [trial_row("new 1"), trial_row("new 2")])
    elif change == "repair":
        list(repair(store.paths))
    else:
        store.compact()


def end_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _killed_at(number: int, folder: Path, change: str, connection: Connection) -> None:
    connection.send("ready")
    with at_operation(number, end_this_process):
        make_change(change, folder)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store of two parts; only to be copied."""
    folder = tmp_path_factory.mktemp("before")
    store = make_store(folder)
    append(store, [trial_row("old 1")])
    append(store, [trial_row("old 2")])
    return folder


OLD, NEW = ["old 1", "old 2"], ["new 1", "new 2", "old 1", "old 2"]


def checked_ids(store: ResultStore) -> list[str]:
    """Return which trials there are, each with its curve."""
    trials = ids(store)
    assert sorted(store.epochs()["trial_id"]) == sorted(2 * trials)
    return trials


@pytest.mark.slow
@pytest.mark.parametrize("change", ["append", "compact"])
def test_a_kill_before_any_file_operation_leaves_a_readable_store(
    tmp_path: Path, before: Path, change: str
) -> None:
    states: list[list[str]] = []
    leftovers = 0
    for number in range(100):
        folder = shutil.copytree(before, tmp_path / str(number))
        store = ResultStore(StorePaths(folder))
        with another_process(_killed_at, number, folder, change) as (process, _):
            process.join()
            ended = process.exitcode
        if ended == 0:
            break

        assert ended == -signal.SIGKILL
        leftovers += sum(path.suffix == ".tmp" for path in folder.rglob("*"))
        states.append(checked_ids(store))
        append(store, [trial_row("next")])
        store.compact()
        assert set(ids(store)) == {*states[-1], "next"}

    assert len(states) >= 10  # two files are opened, written, synced, named, and their folders
    assert leftovers
    assert states[0] == OLD
    assert all(state == OLD or (state == NEW and change == "append") for state in states)


@pytest.mark.parametrize(("change", "code"), [("append", errno.EDQUOT), ("compact", errno.ENOSPC)])
def test_whichever_file_operation_fails_the_store_reads_and_another_try_leaves_each_row_once(
    tmp_path: Path, before: Path, change: str, code: int
) -> None:
    def fail() -> None:
        raise OSError(code, os.strerror(code))

    after = NEW if change == "append" else OLD
    for number in range(100):
        folder = shutil.copytree(before, tmp_path / str(number))
        store = ResultStore(StorePaths(folder))
        with at_operation(number, fail), contextlib.suppress(StoreError, OSError):
            make_change(change, folder)
            break
        assert checked_ids(store) == OLD

        make_change(change, folder)
        assert checked_ids(store) == after
        in_files = (rows_in(store.paths.trials), rows_in(store.paths.epochs))
        assert in_files == (len(after), 2 * len(after)), number
        assert not list(folder.rglob("*.tmp"))

    assert number >= 10


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sweep of which a part lost the curve of one of two rows; only to be copied.

    Its `sweep.json` and another part are torn.
    """
    folder = tmp_path_factory.mktemp("halved")
    store = make_store(folder)
    store.append([trial_row("lost"), trial_row("whole")], curve_of(trial_row("whole")))
    torn = store.paths.trials / "part-torn.parquet"
    torn.write_bytes(parts(store.paths.trials)[0].read_bytes()[:-9])
    store.paths.manifest.write_text("{")
    return folder


def check_repaired(folder: Path, halved: Path) -> None:
    """Check that a repair, after one that was not ended, leaves each row once and all files."""
    assert folders_to_check(folder.parent) == [folder]
    assert os.path.lexists(folder / "sweep.json") or not list(damaged(StorePaths(folder)))

    for sweep in folders_to_check(folder):
        make_change("repair", sweep)

    store = ResultStore(StorePaths(folder))
    assert (ids(store), rows_in(store.paths.trials)) == (["whole"], 1)
    kept = [store.paths.damaged / "sweep.json", *parts(store.paths.damaged)]
    before = [halved / "sweep.json", *parts(halved / "trials")]
    assert [path.read_bytes() for path in kept] == [path.read_bytes() for path in before]
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.slow
def test_a_kill_before_any_file_operation_of_a_repair_leaves_each_row_once_after_the_next(
    tmp_path: Path, halved: Path
) -> None:
    for number in range(100):
        folder = shutil.copytree(halved, tmp_path / str(number) / "sweep")
        with another_process(_killed_at, number, folder, "repair") as (process, _):
            process.join()
            ended = process.exitcode
        if ended == 0:
            break

        assert ended == -signal.SIGKILL
        check_repaired(folder, halved)

    assert number >= 12  # beside two moves the copy and the new part are opened, written, named
    check_repaired(folder, halved)


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC])
def test_whichever_file_operation_of_a_repair_fails_another_leaves_each_row_once(
    tmp_path: Path, halved: Path, code: int
) -> None:
    failed: list[int] = []

    def fail() -> None:
        failed.append(number)
        raise OSError(code, os.strerror(code))

    for number in range(100):
        folder = shutil.copytree(halved, tmp_path / str(number) / "sweep")
        with at_operation(number, fail), contextlib.suppress(OSError):
            make_change("repair", folder)
        check_repaired(folder, halved)
        if number not in failed:
            break

    assert len(failed) >= 12


def test_rows_that_are_durable_are_so_also_where_their_folder_cannot_be_listed_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path)

    def stale(folder: Path) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(folder))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", stale)
        append(store, [trial_row("a")])
        with pytest.raises(StoreError, match=r"cannot read .*: Stale"):
            store.trials()

    assert (ids(store), rows_in(store.paths.trials)) == (["a"], 1)


# Full and read-only disks


def test_a_folder_on_a_full_disk_is_refused_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", full_disk)

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
