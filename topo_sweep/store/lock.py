"""The lock of a store, which admits one writer: a locked file, and elsewhere a lease as well."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

from nas_core.errors import InputError
from topo_sweep.store.lease import Lease, is_leased
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.remote import Remote, remote_of

_leases: dict[Path, Lease] = {}
"""Those that this process has, by the folders of their sweeps."""


@contextlib.contextmanager
def locked(paths: StorePaths) -> Iterator[None]:
    """Hold a store against other writers, and take the lease of one that lies elsewhere.

    Raises:
        InputError: another process holds it, which it names, or it cannot be locked.

    """
    with _lock_file(paths, "a+") as file:
        try:
            _flock(file)
        except BlockingIOError:
            file.seek(0)
            raise InputError(
                f"{paths.folder} is in use by {file.read().strip() or 'another run'}: "
                "wait for it or stop it (reading with status, rank and plot is fine)"
            ) from None
        except OSError as error:  # as on some network file systems
            raise InputError(
                f"cannot lock {paths.lock}: {error.strerror or error}: a sweep's folder needs "
                "locks (flock); mount it with them, or choose another folder with --results"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            remote = remote_of(paths.folder)
            with contextlib.nullcontext() if remote is None else _leased(paths, remote):
                yield
        finally:
            with contextlib.suppress(OSError):  # the disk may be read-only by now
                file.truncate(0)


@contextlib.contextmanager
def _leased(paths: StorePaths, remote: Remote) -> Iterator[None]:
    def publish_progress() -> None:
        if paths.progress.exists():
            remote.put(paths.progress, paths.progress.read_bytes())

    lease = Lease(remote, paths.lease, publish_progress)
    lease.take()
    _leases[paths.folder] = lease
    try:
        yield
    finally:
        del _leases[paths.folder]
        lease.stop_beating()
        remote.settle()
        with contextlib.suppress(OSError):
            remote.delete(paths.progress)
        lease.give_back()


def check_lease(path: Path, *, before_writing: bool) -> None:
    """Stop a driver that has lost its lease; one that has a folder's lock, or none, goes on.

    Args:
        path: of a sweep's folder, or of a file in it.
        before_writing: whether to find out where that is not sure; without, only what is known
            counts.

    Raises:
        LeaseLostError: another driver has it.
        OSError: that cannot be found out now.

    """
    for folder in (path, *path.parents):
        if (lease := _leases.get(folder)) is not None:
            (lease.check if before_writing else lease.refuse_if_lost)()


def is_driven_beside(paths: StorePaths) -> bool:
    """Return whether another process of this machine holds the lock of a folder."""
    try:
        with _lock_file(paths, "r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return paths.folder not in _leases
    except (InputError, OSError):  # not there, or not ours to open: nobody drives it here
        pass
    return False


def is_locked(paths: StorePaths) -> bool:
    """Return whether a driver holds the lock now.

    Raises:
        OSError: a store elsewhere cannot be read.

    """
    if paths.folder in _leases or is_driven_beside(paths):
        return True
    remote = remote_of(paths.folder)
    return remote is not None and is_leased(remote, paths.lease)


def _lock_file(paths: StorePaths, mode: str) -> TextIO:
    """Open the file that is locked, but no other file to which a link leads.

    Raises:
        InputError: it is no file, or not ours to open.

    """

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)

    try:
        return cast("TextIO", open(paths.lock, mode, opener=opened))
    except OSError as error:
        raise InputError(f"cannot lock {paths.lock}: {error.strerror or error}") from None


def _flock(file: TextIO) -> None:
    """Lock the file; wait a moment for `is_locked` of another process, which holds it briefly."""
    for _ in range(20):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.01)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
