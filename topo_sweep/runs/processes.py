"""Processes as Linux tells them: who started whom, when, and what is asked for this one.

Not here: Ray, and anything heavy, since a command imports this before it knows what it will do.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DIE_WITH_PARENT: Final = 1
_ADOPT_ORPHANS: Final = 36
"""Numbers of Linux, see prctl(2)."""
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Numbers of glibc, see mallopt(3)."""
_LARGEST_KEPT: Final = 2**25
"""Bytes; glibc takes no more."""
_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Process:
    """A process for good: its number may be another's later, but not with the same start."""

    pid: int
    start: int
    """In clock ticks since the machine started."""

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Return the process of this number that computes now; a zombie does not."""
        fields = _stat(pid)
        return None if fields is None or fields[0] == "Z" else cls(pid, int(fields[19]))

    @property
    def is_running(self) -> bool:
        """Whether it computes still."""
        return Process.of(self.pid) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def children_of(parent: int) -> Iterator[int]:
    """Yield the children of a process, zombies among them."""
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields is not None and int(fields[1]) == parent:
            yield int(folder.name)


def below(parents: Collection[int]) -> set[Process]:
    """Return all running processes that descend from these."""
    found: set[Process] = set()
    waiting = list(parents)
    while waiting:
        children = [child for pid in children_of(waiting.pop()) if (child := Process.of(pid))]
        waiting += [child.pid for child in children if child not in found]
        found.update(children)
    return found


def end(processes: Collection[Process], *, seconds: float) -> None:
    """Ask processes to end, kill those that run still after so long, and wait until they are gone.

    Raises:
        PermissionError: one is another user's.

    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            process.signal(number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(process.is_running for process in processes):
            time.sleep(_LOOK_SECONDS)


def boot_id() -> str:
    """Return what names the time since this machine started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def adopt_orphans() -> None:
    """Become the parent of whatever processes below this one leave behind."""
    _asked("prctl", _ADOPT_ORPHANS, 1, 0, 0, 0)


def die_with_parent(number: signal.Signals) -> None:
    """Get this signal when the parent ends."""
    _asked("prctl", _DIE_WITH_PARENT, number, 0, 0, 0)


def keep_freed_memory() -> None:
    """Keep blocks of up to 32 MiB that are freed for what comes next, until the process ends.

    By default glibc hands them back at once, and Linux fills each new one with zeros: that can be a
    quarter of a step of a packed network.
    """
    _asked("mallopt", _MMAP_THRESHOLD, _LARGEST_KEPT)
    _asked("mallopt", _TRIM_THRESHOLD, -1)


def _stat(pid: int) -> list[str] | None:
    """Return what stands behind the name, which may hold anything: state, parent, ..."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()


def _asked(function: str, *arguments: int) -> None:
    """Call a function of the C library on Linux, if that has it: musl lacks `mallopt`."""
    if sys.platform == "linux" and (call := getattr(ctypes.CDLL(None), function, None)):
        call(*arguments)
