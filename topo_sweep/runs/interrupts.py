"""Stop a run without losing a result: the first signal at a safe point, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Turns SIGINT, SIGTERM and SIGHUP into a KeyboardInterrupt where it does no harm.

    `check` is called at safe points and raises if a signal came; inside `immediate` a signal
    raises wherever it finds the program. A second signal ends the process at once.
    """

    def __init__(self) -> None:
        self._requested = False
        self._heard = False
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
        if self._heard:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._requested = self._heard = True
        if self._immediate:
            raise KeyboardInterrupt
