"""A trainable that trains nothing, for what Ray and the driver cost beside training."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from nas_core.training.epochs import EpochMetrics
from topo_sweep.runs.on_ray.worker import TrialTrainable
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.runner import Outcome, Report, Together
from topo_sweep.spec.trials import Runnable


def reports_of(trial: Runnable | Pack, *, seconds: float = 0.0) -> Iterator[Report | Together]:
    """Sleep, then yield at once what trainings report."""
    time.sleep(seconds)
    members = trial.members if isinstance(trial, Pack) else (trial,)
    for number in range(members[0].epochs):
        epoch = EpochMetrics(
            epoch=number,
            learning_rate=0.0,
            train_loss=1.0,
            train_accuracy=0.5,
            val_accuracy=None,
            test_accuracy=0.5,
            seconds=seconds / members[0].epochs,
        )
        together = tuple((member, epoch) for member in range(len(members)))
        yield Together(together) if isinstance(trial, Pack) else epoch
    ending = Outcome(status="ok")
    endings = tuple((member, ending) for member in range(len(members)))
    yield Together(endings, is_last=True) if isinstance(trial, Pack) else ending


class NoTraining(TrialTrainable):
    """The real trainable; its trials sleep for `seconds` and report at once what trainings do."""

    seconds = 0.0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial."""
        self._reports = reports_of(new_config.pop("trial"), seconds=self.seconds)
        return True
