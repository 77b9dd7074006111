"""What a run would do: its trials, minus what the store has. Reads no image, writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from topo_sweep.manifest import Manifest, read_manifest
from topo_sweep.paths import StorePaths
from topo_sweep.spec import SweepSpec
from topo_sweep.store import ResultStore
from topo_sweep.trials import Trial, expand


@dataclass(frozen=True)
class Plan:
    """One request against one store.

    Args:
        spec: the request.
        store: where its rows are or will be.
        manifest: what the store says it is; None for a new store.
        trials: all trials of the request by id, in running order.
        finished: the status of each trial that the store has a row of.
        attempts: how often each failed trial was tried.
        seconds: the mean training time of the store's rows, if any.

    """

    spec: SweepSpec
    store: ResultStore
    manifest: Manifest | None
    trials: dict[str, Trial]
    finished: dict[str, str]
    attempts: dict[str, int]
    seconds: float | None
    retry_failed: bool

    @property
    def left(self) -> dict[str, Trial]:
        """The trials to run: those without a row, and with `retry_failed` the failed ones."""
        again = {"failed"} if self.retry_failed else set()
        return {
            trial_id: trial
            for trial_id, trial in self.trials.items()
            if self.finished.get(trial_id) is None or self.finished[trial_id] in again
        }

    def count(self, status: str) -> int:
        """Return how many trials of this request have this status."""
        return sum(self.finished.get(trial_id) == status for trial_id in self.trials)


def make_plan(spec: SweepSpec, results: Path, *, retry_failed: bool = False) -> Plan:
    """Compare a request with what is in its store.

    Raises:
        InputError: the store was made by a newer version or is damaged.

    """
    paths = StorePaths.of(results, sweep=spec.name, protocol=spec.protocol, data=spec.data)
    store = ResultStore(paths)
    trials = expand(spec)
    if not paths.manifest.exists():
        return Plan(spec, store, None, trials, {}, {}, None, retry_failed)
    rows = store.trials()
    trained = rows.loc[rows["status"] != "failed", "train_seconds"]
    return Plan(
        spec=spec,
        store=store,
        manifest=read_manifest(paths.manifest),
        trials=trials,
        finished=dict(zip(rows["trial_id"], rows["status"], strict=True)),
        attempts=store.attempts(),
        seconds=float(trained.mean()) if len(trained) else None,
        retry_failed=retry_failed,
    )
