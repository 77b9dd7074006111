"""How long an epoch of each kind of work took by the rows of a store, and so what is left. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from topo_sweep.runs.execution import Execution
from topo_sweep.spec.trials import Planned
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.tables import TABLES, TRIALS

if TYPE_CHECKING:
    import pandas as pd

_LEAST_ERROR: Final = 0.1
_ERROR_OF_ONE: Final = 0.2
"""Of a pace that rests on a single trial, as a share of it."""


@dataclass
class Spent:
    """What work of one kind has taken: epochs of trials, and seconds of the workers.

    `error` is how far the pace may be off, as a share of it: the middle half of the trials is
    within it.
    """

    epochs: int = 0
    seconds: float = 0.0
    trials: int = 0
    error: float = _ERROR_OF_ONE


@dataclass
class Pace:
    """What each workload (see `spec.trials.Work`) has taken so far."""

    spent: dict[str, Spent] = field(default_factory=dict)

    @classmethod
    def measured(cls, **rows: pd.DataFrame) -> Pace:
        """Take the rows of a store, by the name of their table; failed ones say nothing."""
        pace = cls()
        for name, frame in rows.items():
            for key, ended in frame[frame["status"] != "failed"].groupby("protocol_hash"):
                seconds = ended[TABLES[name].seconds]
                pace.spent[f"{name} {key}"] = Spent(
                    epochs=int(ended["epochs"].sum()),
                    seconds=float(seconds.sum()),
                    trials=len(ended),
                    error=_error(seconds / ended["epochs"]),
                )
        return pace

    @classmethod
    def of_store(
        cls, store: ResultStore, execution: Execution, *, largest_pack: int | None
    ) -> Pace:
        """Take the rows of a store that were made as this run would make them.

        Those of searches count however many went together: their seconds are shares already.

        Args:
            store: whose rows tell.
            execution: of the run.
            largest_pack: trainings in the largest pack of the run; None where it has no packs.

        """
        alike = {}
        for name, table in TABLES.items():
            rows = store.rows(table)
            how = rows["execution"].map(lambda text: json.loads(text or "{}"))
            is_alike = how.map(lambda each: _made_alike(each, execution)).astype(bool)
            if table is TRIALS:
                is_alike &= how.map(lambda each: _packed_alike(each, largest_pack)).astype(bool)
            alike[name] = rows[is_alike]
        return cls.measured(**alike)

    def seconds_a_trial(self, table: str) -> float | None:
        """Return the mean over the trials of a table, None where none is measured."""
        measured = [work for key, work in self.spent.items() if key.startswith(f"{table} ")]
        trials = sum(work.trials for work in measured)
        return sum(work.seconds for work in measured) / trials if trials else None

    def seconds_of(self, trials: Iterable[Planned]) -> float | None:
        """Return what these take on one worker; None where nothing like one was measured."""
        return self.seconds((trial.workload, trial.epochs) for trial in trials)

    def seconds(self, epochs_left: Iterable[tuple[str, int]]) -> float | None:
        """Return what is left, given workload and epochs of each trial, on one worker.

        A workload that was never measured makes the whole unknown: None.
        """
        total = 0.0
        for key, left in epochs_left:
            work = self.spent.get(key)
            if work is None or not work.epochs:
                return None
            total += left * work.seconds / work.epochs
        return total


def _error(paces: pd.Series[float]) -> float:
    """Return how far the pace of trials is from their median, for the middle half of them."""
    if len(paces) == 1 or not paces.median() > 0:
        return _ERROR_OF_ONE
    quarter = paces.quantile(0.75) - paces.quantile(0.25)
    return max(_LEAST_ERROR, float(quarter / 2 / paces.median()))


def _made_alike(how: Mapping[str, Any], execution: Execution) -> bool:
    """Whether a row was made on such a device, with as many threads.

    Those of compiled networks only where networks are compiled.
    """
    return (
        how.get("device", execution.device) == execution.device
        and how.get("threads", execution.cpus) == execution.cpus
        and (execution.compile == "on" or not how.get("compiled"))
    )


def _packed_alike(how: Mapping[str, Any], largest_pack: int | None) -> bool:
    """Whether a training was in a pack of about the size, or alone where there are no packs."""
    if largest_pack is None:
        return not how.get("packed")
    return bool(how.get("packed")) and largest_pack / 2 <= how["pack_size"] <= 2 * largest_pack
