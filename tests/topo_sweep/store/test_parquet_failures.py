"""The store in a local folder when a process is killed or a disk is full or read-only."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from nas_core.errors import InputError
from tests.disk import fill, full_disk
from tests.topo_sweep.store.local_store import ids, make_store
from tests.topo_sweep.store.store_rows import (
    another_process,
    append,
    trial_row,
)
from topo_sweep.store.parquet import (
    ResultStore,
)
from topo_sweep.store.parts import StoreError
from topo_sweep.store.paths import StorePaths


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return make_store(tmp_path / "sweep")


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


@pytest.mark.slow
@pytest.mark.parametrize("change", [_append_two, _compact])
def test_a_kill_before_any_file_operation_leaves_a_readable_store(
    tmp_path: Path, change: Callable[[ResultStore], None]
) -> None:
    before = tmp_path / "before"
    store = make_store(before)
    append(store, [trial_row("old 1")])
    append(store, [trial_row("old 2")])
    states: list[list[str]] = []
    leftovers = 0
    for operation in range(100):
        folder = tmp_path / str(operation)
        shutil.copytree(before, folder)
        store = ResultStore(StorePaths(folder))
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
