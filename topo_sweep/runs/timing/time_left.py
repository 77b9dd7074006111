"""How long a run still takes: how fast epochs are now, who works, and who is free first.

What the rows of a store say of epochs is in `pace.py`.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nas_core.training.epochs import Steps

_MEMORY: Final = 6
"""Epochs of each worker over which a pace is averaged: fewer follow noise, more lag behind.

With six, estimates move by less than 15% from epoch to epoch where epochs vary by 40%; ten epochs
after all of them take twice as long, an estimate is within 10%.
"""
_LARGEST_CHANGE: Final = 0.12
"""Of a pace, by one epoch, as a fraction of it."""
_LEAST_ERROR: Final = 0.1
_ERROR_OF_STEPS: Final = 0.25
"""Of an estimate, as a share of it: at least, and where it rests on a few steps of an epoch."""
_WORKER_FREE_SECONDS: Final = 10.0
"""A worker whose trial has ended counts as working for so long, until it begins another."""


@dataclass
class _EpochPace:
    """Seconds of an epoch of one workload, followed from epoch to epoch."""

    seconds: float
    epochs: int = 1
    deviation: float = _ERROR_OF_STEPS
    """Mean distance of an epoch from the pace, as a share of it, followed likewise."""

    def follow(self, seconds: float, *, workers: int) -> None:
        self.epochs += 1
        distance = abs(seconds / self.seconds - 1)
        self.deviation += (distance - self.deviation) / min(self.epochs, _MEMORY * workers)
        change = (seconds - self.seconds) / min(self.epochs, _MEMORY * workers)
        most = _LARGEST_CHANGE * self.seconds
        self.seconds += max(-most, min(change, most))


class TimeLeft:
    """The estimate of one run, which is told what its workers do.

    An epoch counts with the time since its trial's last report, saving and handing over included;
    where the worker has just begun, with the seconds that the worker says, so that its start
    counts for nothing. Workloads that were not measured count like the mean of the others.
    """

    def __init__(self) -> None:
        self._paces: dict[str, _EpochPace] = {}
        self._first_steps: dict[str, _EpochPace] = {}
        self._reported_at: dict[str, float] = {}
        """Of each trial that runs, when it told of an epoch, or else when its worker was free."""
        self._new_workers: set[str] = set()
        """Trials whose worker had none before and has told of no epoch yet."""
        self._freed_at: list[float] = []

    @property
    def from_first_steps(self) -> bool:
        """Whether the first steps of an epoch are all that is known: none has ended yet."""
        return bool(self._first_steps) and not self._paces

    @property
    def error(self) -> float:
        """How far an estimate may be off, as a share of it: more where epochs vary, or are few."""
        if not self._paces:
            return _ERROR_OF_STEPS
        return max(_LEAST_ERROR, *(pace.deviation for pace in list(self._paces.values())))

    def start(self, trial_id: str) -> None:
        """Note that a worker has a trial."""
        if trial_id in self._reported_at:
            return
        freed = self._freed()
        self._freed_at = freed[1:]
        self._reported_at[trial_id] = freed[0] if freed else time.monotonic()
        if not freed:
            self._new_workers.add(trial_id)

    def steps(self, trial_id: str, workload: str, steps: Steps) -> None:
        """Note how far a trial is in its first epoch; an epoch that has ended says more."""
        if workload in self._paces:
            return
        _followed(self._first_steps, workload, steps.epoch_seconds, self._workers)
        if trial_id in self._new_workers:
            self._reported_at[trial_id] = time.monotonic() - steps.share * steps.epoch_seconds

    def epoch(self, trial_id: str, workload: str, seconds: float) -> None:
        """Note an epoch's end, and how long its worker says that it took."""
        now = time.monotonic()
        if trial_id not in self._new_workers:
            seconds = now - self._reported_at[trial_id]
        self._new_workers.discard(trial_id)
        self._reported_at[trial_id] = now
        _followed(self._paces, workload, seconds, self._workers)

    def end(self, trial_id: str) -> None:
        """Note that a trial has ended: its worker is free."""
        if self._reported_at.pop(trial_id, None) is not None:
            self._freed_at = [*self._freed(), time.monotonic()]
        self._new_workers.discard(trial_id)

    def seconds(
        self, work: Mapping[str, tuple[str, int]], running: Mapping[str, int]
    ) -> float | None:
        """Return the time until the last trial ends, were each to begin as a worker gets free.

        Args:
            work: workload and epochs of each trial that has not ended.
            running: epochs done by each trial that runs.

        """
        known = self._first_steps | self._paces
        if not known:
            return None
        epochs = sum(pace.epochs for pace in known.values())
        mean = sum(pace.seconds * pace.epochs for pace in known.values()) / epochs
        now = time.monotonic()
        free_in, waiting = [0.0] * len(self._freed()), []
        for trial_id, (workload, total) in list(work.items()):
            pace = known[workload].seconds if workload in known else mean
            left = max(total - running.get(trial_id, 0), 0) * pace
            if trial_id in running:
                since = now - self._reported_at.get(trial_id, now)
                free_in.append(max(left - min(since, pace), 0.0))
            else:
                waiting.append(left)
        free_in = free_in or [0.0]
        heapq.heapify(free_in)
        for seconds in waiting:
            heapq.heapreplace(free_in, free_in[0] + seconds)
        return max(free_in)

    @property
    def _workers(self) -> int:
        return len(self._reported_at) + len(self._freed())

    def _freed(self) -> list[float]:
        """Return when each worker got free that still is to begin another trial."""
        since = time.monotonic() - _WORKER_FREE_SECONDS
        return [freed_at for freed_at in self._freed_at if freed_at >= since]


def _followed(paces: dict[str, _EpochPace], workload: str, seconds: float, workers: int) -> None:
    """Let the pace of a workload follow an epoch."""
    seconds = max(seconds, 1e-3)
    if workload in paces:
        paces[workload].follow(seconds, workers=workers)
    else:
        paces[workload] = _EpochPace(seconds)
