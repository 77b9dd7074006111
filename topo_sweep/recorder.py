"""From what workers report to rows in the store and progress on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nas_core.errors import TopoSweepError
from nas_core.genotype import known_name
from nas_core.training import EpochMetrics
from topo_sweep.plan import Plan
from topo_sweep.progress import Progress
from topo_sweep.runner import Outcome
from topo_sweep.store import BufferedWriter
from topo_sweep.trials import Trial


class Recorder:
    """Takes the reports of one run, in whatever order they come.

    Args:
        plan: what runs.
        fingerprint: names the exact data in every row.
        progress: kept up to date.

    """

    def __init__(self, plan: Plan, *, fingerprint: str, progress: Progress) -> None:
        self._plan = plan
        self._fingerprint = fingerprint
        self._progress = progress
        self._writer = BufferedWriter(plan.store)
        self._histories: dict[str, list[EpochMetrics]] = {}
        self._failed: set[str] = set()
        self.errors: list[str] = []
        """One line for each trial that failed in this run."""

    def start(self, trial_id: str) -> None:
        """Note that a worker has the trial."""
        self._progress.start(trial_id)

    def epoch(self, trial_id: str, metrics: EpochMetrics) -> None:
        """Take one epoch of a trial."""
        self._histories.setdefault(trial_id, []).append(metrics)
        self._progress.epoch(trial_id, metrics.epoch + 1)

    def end(self, trial_id: str, outcome: Outcome) -> None:
        """Write the row and the curve of a trial; then its checkpoint may go."""
        trial = self._plan.trials[trial_id]
        history = outcome.history or tuple(self._histories.get(trial_id, ()))
        finished_at = datetime.now(UTC)
        row = {
            **_identity(self._plan, trial, self._fingerprint),
            **_result(outcome, history),
            "attempt": self._plan.attempts.get(trial_id, 0) + 1,
            "finished_at": finished_at,
        }
        curve = [
            {"trial_id": trial_id, "finished_at": finished_at, **vars(metrics)}
            for metrics in history
        ]
        self._histories.pop(trial_id, None)
        self._note(trial, outcome, row)
        self._forget_checkpoints(self._writer.add(row, curve))

    def tick(self) -> None:
        """Write rows that have waited long enough."""
        self._forget_checkpoints(self._writer.tick())

    def close(self) -> None:
        """Write every row that is left."""
        self._forget_checkpoints(self._writer.flush())

    def _note(self, trial: Trial, outcome: Outcome, row: Mapping[str, Any]) -> None:
        name = trial_name(trial)
        self._progress.end(trial.trial_id, outcome.status)
        if outcome.status == "failed":
            self._failed.add(trial.trial_id)
            self.errors.append(f"{name}, seed {trial.seed}: {outcome.error}")
        accuracy = row[f"{self._progress.metric}_accuracy"]
        best = self._progress.best
        if outcome.status == "ok" and (best is None or accuracy > best[0]):
            self._progress.best = (accuracy, name)

    def _forget_checkpoints(self, trial_ids: list[str]) -> None:
        """Remove what durable rows have replaced; `--retry-failed` goes on from the others."""
        for trial_id in trial_ids:
            if trial_id not in self._failed:
                self._plan.store.paths.checkpoint(trial_id).unlink(missing_ok=True)


def trial_name(trial: Trial) -> str:
    """Return what people call the network: 'topology 17', a known cell's name, or its wiring."""
    if trial.genotype.topology is not None:
        return f"topology {trial.genotype.topology.index}"
    return (
        known_name(trial.genotype) or f"genotype on wiring {trial.genotype.normal.topology.index}"
    )


def failed(error: BaseException | str) -> Outcome:
    """Return the outcome of a trial whose worker is gone."""
    return Outcome(status="failed", error=" ".join(str(error).split())[:500])


def _identity(plan: Plan, trial: Trial, fingerprint: str) -> dict[str, Any]:
    topology = trial.genotype.topology
    return {
        "trial_id": trial.trial_id,
        "sweep": plan.spec.name,
        "kind": plan.spec.kind,
        "genotype": str(trial.genotype),
        "topology": topology.index if topology else None,
        "class_id": topology.class_id if topology else None,
        "reduction_topology": trial.genotype.reduction.topology.index,
        "seed": trial.seed,
        "protocol_hash": trial.protocol.protocol_hash,
        "dataset": trial.data.dataset,
        "holdout": trial.data.holdout,
        "train_limit": trial.data.train_limit,
        "fingerprint": fingerprint,
        "search_id": None,
    }


def _result(outcome: Outcome, history: tuple[EpochMetrics, ...]) -> dict[str, Any]:
    last = history[-1] if history else None
    if outcome.status == "ok" and last is None:
        raise TopoSweepError("a trial ended ok without a single epoch")
    return {
        "status": outcome.status,
        "error": _explained(outcome, last),
        "epochs": last.epoch + 1 if last else 0,
        "train_loss": last.train_loss if last else None,
        "train_accuracy": last.train_accuracy if last else None,
        "val_accuracy": last.val_accuracy if last else None,
        "test_accuracy": last.test_accuracy if last else None,
        "best_test_accuracy": max((m.test_accuracy for m in history), default=None),
        "parameters": outcome.parameters,
        "multiply_adds": outcome.multiply_adds,
        "train_seconds": sum(m.seconds for m in history),
        "device": outcome.device,
        "node": outcome.node,
        "execution": outcome.execution,
    }


def _explained(outcome: Outcome, last: EpochMetrics | None) -> str | None:
    if outcome.status == "diverged" and last is not None:
        return f"the loss was {last.train_loss} in epoch {last.epoch}"
    return outcome.error
