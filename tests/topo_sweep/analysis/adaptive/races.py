"""Made-up races: all results that can be had, and a race that is run on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from topo_sweep.analysis.adaptive.rule import Race, Run, race
from topo_sweep.spec.adaptive import Adaptive

FIRST = (0, 1, 2)


def results(*, groups: int = 6, seeds: int = 40, lead: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """Return accuracies around 0.9 of equal groups, of which the last is better by `lead`."""
    rng = np.random.default_rng(seed)
    noise = 0.002 * rng.normal(size=(seeds, groups)) + 0.002 * rng.normal(size=(seeds, 1))
    return pd.DataFrame(0.9 + noise + lead * (np.arange(groups) == groups - 1))


def all_of(wanted: Sequence[Run]) -> Sequence[Run]:
    return wanted


def run_race(
    truth: pd.DataFrame,
    settings: Adaptive,
    *,
    finish: Callable[[Sequence[Run]], Sequence[Run]] = all_of,
    budget: int | None = None,
) -> tuple[Race, pd.DataFrame]:
    """Run a race and return its end, and the results that it took.

    `finish` chooses which of the wanted runs are done before the race is asked again.
    """
    is_done = np.zeros(truth.shape, bool)
    while True:
        now = race(truth.where(is_done), settings, seeds=FIRST, budget=budget)
        if not now.wanted:
            return now, truth.where(is_done)
        for group, seed in finish(now.wanted):
            is_done[seed, group] = True
