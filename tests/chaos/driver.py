"""The program that runs a sweep, started again whenever it has ended before the sweep has."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.chaos.cluster import environment
from tests.chaos.program import OFFSET
from tests.integration.processes import children, is_running, kill, named

_PROGRAM: Final = "tests.chaos.program"
_ROOT: Final = Path(__file__).resolve().parents[2]


class Driver:
    """One request in one folder of results.

    Args:
        request: arguments of `topo-sweep`.
        folder: where it runs, in which `results` are made.
        log: is added to.
        variables: of its environment, beside those of the cluster.

    """

    def __init__(
        self,
        request: Sequence[str],
        folder: Path,
        log: Path,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._command = [sys.executable, "-m", _PROGRAM, *request]
        self._folder = folder
        self._log = log
        self._variables = variables or {}
        self.results = folder / "results"
        self.clock = folder / "clock"
        """By how many seconds the clock of the driver is off, see `program.py`."""
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self._before = 0

    def start(self) -> None:
        """Give the command, also again."""
        self.starts += 1
        self._before = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={
                    **environment(),
                    **self._variables,
                    OFFSET: str(self.clock),
                    "PYTHONPATH": str(_ROOT),
                },
                stdout=log,
                stderr=log,
            )

    @property
    def said(self) -> str:
        """What it said since its last start."""
        return self._log.read_bytes()[self._before :].decode(errors="replace")

    @property
    def ended(self) -> int | None:
        """The exit code of the last start; None while it runs."""
        return None if self.process is None else self.process.poll()

    def pids(self) -> set[int]:
        """Return the processes that drive: the one that was started and its child."""
        if self.process is None or self.process.poll() is not None:
            return set()
        pids = {self.process.pid, *named(_PROGRAM, children(self.process.pid))}
        return {pid for pid in pids if is_running(pid)}

    def kill(self) -> bool:
        """Kill all of it at once, as a machine does that loses power."""
        pids = self.pids()
        if not pids:
            return False
        kill(*pids)
        assert self.process is not None
        self.process.wait()
        while any(is_running(pid) for pid in pids):
            time.sleep(0.02)
        return True

    def interrupt(self) -> bool:
        """Do what Ctrl-C does, and wait for its end, up to two minutes."""
        if self.process is None or self.process.poll() is not None:
            return False
        os.kill(self.process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=120)
        return True
