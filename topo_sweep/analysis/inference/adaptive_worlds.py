"""What a race saves against equal seeds for all, in made-up worlds of which the truth is known.

In each world both sides stop by the same rule at the same confidence: what differs is only who gets
the next seed. Accuracies are fractions; the noise of a training is the SD of 0.22 points that the
paper's own figures suggest. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from topo_sweep.analysis.inference.adaptive import next_groups, standing
from topo_sweep.analysis.inference.anytime import Floats
from topo_sweep.spec.adaptive import FIRST_SEEDS, Adaptive

NOISE: Final = 0.0022
"""SD of a training, without what its seed adds to all classes."""
SEED_EFFECT: Final = 0.002
"""SD of what a seed adds to all classes."""
SETTINGS: Final = Adaptive(top=20, delta_points=0.3)
"""What is asked of each world where nothing else is."""


@dataclass(frozen=True, kw_only=True)
class World:
    """How accuracies come about: mean of the class + effect of the seed + noise.

    Args:
        lead: of the one class that is better than the others, which are equal; 0 is none.
        reliability: share of the variance of single runs that is between classes, seed effects
            aside; 0 leaves classes equal.
        unequal: SD of the logarithm of a class's own noise SD.
        tails: degrees of freedom of the noise, a t distribution of the same SD; infinite is normal.
        missing: share of the trainings that give no result.

    """

    lead: float = 0.0
    reliability: float = 0.0
    unequal: float = 0.0
    tails: float = np.inf
    missing: float = 0.0

    def draw(
        self, rng: np.random.Generator, *, classes: int = 79, seeds: int = 400
    ) -> tuple[Floats, Floats]:
        """Return the true mean of each class, about 0, and a table (seeds, classes) of runs."""
        odds = self.reliability / (1 - self.reliability)
        truth = rng.normal(0.0, NOISE, classes) * odds**0.5
        truth[rng.integers(classes)] += self.lead
        shape = (seeds, classes)
        noise = rng.normal(size=shape)
        if np.isfinite(self.tails):
            noise = rng.standard_t(self.tails, shape) * (1 - 2 / self.tails) ** 0.5
        spread = NOISE * np.exp(self.unequal * rng.normal(size=classes))
        table = truth + SEED_EFFECT * rng.normal(size=(seeds, 1)) + spread * noise
        return truth, np.where(rng.random(shape) < self.missing, np.nan, table)


WORLDS: Final[Mapping[str, World]] = {
    "null": World(),
    "one winner": World(lead=0.005),
    "reliability 0.3": World(reliability=0.3),
    "reliability 0.5": World(reliability=0.5),
    "reliability 0.9": World(reliability=0.9),
    "unbalanced": World(reliability=0.5, unequal=0.4, tails=4.0, missing=0.05),
}
"""'unbalanced' is also heavy-tailed, with unequal variances."""


@dataclass(frozen=True)
class Spent:
    """What one side took in one draw of a world.

    Args:
        runs: trainings, those without a result included.
        most_seeds: of the class with most.
        is_decided: whether it ended before the table did.
        is_wrong: whether a class outside is truly better than a chosen one by more than the delta.

    """

    runs: int
    most_seeds: int
    is_decided: bool
    is_wrong: bool


def spent(truth: Floats, table: Floats, settings: Adaptive, *, adaptive: bool) -> Spent:
    """Return what it takes to tell the best from the rest.

    Args:
        truth: the true mean of each class.
        table: runs that can be had, a row a seed and a column a class; NaN gives no result.
        settings: how many are wanted, and how surely.
        adaptive: whether doubtful classes alone go on; else all do.

    """
    rows, (seeds, classes) = np.arange(len(table))[:, None], table.shape
    counts = np.full(classes, FIRST_SEEDS)
    while True:
        now = standing(np.where(rows < counts, table, np.nan)[: counts.max()], settings)
        chosen = np.isin(np.arange(classes), now.top)
        wrong = truth[~chosen].max() - truth[chosen].min() > settings.delta
        if not len(now.doubtful) or counts.max() >= seeds:
            is_decided = not len(now.doubtful)
            return Spent(int(counts.sum()), int(counts.max()), is_decided, bool(wrong))
        more = next_groups(now, counts, batch=settings.batch) if adaptive else range(classes)
        counts = np.minimum(counts + np.bincount(more, minlength=classes), seeds)


@dataclass(frozen=True)
class Saving:
    """Both sides over many draws of a world.

    Args:
        repeats: draws in which both sides ended.
        undecided: draws in which one did not.
        adaptive_runs: mean number of runs of the race.
        uniform_runs: and of equal seeds for all.
        adaptive_errors: share of races whose statement is wrong.
        uniform_errors: share of wrong statements of equal seeds.

    """

    repeats: int
    undecided: int
    adaptive_runs: float
    uniform_runs: float
    adaptive_errors: float
    uniform_errors: float

    @property
    def ratio(self) -> float:
        """How many times fewer runs a race takes."""
        return self.uniform_runs / self.adaptive_runs


def saving(
    world: World,
    settings: Adaptive = SETTINGS,
    *,
    repeats: int = 200,
    seed: int = 0,
    classes: int = 79,
    seeds: int = 400,
) -> Saving:
    """Return what a race takes in a world beside equal seeds for all, on the same draws.

    Args:
        world: how accuracies come about.
        settings: how many are wanted, and how surely; both sides stop by them.
        repeats: draws.
        seed: of the draws.
        classes: that race.
        seeds: that can be had of each class.

    """
    sides: dict[bool, list[Spent]] = {True: [], False: []}
    for repeat in range(repeats):
        truth, table = world.draw(
            np.random.default_rng([seed, repeat]), classes=classes, seeds=seeds
        )
        both = {side: spent(truth, table, settings, adaptive=side) for side in sides}
        if all(one.is_decided for one in both.values()):
            for side, one in both.items():
                sides[side].append(one)
    means = {side: np.mean([one.runs for one in ended]) for side, ended in sides.items()}
    errors = {side: np.mean([one.is_wrong for one in ended]) for side, ended in sides.items()}
    return Saving(
        repeats=len(sides[True]),
        undecided=repeats - len(sides[True]),
        adaptive_runs=float(means[True]),
        uniform_runs=float(means[False]),
        adaptive_errors=float(errors[True]),
        uniform_errors=float(errors[False]),
    )
