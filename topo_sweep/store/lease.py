"""A lease on a sweep elsewhere: what keeps two drivers apart where no file can be locked.

An object `lease.json` names who writes, and is written again every few seconds. How old it is, is
told by the clock of the place alone. A lease that is no longer renewed may be taken over, at once
on the same machine with the same working copy, since its lock is free then. pyarrow cannot write
on the condition that there is nothing yet. So of two that begin in the same moment both write and
wait, and the last one stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from nas_core.errors import InputError, TopoSweepError
from nas_core.files import TEMPORARY
from topo_sweep.store.remote import Remote

_LIFE_SECONDS: Final = 60.0
"""A lease that was not renewed for so long is nobody's."""
_BEAT_SECONDS: Final = 10.0
_PATIENCE: Final = 10
"""Who writes a lease looks again after so many times what reading and writing it took."""
_MOST_PATIENCE_SECONDS: Final = 5.0


class LeaseLostError(TopoSweepError):
    """Another driver has taken the sweep over: what this one has not written, that one trains."""


class Lease:
    """The right to write to one sweep, from `take` to `give_back`.

    Args:
        remote: where it lies.
        path: of the lease, in the working copy.
        beat: called with each heartbeat.

    """

    def __init__(self, remote: Remote, path: Path, beat: Callable[[], None]) -> None:
        self._remote = remote
        self._path = path
        self._beat = beat
        self._owner = uuid.uuid4().hex
        self._count = 0
        self._renewed_at = -float("inf")
        self._lost_to: str | None = None
        self._ended = threading.Event()
        self._mutex = threading.Lock()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def take(self) -> None:
        """Take the lease and renew it from now on.

        Raises:
            InputError: somebody has it, or it cannot be written there.

        """
        try:
            began = time.monotonic()
            held = self._read()
            if held is not None and not self._is_left_here(held):
                self._refuse_while_it_lives(held)
            self._write()
            # Who saw the same as we has written by then.
            time.sleep(min(_PATIENCE * (time.monotonic() - began), _MOST_PATIENCE_SECONDS))
            held = self._read() or {}
        except OSError as error:
            raise InputError(
                f"cannot write results to {self._path.parent}: {error.strerror or error}; see "
                "whether the place and the credentials are right, or choose another with --results"
            ) from None
        if held.get("owner") != self._owner:
            raise self._in_use(held, "who began at the same moment")
        self._thread.start()

    def check(self) -> None:
        """Be sure to have the lease still; call before anything is written.

        Raises:
            LeaseLostError: another driver has it.
            OSError: that cannot be found out now.

        """
        if self._lost_to is None and _seconds() - self._renewed_at > _LIFE_SECONDS / 2:
            self._renew()
        self.refuse_if_lost()

    def refuse_if_lost(self) -> None:
        """Stop a driver whose lease is known to be lost.

        Raises:
            LeaseLostError: another driver has it.

        """
        if self._lost_to is not None:
            raise LeaseLostError(
                f"{self._path.parent} was taken over by {self._lost_to}, since nothing was heard "
                f"from here for {_LIFE_SECONDS:.0f} s: this run ends, and what it had not written "
                "is trained there"
            )

    def stop_beating(self) -> None:
        """Renew the lease no more."""
        self._ended.set()
        self._thread.join()

    def give_back(self) -> None:
        """Let the next driver in; a lease that cannot be removed ends by itself."""
        with contextlib.suppress(OSError):
            if (self._read() or {}).get("owner") == self._owner:
                self._remote.delete(self._path)

    def _keep(self) -> None:
        while not self._ended.wait(_BEAT_SECONDS) and self._lost_to is None:
            with contextlib.suppress(OSError):  # `check` finds out whether it is still ours
                self._renew()
                if self._lost_to is None:
                    self._beat()

    def _renew(self) -> None:
        with self._mutex:
            held = self._read()
            if held is None or held.get("owner") != self._owner:
                self._lost_to = "another run, which has ended" if held is None else _named(held)
                return
            self._write()

    def _read(self) -> Mapping[str, Any] | None:
        try:
            value = json.loads(self._remote.get(self._path, tries=2))
        except FileNotFoundError:
            return None
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def _write(self) -> None:
        self._count += 1
        value = {
            "owner": self._owner,
            "process": os.getpid(),
            "host": socket.gethostname(),
            "copy_id": self._remote.place.copy_id,
            "beat": self._count,
        }
        began = _seconds()
        self._remote.put(self._path, json.dumps(value).encode())
        self._renewed_at = began

    def _is_left_here(self, held: Mapping[str, Any]) -> bool:
        """Return whether who had it is dead: it locked a file that this driver has locked now."""
        here = self._remote.place.copy_id, socket.gethostname()
        return (held.get("copy_id"), held.get("host")) == here

    def _refuse_while_it_lives(self, held: Mapping[str, Any]) -> None:
        probe = self._path.with_name(f".probe-{uuid.uuid4().hex}{TEMPORARY}")
        self._remote.put(probe, b"")
        now, written_at = self._remote.written_at(probe), self._remote.written_at(self._path)
        self._remote.delete(probe)
        if now is None or written_at is None:
            return
        age = (now - written_at).total_seconds()
        if age < _LIFE_SECONDS:
            raise self._in_use(held, f"last heard of {age:.0f} s ago")

    def _in_use(self, held: Mapping[str, Any], more: str) -> InputError:
        return InputError(
            f"{self._path.parent} is in use by {_named(held)}, {more}: wait for it or stop it; one "
            f"that was killed keeps others out for {_LIFE_SECONDS:.0f} s (reading with status, "
            "rank and plot is fine)"
        )


def _seconds() -> float:
    """Return a clock that also counts while the machine sleeps, where there is one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def is_leased(remote: Remote, path: Path) -> bool:
    """Return whether a driver has the lease now, as far as the clocks here and there agree.

    Raises:
        OSError: as the file system says.

    """
    written_at = remote.written_at(path)
    if written_at is None:
        return False
    return (datetime.now(UTC) - written_at).total_seconds() < _LIFE_SECONDS


def _named(held: Mapping[str, Any]) -> str:
    return f"process {held.get('process', '?')} on {held.get('host', 'a machine')}"
