"""How often the answers of `topo-sweep analyze` are right, in worlds whose truth is known.

A world says how classes, seeds and noise differ; a repeat draws accuracies of 79 classes from it and
asks every method. Counted are intervals that hold the truth, claims that are false, and what
`--adaptive` spends beside a sweep that gives each class equally many seeds, at equal confidence.

Run: python benchmarks/simulations.py [--repeats 2000] [--adaptive-repeats 200] [--classes 79]
    [--seeds 5] [--worlds LIST] [--processes 2] [--json FILE] [--resume]

FILE is written after each world; with --resume the worlds that it has are not simulated again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from topo_sweep.analysis.inference.best import places
from topo_sweep.analysis.inference.intervals import mean_intervals
from topo_sweep.analysis.inference.omnibus import class_test, friedman
from topo_sweep.analysis.inference.pairs import all_pairs, corrected
from topo_sweep.analysis.inference.shrinkage import shrunken_means
from topo_sweep.analysis.inference.two_way import class_by_seed
from topo_sweep.analysis.inference.variance import reliabilities
from topo_sweep.bench.record import figures_of, keep, record, typed

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

MEAN: Final = 0.90
NOISE: Final = 0.0022  # the SD between seeds that would explain the paper's range
PERMUTATIONS: Final = 199


@dataclass(frozen=True, kw_only=True)
class World:
    """What accuracies are made of; all are SDs, as fractions.

    Args:
        between: of the true means of classes.
        seeds: of what a seed does to all classes.
        noise: of what is left, of a class with one seed.
        winner: by how much one class is better than those.
        missing: the share of results that there are not; each class keeps two.
        tails: degrees of freedom of t-distributed noise, None is normal.
        unequal: by which factor the noisiest class is noisier than the calmest.

    """

    between: float = 0.0
    seeds: float = NOISE
    noise: float = NOISE
    winner: float = 0.0
    missing: float = 0.0
    tails: int | None = None
    unequal: float = 1.0

    @property
    def icc(self) -> float:
        """The reliability of one run: the share of class in the variance within seeds."""
        return self.between**2 / (self.between**2 + self.noise**2)


def reliable(share: float, **more: Any) -> World:  # noqa: ANN401 - fields
    """Return the world in which one run has this reliability."""
    return World(between=NOISE * (share / (1 - share)) ** 0.5, **more)


WORLDS: Final[Mapping[str, World]] = {
    "null": World(),
    "winner": World(winner=5 * NOISE),
    "reliability 0.3": reliable(0.3),
    "reliability 0.5": reliable(0.5),
    "reliability 0.9": reliable(0.9),
    "rough null": World(missing=0.2, tails=4, unequal=3.0),
    "rough": reliable(0.5, missing=0.2, tails=4, unequal=3.0),
}
"""`rough` ones are unbalanced, heavy-tailed and of unequal variances."""


def true_means(world: World, classes: int, rng: np.random.Generator) -> Floats:
    """Return the mean of each class over all seeds that there could be."""
    means = MEAN + world.between * rng.standard_normal(classes)
    means[0] += world.winner
    return means


def drawn(world: World, truth: Floats, seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return what a sweep would measure: a row a seed, a column a class, NaN where nothing is."""
    shape = seeds, len(truth)
    noise = (
        rng.standard_normal(shape)
        if world.tails is None
        else rng.standard_t(world.tails, shape) / (world.tails / (world.tails - 2)) ** 0.5
    )
    spread = np.geomspace(1, world.unequal, len(truth))
    spread = rng.permutation(world.noise * spread / np.sqrt((spread**2).mean()))
    values = truth + world.seeds * rng.standard_normal((seeds, 1)) + spread * noise
    gone = rng.random(shape).argsort(axis=0) >= 2  # two results of each class stay
    values[gone & (rng.random(shape) < world.missing)] = np.nan
    return pd.DataFrame(
        values,
        index=pd.Index(range(seeds), name="seed"),
        columns=pd.Index(range(len(truth)), name="group"),
    )


def asked(world: World, number: int, *, classes: int, seeds: int) -> dict[str, float]:
    """Return of one repeat what held and what was claimed: shares, or 0 and 1."""
    rng = np.random.default_rng([number, classes, seeds])
    truth = true_means(world, classes, rng)
    table = drawn(world, truth, seeds, rng)
    runs = table.stack().dropna().rename("accuracy").reset_index()
    runs = runs.assign(member=runs["group"])
    held: dict[str, float] = {}

    omnibus = class_test(runs, permutations=PERMUTATIONS, seed=number)
    ranks = friedman(table)
    held["F says that classes differ"] = omnibus is not None and omnibus.p_value <= 0.05
    held["permutation says so"] = omnibus is not None and omnibus.permutation_p <= 0.05
    held["both say so"] = omnibus is not None and omnibus.is_significant()
    held["Friedman says so"] = ranks is not None and ranks.p_value <= 0.05

    sampled = not world.winner  # one winner among equals is no sample of normal effects
    icc = world.icc if sampled else truth.var(ddof=1) / (truth.var(ddof=1) + world.noise**2)
    reliability = reliabilities(class_by_seed(runs), sampled=sampled)["run"]
    held["interval of the reliability"] = reliability.low <= icc <= reliability.high

    means = mean_intervals(table, seed=number)
    held["interval of a mean"] = within(truth, means["ci_low"], means["ci_high"]).mean()
    held["all intervals at once"] = within(truth, means["all_low"], means["all_high"]).all()

    place = places(table)
    better = (truth[None, :] > truth[:, None]).sum(axis=1)
    worse = (truth[None, :] < truth[:, None]).sum(axis=1)
    ranks_held = (place["rank_low"] <= 1 + better) & (place["rank_high"] >= classes - worse)
    held["interval of a rank"] = ranks_held.mean()
    held["all ranks at once"] = ranks_held.all()
    in_best = place["in_best_set"].to_numpy(dtype=bool)
    held["best set holds the best"] = in_best[truth == truth.max()].mean()
    held["size of the best set"] = in_best.sum()

    pairs = corrected(all_pairs(table))
    true = truth[pairs["first"]] - truth[pairs["second"]]
    claimed = (pairs["p_holm"] <= 0.05).to_numpy()
    held["Holm makes a false claim"] = (claimed & (pairs["difference"] * true <= 0)).any()
    held["pairs that Holm tells apart"] = claimed.mean()

    shrunk = shrunken_means(table)
    if shrunk is not None:
        rows = shrunk.table
        held["interval of a shrunken mean"] = within(truth, rows["low"], rows["high"]).mean()
        best = int(table.mean().to_numpy().argmax())
        held["raw best above its truth"] = table.mean()[best] - truth[best]
        held["shrunken best above its truth"] = rows["shrunk"].iloc[best] - truth[best]
    return {name: float(number) for name, number in held.items()}


def within(truth: Floats, low: pd.Series[float], high: pd.Series[float]) -> Floats:
    """Return of each truth whether the interval holds it."""
    return ((low.to_numpy() <= truth) & (truth <= high.to_numpy())).astype(float)
