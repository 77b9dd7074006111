"""From what workers report to rows in the store and progress on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nas_core.cells.genotype import Genotype, known_name
from nas_core.training.epochs import SearchEpoch
from nas_core.training.training import EpochMetrics
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.plan import Plan
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.rows import curve, search_row, trial_row
from topo_sweep.runs.runner import Outcome
from topo_sweep.spec.trials import Evaluation, Runnable, SearchTrial, Trial
from topo_sweep.store.parquet import BufferedWriter
from topo_sweep.store.tables import SEARCHES, TRIALS


class Recorder:
    """Takes the reports of one run, in whatever order they come.

    Args:
        plan: what runs.
        fingerprint: names the exact data in every row.
        progress: kept up to date.
        agenda: is told what searches found, so that it can be evaluated.

    """

    def __init__(
        self, plan: Plan, *, fingerprint: str, progress: Progress, agenda: Agenda | None = None
    ) -> None:
        self._plan = plan
        self._fingerprint = fingerprint
        self._progress = progress
        self._agenda = agenda
        self._found = dict(plan.found)
        self._writer = BufferedWriter(plan.store)
        self._histories: dict[str, list[EpochMetrics | SearchEpoch]] = {}
        self._failed: set[str] = set()
        self.errors: list[str] = []
        """One line for each trial that failed in this run."""

    def start(self, trial_id: str) -> None:
        """Note that a worker has the trial."""
        self._progress.start(trial_id)

    def epoch(self, trial_id: str, epoch: EpochMetrics | SearchEpoch) -> None:
        """Take one epoch of a trial."""
        self._histories.setdefault(trial_id, []).append(epoch)
        self._progress.epoch(trial_id, epoch.epoch + 1, seconds=epoch.seconds)

    def end(self, trial_id: str, outcome: Outcome) -> None:
        """Write the row and the curve of a trial; then its checkpoint may go.

        A search is durable before the evaluations of what it found can start.
        """
        trial = self._trial(trial_id)
        history: Any = outcome.history or tuple(self._histories.get(trial_id, ()))
        finished_at = datetime.now(UTC)
        if isinstance(trial, SearchTrial):
            table, result = SEARCHES, search_row(trial, outcome, history)
        else:
            table, result = TRIALS, trial_row(trial, outcome, history)
        row = {
            **result,
            "sweep": self._plan.spec.name,
            "kind": self._plan.spec.kind,
            "fingerprint": self._fingerprint,
            "attempt": self._plan.attempts.get(trial_id, 0) + 1,
            "finished_at": finished_at,
        }
        row = {name: row[name] for name in table.schema.names}
        self._histories.pop(trial_id, None)
        self._note(trial, outcome, row)
        written = self._writer.add(row, curve(trial_id, history, finished_at), table=table)
        self._forget_checkpoints(written)
        if table is SEARCHES:
            self._forget_checkpoints(self._writer.flush())
            self._pass_on(trial_id, row["genotype"])

    def _trial(self, trial_id: str) -> Runnable:
        planned = self._plan.trials[trial_id]
        if isinstance(planned, Evaluation):
            return planned.of(self._found[planned.search.search_id])
        return planned

    def _pass_on(self, search_id: str, genotype: str | None) -> None:
        found = None if genotype is None else Genotype.from_string(genotype)
        if found is not None:
            self._found[search_id] = found
        if self._agenda is not None:
            dropped = self._agenda.search_ended(search_id, found)
            self._progress.drop(dropped)

    def tick(self) -> None:
        """Write rows that have waited long enough."""
        self._forget_checkpoints(self._writer.tick())

    def close(self) -> None:
        """Write every row that is left."""
        self._forget_checkpoints(self._writer.flush())

    def _note(self, trial: Runnable, outcome: Outcome, row: Mapping[str, Any]) -> None:
        name = trial_name(trial)
        self._progress.end(trial.trial_id, outcome.status)
        if outcome.status == "failed":
            self._failed.add(trial.trial_id)
            self.errors.append(f"{name}, seed {trial.seed}: {outcome.error}")
        accuracy = row.get(f"{self._progress.metric}_accuracy")
        best = self._progress.best
        is_result = outcome.status == "ok" and isinstance(trial, Trial)
        if is_result and accuracy is not None and (best is None or accuracy > best[0]):
            self._progress.best = (accuracy, name)

    def _forget_checkpoints(self, trial_ids: list[str]) -> None:
        """Remove what durable rows have replaced; `--retry-failed` goes on from the others."""
        for trial_id in trial_ids:
            if trial_id not in self._failed:
                self._plan.store.paths.checkpoint(trial_id).unlink(missing_ok=True)


def trial_name(trial: Runnable) -> str:
    """Return what people call it: 'topology 17', a known cell's name, its wiring, or a search."""
    if isinstance(trial, SearchTrial):
        return f"{trial.method} in {trial.space} with {trial.protocol.cells} cells"
    if trial.genotype.topology is not None:
        return f"topology {trial.genotype.topology.index}"
    return (
        known_name(trial.genotype) or f"genotype on wiring {trial.genotype.normal.topology.index}"
    )


def failed(error: BaseException | str) -> Outcome:
    """Return the outcome of a trial whose worker is gone."""
    return Outcome(status="failed", error=" ".join(str(error).split())[:500])
