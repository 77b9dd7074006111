"""The lock of a store in a folder: what it is on a disk, and where there can be none."""

from __future__ import annotations

import errno
import fcntl
import io
import os
from pathlib import Path

import pytest

from nas_core.errors import InputError
from tests.topo_sweep.store.local_store import ids, make_store
from tests.topo_sweep.store.store_rows import append, trial_row
from topo_sweep.store import lock
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import StoreError
from topo_sweep.store.paths import StorePaths


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return make_store(tmp_path / "sweep")


def test_a_lock_is_given_back_on_a_disk_that_became_read_only(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ReadOnly(io.TextIOWrapper):
        def truncate(self, _size: int | None = None, /) -> int:
            if self.tell():
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            return 0

    def opened(paths: StorePaths, mode: str) -> ReadOnly:
        return ReadOnly(paths.lock.open(mode + "b"))

    with monkeypatch.context() as patch:
        patch.setattr(lock, "_lock_file", opened)
        with pytest.raises(StoreError, match="what matters"), store.lock():
            raise StoreError("what matters")

    assert not store.is_locked


def test_a_lock_that_is_a_link_is_not_followed(store: ResultStore, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"content")
    store.paths.lock.symlink_to(precious)

    with pytest.raises(InputError, match=r"^cannot lock .*\.lock: "), store.lock():
        pass

    assert precious.read_bytes() == b"content"
    assert not store.is_locked


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_in_one_line_and_its_rows_are_read(
    store: ResultStore, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, [trial_row()])

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(InputError) as refusal, store.lock():
        pass

    assert str(refusal.value) == (
        f"cannot lock {store.paths.lock}: {os.strerror(code)}: a sweep's folder needs locks "
        "(flock); mount it with them, or choose another folder with --results"
    )
    assert not store.is_locked
    assert ids(store) == ["trial"]
