"""The processes of a program that a test ends from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def children(pid: int) -> set[int]:
    """Return all processes below this one."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "ppid=,pid="], capture_output=True, text=True, check=False
    )
    of: dict[int, list[int]] = {}
    for line in listing.stdout.splitlines():
        parent, child = map(int, line.split())
        of.setdefault(parent, []).append(child)
    below: set[int] = set()
    waiting = [pid]
    while waiting:
        fresh = set(of.get(waiting.pop(), ())) - below
        below |= fresh
        waiting += fresh
    return below


def named(part: str, pids: set[int]) -> set[int]:
    """Return those of these processes that have this in their name or arguments."""
    return {pid for pid in pids if part in _said_by("cmdline", pid)}


def is_running(pid: int) -> bool:
    """Whether this process still computes (a zombie does not)."""
    state = _said_by("stat", pid).rpartition(")")[2].split()
    return bool(state) and state[0] != "Z"


def kill(*pids: int) -> None:
    """Kill processes at once, as a machine does that loses power."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for what this process does, which must not end before."""
    deadline = time.monotonic() + 120
    while not happened():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def wait_until_gone(pids: set[int]) -> None:
    """Wait until none of these processes computes any more."""
    deadline = time.monotonic() + 60
    while left := [pid for pid in pids if is_running(pid)]:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.2)


def _said_by(what: str, pid: int) -> str:
    """Return what the system says of a process; nothing where there is none."""
    try:
        return Path(f"/proc/{pid}/{what}").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
