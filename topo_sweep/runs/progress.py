"""How a run goes: counts, speed, time left; one live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from nas_core.files import write_durably

_PLAIN_SECONDS = 30.0
_LIVE_SECONDS = 0.5
_PUBLISH_SECONDS = 3.0


@dataclass
class Progress:
    """The state of a run. One thread changes it, any may read it.

    Args:
        planned: trials of the request.
        ok, diverged, failed: those with a row, before this run and in it.
        epochs: of one trial.
        images: training images an epoch.
        kinds: where trials differ in cost, their kind by id; `epochs_left` then holds the epochs
            of each trial that has no row yet.

    """

    planned: int
    ok: int = 0
    diverged: int = 0
    failed: int = 0
    epochs: int = 1
    images: int = 0
    best: tuple[float, str] | None = None
    """Best last-epoch accuracy (a fraction) of this run and the name of its network."""
    metric: str = "test"
    kinds: Mapping[str, str] = field(default_factory=dict)
    epochs_left: dict[str, int] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    """Epochs done by each trial that runs now."""
    _spent: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Epochs of each kind in this run and the seconds that workers took for them."""
    _epochs_trained: int = 0
    _started_at: float | None = None

    def start(self, trial_id: str, epochs_done: int = 0) -> None:
        """Note that a trial begins."""
        if self._started_at is None:
            self._started_at = time.monotonic()
        self.running[trial_id] = epochs_done

    def epoch(self, trial_id: str, epochs_done: int, *, seconds: float = 0.0) -> None:
        """Note one more epoch of a trial and how long its worker took for it."""
        if (kind := self.kinds.get(trial_id)) is not None:
            epochs, spent = self._spent.get(kind, (0, 0.0))
            self._spent[kind] = epochs + 1, spent + seconds
        if trial_id not in self.running:
            self.start(trial_id)
        self.running[trial_id] = epochs_done
        self._epochs_trained += 1

    def end(self, trial_id: str, status: str) -> None:
        """Note how a trial ended."""
        self.running.pop(trial_id, None)
        self.epochs_left.pop(trial_id, None)
        if status == "ok":
            self.ok += 1
        elif status == "diverged":
            self.diverged += 1
        else:
            self.failed += 1

    def drop(self, trial_ids: Sequence[str]) -> None:
        """Note that these trials will not run: there is nothing to evaluate."""
        self.planned -= len(trial_ids)
        for trial_id in trial_ids:
            self.epochs_left.pop(trial_id, None)

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
        """Training images a second over all workers since the first trial began.

        None where trials differ in kind: an image of a search is not one of a training.
        """
        if not self._epochs_trained or self.kinds:
            return None
        return self._epochs_trained * self.images / self._elapsed

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the epochs that this run has trained so far, each kind by its own."""
        if not self._epochs_trained:
            return None
        if self.kinds:
            return self._seconds_left_by_kind()
        epochs_left = self.left * self.epochs - sum(self.running.values())
        return epochs_left * self._elapsed / self._epochs_trained

    def _seconds_left_by_kind(self) -> float | None:
        """Return the work left at the seconds an epoch of its kind, over the busy workers.

        A kind of which no epoch has ended yet counts like the mean of the others.
        """
        epochs = sum(count for count, _ in self._spent.values())
        busy_seconds = sum(seconds for _, seconds in self._spent.values())
        if not epochs or not busy_seconds:
            return None
        work = 0.0
        for trial_id, left in self.epochs_left.items():
            count, seconds = self._spent.get(self.kinds[trial_id], (epochs, busy_seconds))
            work += max(left - self.running.get(trial_id, 0), 0) * seconds / count
        return work * self._elapsed / busy_seconds

    @property
    def _elapsed(self) -> float:
        """Seconds since the first trial began, never 0."""
        started = self._started_at
        return max(time.monotonic() - started, 1e-3) if started is not None else 1e-3

    def line(self) -> str:
        """Return the whole state in one line."""
        parts = [f"{self.done}/{self.planned} done", self._running_text()]
        if self.diverged:
            parts.append(f"{self.diverged} diverged")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if (speed := self.images_per_second) is not None:
            parts.append(f"{speed:,.0f} images/s")
        if (seconds := self.seconds_left) is not None:
            parts.append(f"{duration(seconds)} left")
        if self.best is not None:
            parts.append(f"best {self.metric} {self.best[0]:.2%} ({self.best[1]})")
        return " · ".join(parts)

    def _running_text(self) -> str:
        """Return how many trials run, and of a single one, which may take hours, how far it is."""
        running = list(self.running.items())
        if len(running) == 1 and running[0][1]:
            trial_id, epochs_done = running[0]
            epochs = self.epochs_left.get(trial_id, self.epochs)
            return f"1 running, {epochs_done} of {epochs} epochs"
        return f"{len(running)} running"

    def publish(self, path: Path) -> None:
        """Write the state for `topo-sweep status`; that this fails must not stop a sweep."""
        value = {
            "running": len(self.running),
            "images_per_second": self.images_per_second,
            "seconds_left": self.seconds_left,
        }
        with contextlib.suppress(OSError):
            write_durably(path, json.dumps(value).encode())


def duration(seconds: float) -> str:
    """Return a length of time as a person says it: '42 s', '3 min 20 s', '5 h 10 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole / 86400:.1f} days"


@contextlib.contextmanager
def shown(progress: Progress, path: Path, stream: TextIO | None = None) -> Iterator[None]:
    """Show the progress on `stream` (stderr) and in the file at `path` until the block ends."""
    stream = stream or sys.stderr
    with contextlib.ExitStack() as stack:
        stack.callback(path.unlink, missing_ok=True)
        progress.publish(path)  # a killed run may have left its own
        stack.enter_context(_repeated(_PUBLISH_SECONDS, lambda: progress.publish(path)))
        if stream.isatty():
            stack.enter_context(_live_line(progress, stream))
        else:
            show = _plain_printer(progress, stream)
            stack.callback(show)
            stack.enter_context(_repeated(_PLAIN_SECONDS, show))
        yield


@contextlib.contextmanager
def _live_line(progress: Progress, stream: TextIO) -> Iterator[None]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    def line() -> Text:
        return Text(progress.line(), no_wrap=True, overflow="ellipsis")

    console = Console(file=stream)
    with Live(get_renderable=line, console=console, refresh_per_second=1 / _LIVE_SECONDS):
        yield


def _plain_printer(progress: Progress, stream: TextIO) -> Callable[[], None]:
    def show() -> None:
        print(progress.line(), file=stream, flush=True)

    return show


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
