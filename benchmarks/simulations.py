"""How often the answers of `topo-sweep analyze` are right, in worlds whose truth is known.

A world says how classes, seeds and noise differ; a repeat draws accuracies of 79 classes from it,
in some worlds of all their topologies, and asks every method as `analyze` does. Counted are
intervals that hold the truth, claims that are false, and what `--adaptive` spends beside a sweep
that gives each class equally many seeds, at equal confidence.

Run: python benchmarks/simulations.py [--repeats 2000] [--races 400] [--classes 79]
    [--seeds 5] [--worlds LIST] [--processes 2] [--json FILE] [--resume]

FILE is written after each world; with --resume the worlds that it has, and that are made as they
were then, are not simulated again.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from nas_core.cells.topology import isomorphism_classes
from nas_core.streams import key_number
from topo_sweep.analysis.accuracy import Floats
from topo_sweep.analysis.adaptive.rule import next_groups, standing
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.inference.best import places
from topo_sweep.analysis.inference.intervals import mean_intervals
from topo_sweep.analysis.inference.noise import members
from topo_sweep.analysis.inference.omnibus import class_test, friedman, member_test
from topo_sweep.analysis.inference.pairs import all_pairs, corrected
from topo_sweep.analysis.inference.shrinkage import shrunken_means
from topo_sweep.analysis.inference.variance import reliabilities
from topo_sweep.analysis.statistics.two_way import class_by_seed
from topo_sweep.bench.record import figures_of, keep, record, typed
from topo_sweep.spec.adaptive import FIRST_SEEDS, Adaptive

MEAN: Final = 0.90
NOISE: Final = 0.0022  # the SD between seeds that would explain the paper's range
PERMUTATIONS: Final = 199
DELTA_POINTS: Final = 0.3  # a difference that does not matter to a race
MOST_SEEDS: Final = 400
SIDES: Final = ("race", "equal seeds")


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
        members: all topologies of a class are trained, 1 to 8, and not one.

    """

    between: float = 0.0
    seeds: float = NOISE
    noise: float = NOISE
    winner: float = 0.0
    missing: float = 0.0
    tails: int | None = None
    unequal: float = 1.0
    members: bool = False


def reliable(share: float, **more: Any) -> World:  # noqa: ANN401 - fields
    """Return the world in which one run has this reliability."""
    return World(between=NOISE * (share / (1 - share)) ** 0.5, **more)


WORLDS: Final[Mapping[str, World]] = {
    "null": World(),
    "winner": World(winner=0.005),
    "reliability 0.3": reliable(0.3),
    "reliability 0.5": reliable(0.5),
    "reliability 0.9": reliable(0.9),
    "rough null": World(missing=0.2, tails=4, unequal=3.0),
    "rough": reliable(0.5, missing=0.2, tails=4, unequal=3.0),
    "members null": World(members=True),
    "members": reliable(0.5, members=True),
}
"""`rough` ones are unbalanced, heavy-tailed and of unequal variances."""


def true_means(world: World, classes: int, rng: np.random.Generator) -> Floats:
    """Return the mean of each class over all seeds that there could be."""
    means = MEAN + world.between * rng.standard_normal(classes)
    means[0] += world.winner
    return means


