"""How long trials took, and how long those that are left would take on one worker. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from topo_sweep.spec.trials import Planned, SearchTrial

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Durations:
    """Mean seconds of what has a row: of trainings, and of searches by their protocol's hash."""

    training: float | None
    searches: Mapping[str, float]

    @classmethod
    def measured(cls, trials: pd.DataFrame, searches: pd.DataFrame) -> Durations:
        """Take the means of rows; failed ones say nothing."""
        trained = trials.loc[trials["status"] != "failed", "train_seconds"]
        searched = searches[searches["status"] != "failed"]
        means = searched.groupby("protocol_hash")["search_seconds"].mean()
        return cls(
            training=float(trained.mean()) if len(trained) else None,
            searches={str(key): float(seconds) for key, seconds in means.items()},
        )

    def of(self, left: Iterable[Planned]) -> float | None:
        """Return the seconds of all of these together; None where a kind was never measured."""
        total = 0.0
        for trial in left:
            is_search = isinstance(trial, SearchTrial)
            key = trial.protocol.protocol_hash
            seconds = self.searches.get(key) if is_search else self.training
            if seconds is None:
                return None
            total += seconds
        return total
