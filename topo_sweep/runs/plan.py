"""What a run would do: its trials, minus what the store has. Reads no image, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nas_core.cells.genotype import Genotype
from topo_sweep.spec.load import SweepSpec
from topo_sweep.spec.trials import Planned, without_void
from topo_sweep.store.manifest import Manifest, read_manifest
from topo_sweep.store.opened import found_by_search
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.paths import StorePaths

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Plan:
    """One request against one store.

    Args:
        spec: the request.
        store: where its rows are or will be.
        manifest: what the store says it is; None for a new store, and where that was lost.
        fingerprints: those of the images on which what it has was trained.
        trials: all trials of the request by id, in running order; without the evaluations of
            searches that ended with nothing to evaluate.
        finished: the status of each trial that the store has a row of.
        cells_found: the genotype of each search that has found one, by search id.
        attempts: how often each failed trial was tried.
        retry_failed: whether failed trials run again.

    """

    spec: SweepSpec
    store: ResultStore
    manifest: Manifest | None
    fingerprints: frozenset[str]
    trials: Mapping[str, Planned]
    finished: dict[str, str]
    cells_found: dict[str, Genotype]
    attempts: dict[str, int]
    retry_failed: bool

    @cached_property
    def left(self) -> dict[str, Planned]:
        """The trials to run: those without a row, and with `retry_failed` the failed ones.

        Without it, evaluations of failed searches are not among them: see `blocked`.
        """
        done = {"ok", "diverged"} | (set() if self.retry_failed else {"failed"})
        blocked = self.blocked
        return {
            trial_id: trial
            for trial_id, trial in self.trials.items()
            if self.finished.get(trial_id) not in done and trial_id not in blocked
        }

    @cached_property
    def blocked(self) -> frozenset[str]:
        """Evaluations that cannot run before a search that failed is run again."""
        if self.retry_failed:
            return frozenset()
        return frozenset(
            trial_id
            for trial_id, trial in self.trials.items()
            if trial.waits_for is not None
            and self.finished.get(trial.waits_for) == "failed"
            and trial_id not in self.finished
        )

    def count(self, status: str) -> int:
        """Return how many trials of this request have this status."""
        return sum(self.finished.get(trial_id) == status for trial_id in self.trials)


def make_plan(spec: SweepSpec, results: Path, *, retry_failed: bool = False) -> Plan:
    """Compare a request with what is in its store; reads no image and writes nothing.

    Args:
        spec: the request, see `load_spec`.
        results: the folder of sweeps, in which this one has or will have its own.
        retry_failed: run failed trials again.

    Raises:
        InputError: the store was made by a newer version or is damaged.
        StoreError: a store elsewhere cannot be read.

    >>> from pathlib import Path
    >>> from topo_sweep import load_spec, make_plan
    >>> plan = make_plan(load_spec("demo"), Path("no-such-folder"))
    >>> len(plan.trials), len(plan.left)
    (180, 180)

    """
    store, trials = store_of(spec, results), spec.trials()
    store.refresh()
    path = store.paths.manifest
    manifest = read_manifest(path) if path.exists() else None
    rows, searches = store.trials(), store.searches()
    ended = found_by_search(searches)
    return Plan(
        spec=spec,
        store=store,
        manifest=manifest,
        fingerprints=frozenset(
            {*rows["fingerprint"], *searches["fingerprint"]}
            if manifest is None
            else {manifest.fingerprint}
        ),
        trials=without_void(trials, ended),
        finished=endings(rows, searches),
        cells_found={search_id: cell for search_id, cell in ended.items() if cell},
        attempts=store.attempts(),
        retry_failed=retry_failed,
    )


def store_of(spec: SweepSpec, results: Path) -> ResultStore:
    """Return the store of a request, which need not exist yet."""
    return ResultStore(
        StorePaths.of(
            results, sweep=spec.name, protocol=spec.protocol, data=spec.data, more=spec.store_key
        )
    )


def endings(trials: pd.DataFrame, searches: pd.DataFrame) -> dict[str, str]:
    """Return how everything that has a row ended: its status, by id."""
    ended: dict[str, str] = {}
    for rows, key in ((searches, "search_id"), (trials, "trial_id")):
        ended |= zip(rows[key].tolist(), rows["status"].tolist(), strict=True)
    return ended
