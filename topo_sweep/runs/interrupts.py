"""Stop a run without losing a result: the first signal at a safe point, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SAME_SECONDS = 0.5
"""Signals that come within this time are one."""


class Interrupts:
    """Turns SIGINT, SIGTERM and SIGHUP into a KeyboardInterrupt where it does no harm.

    `check` is called at safe points and raises if a signal came; inside `immediate` a signal
    raises wherever it finds the program. A second signal ends the process at once, but for one that
    comes with the first: SLURM and systemd send theirs to every process of a run, which also gets
    what its parent passes on.
    """

    def __init__(self) -> None:
        self._requested = False
        self._heard_at: float | None = None
        self._immediate = False

    def stop(self) -> None:
        """Stop the run at the next safe point, as a signal would."""
        self._requested = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal came, or `stop` was called."""
        if self._requested:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch signals inside the block (in the main thread; elsewhere do nothing)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # What is ignored stays so: `nohup` means that a hang-up is not to end the run.
        heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        previous = {number: signal.signal(number, self._handle) for number in heard}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def immediate(self) -> Iterator[None]:
        """Let a signal interrupt whatever runs inside the block."""
        self._immediate = True
        try:
            self.check()  # last: a signal that comes from here on raises by itself
            yield
        finally:
            self._immediate = False

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._heard_at is not None:
            if now - self._heard_at < _SAME_SECONDS:
                return
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._requested, self._heard_at = True, now
        if self._immediate:
            raise KeyboardInterrupt
