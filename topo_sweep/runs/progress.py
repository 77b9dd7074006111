"""How a run goes: counts, speed, time left; one live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from nas_core.files import remove, write_durably
from topo_sweep.analysis.text import duration_with_range
from topo_sweep.runs.timing.time_left import TimeLeft

if TYPE_CHECKING:
    from rich.live import Live

    from nas_core.training.epochs import Steps
    from topo_sweep.runs.plan import Plan

_PLAIN_SECONDS = 30.0
_LIVE_SECONDS = 0.5
_PUBLISH_SECONDS = 3.0
_SLOW_SECONDS = 0.005
_STANDS_FOR = 50.0
"""An estimate that takes longer, of very many trials, stands so many times as long as it took."""


@dataclass
class Progress:
    """The state of a run. One thread changes it, any may read it.

    Args:
        planned: trials of the request.
        ok, diverged, failed: those with a row, before this run and in it.
        images: training images an epoch; 0 where an image of one trial is not one of another.
        metric: accuracy that `best` is of.
        work: workload and epochs of each trial that is to run, by id.

    """

    planned: int
    ok: int = 0
    diverged: int = 0
    failed: int = 0
    images: int = 0
    metric: str = "test"
    best: tuple[float, str] | None = None
    """Best last-epoch accuracy (a fraction) of this run and the name of its network."""
    work: dict[str, tuple[str, int]] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    """Epochs done by each trial that runs now."""
    waits_for_machines: bool = False
    """Whether there is none that could train."""
    _time_left: TimeLeft = field(default_factory=TimeLeft)
    worker_seconds: float = 0.0
    """That workers took for the epochs of this run, all workers together."""
    _epochs_trained: int = 0
    _started_at: float | None = None
    _estimate: float | None = None
    _estimate_stands_until: float = 0.0

    @classmethod
    def of(cls, plan: Plan, *, images: int) -> Progress:
        """Return the progress of a plan before anything of it runs."""
        holds_searches = any(trial.finds_cell for trial in plan.trials.values())
        return cls(
            planned=len(plan.trials),
            ok=plan.count("ok"),
            diverged=plan.count("diverged"),
            failed=0 if plan.retry_failed else plan.count("failed"),
            images=0 if holds_searches else images,
            metric="val" if plan.spec.data.holdout else "test",
            work={key: (trial.workload, trial.epochs) for key, trial in plan.left.items()},
        )

    def start(self, trial_id: str, epochs_done: int = 0) -> None:
        """Note that a trial begins, or that its checkpoint held some epochs."""
        if self._started_at is None:
            self._started_at = time.monotonic()
        self.running[trial_id] = epochs_done
        self._time_left.start(trial_id)

    def steps(self, trial_id: str, steps: Steps) -> None:
        """Note how far a trial is in its first epoch of this run."""
        self._time_left.steps(trial_id, self.work[trial_id][0], steps)

    def epoch(self, trial_id: str, epochs_done: int, *, seconds: float) -> None:
        """Note one more epoch of a trial and how long its worker took (for a whole pack)."""
        if trial_id not in self.running:
            self.start(trial_id)
        self.running[trial_id] = epochs_done
        self._time_left.epoch(trial_id, self.work[trial_id][0], seconds)
        self._epochs_trained += 1

    def end(self, trial_id: str, status: str) -> None:
        """Note how a trial ended."""
        self.running.pop(trial_id, None)
        self.work.pop(trial_id, None)
        self._time_left.end(trial_id)
        if status == "ok":
            self.ok += 1
        elif status == "diverged":
            self.diverged += 1
        else:
            self.failed += 1

    def put_back(self, trial_id: str) -> None:
        """Note that a trial that ran waits again, to start over."""
        self.running.pop(trial_id, None)
        self._time_left.end(trial_id)

    def drop(self, trial_ids: Sequence[str], *, will_come: bool) -> None:
        """Note that these trials do not run: there is nothing to evaluate, now or ever."""
        if not will_come:
            self.planned -= len(trial_ids)
        for trial_id in trial_ids:
            self.work.pop(trial_id, None)

    @property
    def done(self) -> int:
        """Trials with a result."""
        return self.ok + self.diverged

    @property
    def left(self) -> int:
        """Trials without a row."""
        return self.planned - self.done - self.failed

    @property
    def images_per_second(self) -> float | None:
        """Training images a second over all workers since the first trial began."""
        if not self._epochs_trained or not self.images:
            return None
        return self._epochs_trained * self.images / self._elapsed

    @property
    def seconds_left(self) -> float | None:
        """Estimate: the work left at the pace of now, on as many workers as now."""
        if time.monotonic() >= self._estimate_stands_until:
            began = time.thread_time()
            self._estimate = self._time_left.seconds(self.work, self.running)
            if (took := time.thread_time() - began) > _SLOW_SECONDS:
                self._estimate_stands_until = time.monotonic() + _STANDS_FOR * took
        return self._estimate

    @property
    def _elapsed(self) -> float:
        """Seconds since the first trial began, never 0."""
        started = self._started_at
        return max(time.monotonic() - started, 1e-3) if started is not None else 1e-3

    def line(self) -> str:
        """Return the whole state in one line."""
        parts = [f"{self.done}/{self.planned} done", self._running_text()]
        if self.waits_for_machines:
            parts.append("waits for machines")
        if self.diverged:
            parts.append(f"{self.diverged} diverged")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if (speed := self.images_per_second) is not None:
            parts.append(f"{speed:,.0f} images/s")
        if (seconds := self.seconds_left) is not None:
            left = duration_with_range(seconds, self._time_left.error)
            if self._time_left.from_first_steps:
                parts.append(f"about {left} left, from the first steps")
            else:
                parts.append(f"{left} left")
        if self.best is not None:
            parts.append(f"best {self.metric} {self.best[0]:.2%} ({self.best[1]})")
        return " · ".join(parts)

    def _running_text(self) -> str:
        """Return how many trials run, and of a single one, which may take hours, how far it is."""
        running = list(self.running.items())
        if len(running) == 1 and running[0][1]:
            trial_id, epochs_done = running[0]
            return f"1 running, {epochs_done} of {self.work[trial_id][1]} epochs"
        return f"{len(running)} running"

    def publish(self, path: Path) -> None:
        """Write the state for `topo-sweep status`; that this fails must not stop a sweep."""
        value = {
            "running": len(self.running),
            "images_per_second": self.images_per_second,
            "seconds_left": self.seconds_left,
            "from_first_steps": self._time_left.from_first_steps,
        }
        with contextlib.suppress(OSError):
            write_durably(path, json.dumps(value).encode())


@contextlib.contextmanager
def reported(progress: Progress, path: Path, stream: TextIO | None = None) -> Iterator[None]:
    """Show the progress on `stream` (stderr) and in the file at `path` until the block ends."""
    stream = stream or sys.stderr
    with contextlib.ExitStack() as stack:
        stack.callback(remove, path)
        progress.publish(path)  # a killed run may have left its own
        stack.enter_context(_repeated(_PUBLISH_SECONDS, lambda: progress.publish(path)))
        if stream.isatty():
            stack.enter_context(_live_line(progress, stream))
        else:

            def show() -> None:
                print(progress.line(), file=stream, flush=True)

            stack.callback(show)
            stack.enter_context(_repeated(_PLAIN_SECONDS, show))
        yield


def _live_line(progress: Progress, stream: TextIO) -> Live:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    def line() -> Text:
        return Text(progress.line(), no_wrap=True, overflow="ellipsis")

    console = Console(file=stream)
    return Live(get_renderable=line, console=console, refresh_per_second=1 / _LIVE_SECONDS)


@contextlib.contextmanager
def _repeated(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """Call `action` every so many seconds on a thread of its own until the block ends."""
    ended = threading.Event()

    def loop() -> None:
        while not ended.wait(seconds):
            action()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
