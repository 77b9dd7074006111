"""The Ray Tune trainable around `runner.TrialRunner`: one actor runs many trials."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ray import tune

from nas_core.data.splits import Split
from topo_sweep.runs.runner import Execution, Outcome, Report, TrialRunner


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all trials of a run share, in the form in which it travels to the workers."""

    execution: Execution
    checkpoints: Path | None
    checkpoint_seconds: float = 20.0

    def runner(self, split: Split) -> TrialRunner:
        """Return the runner of one worker."""
        return TrialRunner(
            split,
            execution=self.execution,
            checkpoints=self.checkpoints,
            checkpoint_seconds=self.checkpoint_seconds,
        )


class TrialTrainable(tune.Trainable):
    """`step` is one epoch, the last one the outcome; state lives in our own checkpoints.

    A config holds `trial_id` and `trial`. The images stay in the actor from trial to
    trial.
    """

    def setup(  # type: ignore[override] # tune.with_parameters adds the keywords
        self, config: dict[str, Any], *, job: Job, arrays: Mapping[str, Any]
    ) -> None:
        """Take the images (shared, not copied) and begin the first trial."""
        self._on_gpu = job.execution.device == "cuda"
        self._runner = job.runner(Split.from_arrays(arrays))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial; nothing of the one before is left in the runner."""
        self._reports: Iterator[Report] = self._runner.run(new_config["trial"])
        return True

    def step(self) -> dict[str, Any]:
        """Return one report as JSON text, so that Tune does not take it to pieces."""
        report = next(self._reports)
        if not isinstance(report, Outcome):
            return {"epoch": json.dumps(asdict(report))}
        if report.status == "failed" and self._on_gpu:
            # A CUDA error can outlive its trial: end the actor, so that the next one is clean.
            raise RuntimeError(report.error)
        return {"outcome": json.dumps(report.to_dict()), "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing: Tune's state is never read back."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Load nothing."""
