"""A run in a process of its own, with one beside it that is left when Ray ends that.

Ray ends a driver whose node or head is gone from within its C++, where Python hears nothing, and
leaves processes behind. So the program forks before it imports anything heavy: the child runs the
command, the parent passes signals on, waits, and speaks when the child could not.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Final, NoReturn

from nas_core.errors import first_line
from topo_sweep.cli.shared.common import INTERRUPTED, say
from topo_sweep.runs.processes import adopt_orphans, children_of, die_with_parent

_COMMANDS: Final = {"run", "search", "evaluate", "promote"}
_HERE_ALONE: Final = {"--dry-run", "--help", "-h", "inline", "--executor=inline"}
_ELSEWHERE: Final = ("--cluster", "--address")
_FAILED: Final = 1
_MOST_DEATHS: Final = 5
"""Of Ray in a local run, which so is started again once less."""
_STOP_SECONDS: Final = 20.0
"""A run that was asked to stop and does not is ended after so long: its cluster may be dead."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def may_run_on_ray(arguments: Sequence[str]) -> bool:
    """Return whether a command may start or join a Ray cluster; a guess, which may be a yes."""
    return bool(_COMMANDS.intersection(arguments[:1]) and not _HERE_ALONE.intersection(arguments))


def supervised(arguments: Sequence[str], command: Callable[[], NoReturn]) -> int:
    """Run a command in a child and return its exit code; where Ray's end was its end, go on.

    A Ray of this machine is started anew, since a run goes on from its store; where a cluster was
    joined, a line says how to go on. So it does where somebody killed the child, or the machine for
    want of memory, which another start would not have. What a command raises is a failure, and no
    end of Ray.

    Args:
        arguments: of the program.
        command: ends the process that calls it.

    """
    adopt_orphans()
    parent = _Parent()
    joins = any(argument.startswith(_ELSEWHERE) for argument in arguments)
    again = shlex.join(["topo-sweep", *arguments])
    with parent.passing_signals_on():
        for death in range(1, _MOST_DEATHS + 1):
            code = parent.run(command)
            _end_orphans()
            if code is not None:
                return code
            if parent.was_stopped:
                say(f"stopped: what had ended is kept, go on with `{again}`")
                return INTERRUPTED
            if joins or death == _MOST_DEATHS or parent.killed_by == signal.SIGKILL:
                break
            how = _killed(parent.killed_by) or "Ray died on this machine"
            say(f"{how}: what had ended is kept, starting it again")
    why = f"it died {_MOST_DEATHS} times on this machine"
    if joins:
        why = "its node or the head of its cluster is gone"
    how = _killed(parent.killed_by) or f"Ray ended this run, {why}"
    say(f"topo-sweep: {how}: what had ended is kept, go on with `{again}`")
    return _FAILED


def _killed(number: int) -> str:
    """Return in words what a signal says of a run that it ended; nothing where there was none."""
    if number == signal.SIGKILL:
        return "this run was killed from outside (SIGKILL), as where the machine runs out of memory"
    if number:
        return f"this run crashed ({signal.strsignal(number)}), in Ray or another library"
    return ""


class _Parent:
    """Runs one child at a time."""

    def __init__(self) -> None:
        self._child: int | None = None
        self._previous: dict[signal.Signals, Any] = {}
        self._stops_at: float | None = None
        self.killed_by = 0
        """The signal that ended the last child; 0 where none did."""

    @property
    def was_stopped(self) -> bool:
        """Whether a signal was passed on."""
        return self._stops_at is not None

    @contextlib.contextmanager
    def passing_signals_on(self) -> Iterator[None]:
        """Pass signals on inside the block, but for those that are ignored, as by `nohup`."""
        heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        self._previous = {number: signal.signal(number, self._pass_on) for number in heard}
        try:
            yield
        finally:
            for number, handler in self._previous.items():
                signal.signal(number, handler)

    def run(self, command: Callable[[], NoReturn]) -> int | None:
        """Return the exit code of a child that ran the command, None where it could not say."""
        read, write = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(read)
            self._be_the_child(command, write)
        os.close(write)
        with os.fdopen(read, "rb") as said:
            self._wait()
            code = said.read()
        return code[0] if code else None

    def _be_the_child(self, command: Callable[[], NoReturn], write: int) -> NoReturn:
        die_with_parent(signal.SIGTERM)
        os.setpgid(0, 0)  # a terminal's Ctrl-C comes by way of the parent, and once
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        try:
            command()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else _FAILED
            os.write(write, bytes([code]))
            raise
        except Exception as error:
            if _says_that_ray_died(error):
                say(f"topo-sweep: {first_line(error)}")
                sys.exit(_FAILED)  # the parent is told nothing, as where Ray ends the process
            say("topo-sweep: an error in the program itself ended it; what had ended is kept")
            os.write(write, bytes([_FAILED]))
            raise

    def _wait(self) -> None:
        assert self._child is not None  # noqa: S101 - there is one
        while (ended := os.waitpid(self._child, os.WNOHANG)) == (0, 0):
            if self._stops_at is not None and time.monotonic() > self._stops_at:
                os.kill(self._child, signal.SIGKILL)
            time.sleep(0.05)
        self._child = None
        self.killed_by = max(-os.waitstatus_to_exitcode(ended[1]), 0)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if self._stops_at is None:
            self._stops_at = time.monotonic() + _STOP_SECONDS
        if self._child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, number)


def _says_that_ray_died(error: Exception) -> bool:
    """Return whether Ray itself raised an error, and not a function that a worker called."""
    if (of_ray := sys.modules.get("ray.exceptions")) is None:
        return False
    is_of_ray = isinstance(error, of_ray.RayError)
    return is_of_ray and not isinstance(error, of_ray.RayTaskError)


def _end_orphans() -> None:
    """End what a child has left, such as Ray's agents: on Linux it is this process's by now."""
    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline and (orphans := list(children_of(os.getpid()))):
        for orphan in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        time.sleep(0.05)
