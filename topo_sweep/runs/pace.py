"""How long an epoch of each kind of work took by the rows of a store, and so what is left. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from topo_sweep.spec.trials import Planned
from topo_sweep.store.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Spent:
    """What work of one kind has taken: epochs of trials, and seconds of the workers."""

    epochs: int = 0
    seconds: float = 0.0
    trials: int = 0


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
                seconds = float(ended[TABLES[name].seconds].sum())
                work = Spent(int(ended["epochs"].sum()), seconds, len(ended))
                pace.spent[f"{name} {key}"] = work
        return pace

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
