"""Seconds a trial that Ray adds beyond training: 500 trials that train nothing.

Run: python benchmarks/ray_overhead.py [TRIALS]

The trials go through the real driver, searcher, callback, recorder and Parquet store; only the
trainable differs: it reports the epochs of the demo at once. The same trials are also recorded
without Ray, so that the ratio of the two says what Ray costs on this machine in this run.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray import tune

from nas_core.training.epochs import EpochMetrics
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.on_ray import cluster
from topo_sweep.runs.on_ray.driver import run_on_ray
from topo_sweep.runs.on_ray.worker import Job
from topo_sweep.runs.plan import Plan, make_plan
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Execution, Outcome, Resources
from topo_sweep.runs.sweep import start_progress
from topo_sweep.spec.load import Overrides, load_spec


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
        self, config: dict[str, Any], *, job: Job, arrays: Mapping[str, Any]
    ) -> None:
        """Take what the real trainable takes."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial."""
        self._epochs: int = new_config["trial"].epochs
        self._history: list[EpochMetrics] = []
        return True

    def step(self) -> dict[str, Any]:
        """Report an epoch, or after the last one the outcome."""
        if len(self._history) < self._epochs:
            self._history.append(metrics(len(self._history)))
            return {"epoch": json.dumps(asdict(self._history[-1]))}
        outcome = Outcome(status="ok", history=tuple(self._history))
        return {"outcome": json.dumps(outcome.to_dict()), "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save nothing."""

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Load nothing."""


def on_ray(plan: Plan, recorder: Recorder) -> None:
    """Run the plan through the real driver."""
    job = Job(execution=Execution(), checkpoints=None)
    run_on_ray(
        Agenda(plan.left, plan.found),
        job=job,
        arrays={},
        resources=Resources(cpus=1, gpus=0),
        recorder=recorder,
        interrupts=Interrupts(),
        trainable=NoTraining,
    )


def without_ray(plan: Plan, recorder: Recorder) -> None:
    """Record the same reports in a loop."""
    for trial_id in plan.left:
        recorder.start(trial_id)
        history = tuple(metrics(epoch) for epoch in range(plan.spec.protocol.epochs))
        for report in history:
            recorder.epoch(trial_id, report)
        recorder.end(trial_id, Outcome(status="ok", history=history))


def timed(execute: Callable[[Plan, Recorder], None], trials: int) -> float:
    """Return seconds a trial, rows on disk included."""
    spec = load_spec("demo", Overrides(topologies="0", seeds=f"0-{trials - 1}"))
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(spec, Path(folder))
        plan.store.create_folders()
        recorder = Recorder(plan, fingerprint="none", progress=start_progress(plan, images=1))
        started = time.perf_counter()
        execute(plan, recorder)
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
