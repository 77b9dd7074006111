"""A trainable that trains nothing, for what Ray and the recorder cost beside training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import tune

from nas_core.training.epochs import EpochMetrics
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.runner import Outcome
from topo_sweep.store.paths import StorePaths


def no_epoch(epoch: int) -> EpochMetrics:
    """Return the report of an epoch that took no time."""
    return EpochMetrics(
        epoch=epoch,
        learning_rate=0.0,
        train_loss=1.0,
        train_accuracy=0.5,
        val_accuracy=None,
        test_accuracy=0.5,
        seconds=0.0,
    )


class NoTraining(tune.Trainable):
    """Reports at once what a training reports, an epoch a step."""

    def setup(  # type: ignore[override] # tune.with_parameters adds the keywords
        self,
        config: dict[str, Any],
        *,
        execution: Execution,
        paths: StorePaths,
        arrays: Mapping[str, Any],
    ) -> None:
        """Take what `TrialTrainable` takes."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial."""
        self._epochs: int = new_config["trial"].epochs
        self._done = 0
        return True

    def step(self) -> dict[str, Any]:
        """Report an epoch, or after the last one the outcome."""
        if self._done == self._epochs:
            return {"report": Outcome(status="ok"), "done": True}
        self._done += 1
        return {"report": no_epoch(self._done - 1)}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Load nothing."""
