"""The Ray Tune trainable around `runner.TrialRunner`: one actor runs many trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ray import tune

from nas_core.data.splits import Split
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.images import ImagesByPath
from topo_sweep.runs.on_ray.failures import Faults
from topo_sweep.runs.runner import Outcome, Report, Together, TrialRunner
from topo_sweep.store.paths import StorePaths


class TrialTrainable(tune.Trainable):
    """`step` gives one report, the last one the outcome; state lives in our own checkpoints.

    A config holds a `trial`. The images stay in the actor from trial to trial.
    """

    def setup(  # type: ignore[override] # tune.with_parameters adds the keywords
        self,
        config: dict[str, Any],
        *,
        execution: Execution,
        paths: StorePaths,
        arrays: Mapping[str, Any] | ImagesByPath,
    ) -> None:
        """Take the images (shared, not copied), or read them here, and begin the first trial."""
        self.config = {}  # Tune adds it to every report
        self._faults = Faults(paths)
        self._on_gpu = execution.device == "cuda"
        images = arrays.read() if isinstance(arrays, ImagesByPath) else Split.from_arrays(arrays)
        self._runner = TrialRunner(images, execution=execution, paths=paths)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial; nothing of the one before is left in the runner."""
        self._reports: Iterator[Report | Together] = self._runner.run(new_config.pop("trial"))
        return True

    def step(self) -> dict[str, Any]:
        """Return one report as an object, so that Tune does not take it to pieces."""
        report = next(self._reports)
        is_last = report.is_last if isinstance(report, Together) else isinstance(report, Outcome)
        if not is_last:
            return {"report": report}
        ended = report.failure if isinstance(report, Together) else report
        if self._on_gpu and isinstance(ended, Outcome) and ended.error and ended.failure == "error":
            # A CUDA error can outlive its trial: end the actor, so that the next one is clean.
            raise RuntimeError(ended.error)
        return {"report": report, "done": True}

    def cleanup(self) -> None:
        """End this worker well."""
        self._faults.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing: Tune's state is never read back."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Load nothing."""