def drawn(world: World, truth: Floats, seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return what a sweep would measure: a row a seed, a column a training, NaN where none is."""
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
        columns=pd.Index(range(len(truth)), name="member"),
    )


def designed(world: World, truth: Floats, seeds: int, rng: np.random.Generator) -> Design:
    """Return the design of such a sweep, as `analyze` makes one of a store."""
    group = np.arange(len(truth))
    if world.members:
        sizes = itertools.cycle(map(len, isomorphism_classes()))
        group = np.repeat(group, list(itertools.islice(sizes, len(truth))))
    table = drawn(world, truth[group], seeds, rng)
    runs = table.melt(ignore_index=False, value_name="accuracy").dropna().reset_index()
    return Design(
        runs=runs.assign(group=group[runs["member"]], status="ok"),
        groups=pd.DataFrame(index=pd.RangeIndex(len(truth), name="group")),
        by="class", unit="class", metric="test", failed=0, kind="topologies", nodes=4,
        data="simulated", protocol_hash="", phase="",
    )  # fmt: skip


def asked(name: str, number: int, *, classes: int, seeds: int) -> dict[str, float]:
    """Return of one repeat what held and what was claimed: shares, or 0 and 1."""
    world = WORLDS[name]
    rng = np.random.default_rng(key_number(name, number, classes, seeds))
    truth = true_means(world, classes, rng)
    design = designed(world, truth, seeds, rng)
    runs, table, size = design.runs, design.table, members(design)
    held: dict[str, Any] = {}

    omnibus = class_test(runs, permutations=PERMUTATIONS, seed=number)
    ranks = friedman(table)
    held["F says that classes differ"] = omnibus is not None and omnibus.p_value <= 0.05
    held["permutation says so"] = omnibus is not None and omnibus.permutation_p <= 0.05
    held["both say so"] = omnibus is not None and omnibus.is_significant()
    held["Friedman says so"] = ranks is not None and ranks.p_value <= 0.05
    alike = member_test(runs, permutations=PERMUTATIONS, seed=number)
    if alike is not None:
        held["both say that members differ"] = alike.is_significant()

    # One winner among equals is no sample of normal effects: its share is that of these classes.
    between = truth.var(ddof=1) if world.winner else world.between**2
    reliability = reliabilities(class_by_seed(runs))["run"]
    held["interval of the reliability"] = (
        reliability.low <= between / (between + world.noise**2) <= reliability.high
    )

    means = mean_intervals(table, members=size, seed=number)
    held["interval of a mean"] = np.nanmean(within(truth, means["ci_low"], means["ci_high"]))
    held["all intervals at once"] = np.nanmin(within(truth, means["all_low"], means["all_high"]))

    place = places(table, members=size)
    better = (truth[None, :] > truth[:, None]).sum(axis=1)
    worse = (truth[None, :] < truth[:, None]).sum(axis=1)
    ranks_held = (place["rank_low"] <= 1 + better) & (place["rank_high"] >= classes - worse)
    held["interval of a rank"] = ranks_held.mean()
    held["all ranks at once"] = ranks_held.all()
    in_best = place["in_best_set"].to_numpy(dtype=bool)
    held["best set holds the best"] = in_best[truth == truth.max()].mean()
    held["size of the best set"] = in_best.sum()

    pairs = corrected(all_pairs(table, members=size))
    true = truth[pairs["first"]] - truth[pairs["second"]]
    claimed = (pairs["p_holm"] <= 0.05).to_numpy()
    held["Holm makes a false claim"] = (claimed & (pairs["difference"] * true <= 0)).any()
    held["pairs that Holm tells apart"] = claimed.mean()

    shrunk = shrunken_means(table, members=size)
    if shrunk is not None:
        rows = shrunk.table
        held["interval of a shrunken mean"] = np.nanmean(within(truth, rows["low"], rows["high"]))
        best = int(table.mean().to_numpy().argmax())
        held["raw best above its truth"] = table.mean()[best] - truth[best]
        held["shrunken best above its truth"] = rows["shrunk"].iloc[best] - truth[best]
    return {name: float(number) for name, number in held.items()}


def within(truth: Floats, low: pd.Series[float], high: pd.Series[float]) -> Floats:
    """Return of each truth whether the interval holds it; NaN where there is none."""
    held = (low.to_numpy() <= truth) & (truth <= high.to_numpy())
    return np.where(low.notna(), held.astype(float), np.nan)


@dataclass(frozen=True)
class Spent:
    """What one side took in one draw of a world.

    Args:
        runs: trainings.
        decided: whether it ended before the results did.
        wrong: whether a class outside is truly better than a chosen one by more than the delta.

    """

    runs: int
    decided: bool
    wrong: bool


def spent(truth: Floats, table: Floats, settings: Adaptive, *, races: bool) -> Spent:
    """Return what it takes to tell the best from the rest.

    Both sides stop by the same rule; what differs is who gets the next seed.

    Args:
        truth: the true mean of each class.
        table: results that can be had, a row a seed and a column a class.
        settings: how many are wanted, and how surely.
        races: whether doubtful classes alone go on; else all do.

    """
    rows, (seeds, classes) = np.arange(len(table))[:, None], table.shape
    counts = np.full(classes, FIRST_SEEDS)
    while True:
        now = standing(np.where(rows < counts, table, np.nan)[: counts.max()], settings)
        chosen = np.isin(np.arange(classes), now.top)
        wrong = truth[~chosen].max() - truth[chosen].min() > settings.delta
        if not len(now.doubtful) or counts.max() >= seeds:
            return Spent(int(counts.sum()), not len(now.doubtful), bool(wrong))
        more = next_groups(now, counts, batch=settings.batch) if races else range(classes)
        counts = np.minimum(counts + np.bincount(more, minlength=classes), seeds)


def raced(name: str, number: int, *, top: int, classes: int) -> dict[str, float]:
    """Return what a race takes in one draw, and what equal seeds for all take."""
    world = WORLDS[name]
    rng = np.random.default_rng(key_number(name, number, classes, top))
    truth = true_means(world, classes, rng)
    table = drawn(world, truth, MOST_SEEDS, rng).to_numpy()
    settings = Adaptive(top=top, delta_points=DELTA_POINTS)
    sides = {side: spent(truth, table, settings, races=side == "race") for side in SIDES}
    figures = {f"{side}: runs": float(took.runs) for side, took in sides.items()}
    figures |= {f"{side}: wrong": float(took.wrong) for side, took in sides.items()}
    return figures | {"both decided": float(all(took.decided for took in sides.values()))}


def averaged(repeats: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each figure over the repeats that have it."""
    means = pd.DataFrame(list(repeats)).mean()
    return {str(name): float(mean) for name, mean in means.items()}


def text(figures: Mapping[str, Any]) -> str:
    """Return all figures as two tables, a row a world."""
    lines = []
    for part in ("answers", "races"):
        for world, about in figures[part].items():
            lines.append(f"{part}, {world}, {about['repeats']} repeats:")
            lines += [f"  {name}: {mean:.4g}" for name, mean in about["means"].items()]
    return "\n".join(lines)


def begun(kept: Mapping[str, Any], size: Mapping[str, int]) -> dict[str, Any]:
    """Return the figures of FILE, less those of worlds that were made in another way."""
    worlds = {name: asdict(world) for name, world in WORLDS.items()}
    same = {name for name, world in kept.get("worlds", {}).items() if world == worlds.get(name)}
    figures: dict[str, Any] = {"size": size, "worlds": worlds}
    for part in ("answers", "races"):
        of_same = (item for item in kept.get(part, {}).items() if item[0].split(", ")[0] in same)
        figures[part] = dict(of_same)
    return figures


def main() -> None:
    """Simulate what FILE lacks, keep and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=2000, help="of every world")
    parser.add_argument("--races", type=int, default=400, help="repeats of adaptive sweeps")
    parser.add_argument("--classes", type=int, default=79)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--worlds", default=",".join(WORLDS), metavar="LIST")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    if arguments.resume and not arguments.json:
        parser.error("--resume goes on with a file: name it with --json")
    worlds = [name.strip() for name in arguments.worlds.split(",")]
    if unknown := sorted(set(worlds) - set(WORLDS)):
        parser.error(f"no world {unknown[0]!r}: there are {', '.join(WORLDS)}")
    size = {"classes": arguments.classes, "seeds": arguments.seeds}
    kept = figures_of(arguments.json) if arguments.resume else {}
    if kept and kept["size"] != size:
        parser.error(f"{arguments.json} is of {kept['size']}, not of {size}: name another file")
    figures = begun(kept, size)
    classes = arguments.classes
    tops = {"the best": 1, "the 20 best": 20} if classes > 20 else {"the best": 1}
    work: list[tuple[str, str, int, Callable[[int], dict[str, float]]]] = []
    for name in worlds:
        work.append(("answers", name, arguments.repeats, partial(asked, name, **size)))
        if WORLDS[name].members:  # a race trains one topology of each class
            continue
        for goal, top in tops.items():
            race = partial(raced, name, top=top, classes=classes)
            work.append(("races", f"{name}, {goal}", arguments.races, race))
    with ProcessPoolExecutor(arguments.processes) as processes:
        for part, name, repeats, repeat in work:
            if figures[part].get(name, {}).get("repeats") == repeats:
                continue
            means = averaged(list(processes.map(repeat, range(repeats), chunksize=5)))
            figures[part][name] = {"repeats": repeats, "means": means}
            print(f"{part}, {name}: done", file=sys.stderr)
            if arguments.json:
                keep(arguments.json, record(typed(), figures, n=arguments.repeats))
    print(text(figures))


if __name__ == "__main__":
    main()
