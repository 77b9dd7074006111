"""What the recorder hears, epoch by epoch, and a Ctrl-C after any of them."""

from __future__ import annotations

import pytest

from nas_core.training.epochs import EpochMetrics, SearchEpoch
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Report
from topo_sweep.spec.trials import Runnable


def epochs_taken(
    patch: pytest.MonkeyPatch, *, interrupt_after: int | None = None
) -> list[tuple[str, int]]:
    """Return a list that grows by trial id and epoch of each epoch that a recorder is told.

    After `interrupt_after` of them, Ctrl-C is pressed once.
    """
    taken: list[tuple[str, int]] = []
    take = Recorder.take

    def watched(self: Recorder, trial: Runnable, report: Report) -> bool:
        ended = take(self, trial, report)
        if isinstance(report, EpochMetrics | SearchEpoch):
            taken.append((trial.trial_id, report.epoch))
            if len(taken) == interrupt_after:
                raise KeyboardInterrupt
        return ended

    patch.setattr(Recorder, "take", watched)
    return taken
