"""How long an epoch of each kind of work takes, and how long what is left will take. Pure."""

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

    def add(self, workload: str, seconds: float) -> None:
        """Count one epoch."""
        work = self.spent.setdefault(workload, Spent())
        work.epochs += 1
        work.seconds += seconds

    @property
    def busy_seconds(self) -> float:
        """Seconds of all workers together."""
        return sum(work.seconds for work in self.spent.values())

    def seconds_a_trial(self, table: str) -> float | None:
        """Return the mean over the trials of a table, None where none is measured."""
        measured = [work for key, work in self.spent.items() if key.startswith(f"{table} ")]
        trials = sum(work.trials for work in measured)
        return sum(work.seconds for work in measured) / trials if trials else None

    def seconds_of(self, trials: Iterable[Planned]) -> float | None:
        """Return what these take on one worker; None where nothing like one was measured."""
        return self.seconds((trial.workload, trial.epochs) for trial in trials)

    def seconds(
        self, epochs_left: Iterable[tuple[str, int]], *, guess: bool = False
    ) -> float | None:
        """Return what is left, in seconds of one worker.

        Args:
            epochs_left: workload and epochs of each trial.
            guess: let a workload that was never measured count like the mean of the others;
                otherwise it makes the whole unknown.

        """
        epochs = sum(work.epochs for work in self.spent.values())
        mean = self.busy_seconds / epochs if guess and epochs else None
        total = 0.0
        for key, left in epochs_left:
            work = self.spent.get(key)
            an_epoch = work.seconds / work.epochs if work and work.epochs else mean
            if an_epoch is None:
                return None
            total += left * an_epoch
        return total
