"""Made-up races: all results that can be had, and a race that is run on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tests.topo_sweep.analysis.choice_rows import topologies
from topo_sweep.analysis.adaptive.rule import Race, Run, race
from topo_sweep.spec.adaptive import Adaptive
from topo_sweep.store.opened import OpenedSweep

FIRST = (0, 1, 2)
RACED = (0, 1, 4, 7)
"""Topologies of four classes."""


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


def stored_race(results_folder: Path, **values: object) -> OpenedSweep:
    """Return the store of a race for the two best, in which the best has the fewest seeds.

    Topology 7 is clearly the best, 1 and 4 are about equal and race on, 0 is clearly the worst.
    All of them do better by 0.1 on the seeds that only 1 and 4 get.
    """
    settings = Adaptive(top=2, delta_points=0.25)
    truth = results(groups=4) + np.array([-0.3, -0.2, -0.2, -0.15])
    truth.loc[len(FIRST) :] += 0.1
    _, table = run_race(truth, settings)
    accuracies = {index: table[group].dropna().tolist() for group, index in enumerate(RACED)}
    spec = {"topologies": RACED, "seeds": FIRST, "adaptive": settings}
    return topologies(results_folder, accuracies, **(spec | values))
