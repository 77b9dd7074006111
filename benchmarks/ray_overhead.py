"""Seconds a trial that Ray adds beyond training: 500 trials that train nothing.

Run: python benchmarks/ray_overhead.py [TRIALS]

The trials go through the real driver, searcher, callback, recorder and Parquet store; only the
trainable differs: it reports the epochs of the demo at once. The same trials are also recorded
without Ray, so that the ratio of the two says what Ray costs on this machine in this run.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune

from nas_core.data.splits import load_dataset, split
from nas_core.protocols.training import DataOptions
from nas_core.training.epochs import EpochMetrics
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.on_ray import cluster
from topo_sweep.runs.on_ray.driver import run_on_ray
from topo_sweep.runs.packs import Pack
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Outcome
from topo_sweep.spec.load import Overrides, load_spec
from topo_sweep.store.paths import StorePaths


def metrics(epoch: int) -> EpochMetrics:
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
    """Reports what a trial of the demo reports, without training."""

    def setup(  # type: ignore[override] # tune.with_parameters adds the keywords
        self,
        config: dict[str, Any],
        *,
        execution: Execution,
        paths: StorePaths,
        arrays: Mapping[str, Any],
    ) -> None:
        """Take what the real trainable takes."""
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
        return {"report": metrics(self._done - 1)}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Load nothing."""


def on_ray(agenda: Agenda, recorder: Recorder) -> None:
    """Run the agenda through the real driver."""
    run_on_ray(
        agenda,
        recorder,
        Interrupts(),
        execution=Execution(gpus=0),
        images=split(load_dataset("digits"), DataOptions(dataset="digits")),
        paths=StorePaths(Path()),
        trainable=NoTraining,
    )


def without_ray(agenda: Agenda, recorder: Recorder) -> None:
    """Record the same reports in a loop."""
    while (trial := agenda.next()) is not None:
        assert not isinstance(trial, Pack)  # noqa: S101 - none go together here
        recorder.start(trial)
        for epoch in range(trial.epochs):
            recorder.take(trial, metrics(epoch))
        recorder.take(trial, Outcome(status="ok"))


def timed(execute: Callable[[Agenda, Recorder], None], trials: int) -> float:
    """Return seconds a trial, rows on disk included."""
    spec = load_spec("demo", Overrides(topologies="0", seeds=f"0-{trials - 1}"))
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(spec, Path(folder))
        plan.store.create_folders()
        agenda = Agenda(plan.left, plan.cells_found)
        recorder = Recorder(plan, agenda, Progress.of(plan, images=1), fingerprint="none")
        started = time.perf_counter()
        execute(agenda, recorder)
        recorder.close()
        seconds = time.perf_counter() - started
        assert len(plan.store.trials()) == trials  # noqa: S101 - a lost trial is no fast one
    return seconds / trials


def main() -> None:
    """Print both figures and their ratio."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    alone = timed(without_ray, trials)
    with cluster.connected(cluster=False, address=None, verbose=False) as where:
        timed(on_ray, 20)  # the first actors import torch
        ray = timed(on_ray, trials)
    print(f"{where}, n = {trials} trials of 5 epochs each, nothing trained")
    print(f"on Ray        {ray:.4f} s a trial (actor start-up included)")
    print(f"without Ray   {alone:.4f} s a trial")
    print(f"ratio         {ray / alone:.0f}")


if __name__ == "__main__":
    main()
