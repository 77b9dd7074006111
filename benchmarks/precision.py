"""Whether packs, and packs in bfloat16, end at the accuracies of plain networks in float32.

One topology is trained with several seeds, three times: each seed by PyTorch's own layers in
float32, and seeds together as packs, in float32 and in bfloat16. Differences are paired by seed.
Two one-sided t tests say whether their mean lies within a margin that was chosen beforehand: a
percentage point, or what is given. A training that diverged counts with the accuracy that was
measured at its end, and is named.

Run: python benchmarks/precision.py [--data digits|cifar10] [--data-dir DIR] [--seeds 30]
    [--pack 10] [--margin 1.0] [--json FILE] [--resume]

FILE is written after each pack, so that a run can be stopped at any time. With --resume what it has
is not trained again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scipy import stats

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.data.splits import Split, load_dataset, split
from nas_core.errors import TopoSweepError
from nas_core.protocols.training import PRESETS, DataOptions, Protocol
from nas_core.training.epochs import EpochMetrics
from nas_core.training.pack import Member, PackTraining
from nas_core.training.training import Training
from topo_sweep.bench.record import figures_of, keep, record, typed

GENOTYPE: Final = Genotype(
    normal=CellEdges.uniform(Topology.from_index(99), "sep_conv_3x3"),
    reduction=CellEdges.uniform(Topology.from_index(0), "max_pool_3x3"),
)
WORK: Final = {
    "digits": (
        PRESETS["demo"].with_values({"epochs": 10}),
        DataOptions(dataset="digits", train_limit=432),
    ),
    "cifar10": (
        PRESETS["shallow"].with_values({"init_channels": 8, "epochs": 6}),
        DataOptions(dataset="cifar10", train_limit=2000),
    ),
}


Row = dict[str, Any]
"""Of one training: `side`, `seed`, `test_accuracy` (0..1), `diverged`, and its share of seconds."""


def plain(protocol: Protocol, images: Split, seeds: Sequence[int]) -> list[Row]:
    """Train each seed alone."""
    rows = []
    for seed in seeds:
        started = time.perf_counter()
        training = Training(GENOTYPE, protocol, images, seed=seed, test_every=protocol.epochs)
        for _ in training.reports():
            pass
        rows.append(row(seed, training.history, time.perf_counter() - started))
    return rows


def packed(protocol: Protocol, images: Split, seeds: Sequence[int]) -> list[Row]:
    """Train seeds together."""
    started = time.perf_counter()
    members = [Member(GENOTYPE, seed) for seed in seeds]
    training = PackTraining(members, protocol, images, test_every=protocol.epochs)
    for _ in training.reports():
        pass
    seconds = (time.perf_counter() - started) / len(seeds)
    return [row(seed, training.history_of(n), seconds) for n, seed in enumerate(seeds)]


def row(seed: int, epochs: Sequence[EpochMetrics], seconds: float) -> Row:
    """Return what is kept of a training, by its last measured accuracy."""
    measured = [each.test_accuracy for each in epochs if each.test_accuracy is not None]
    if not measured:
        raise TopoSweepError(f"the training of seed {seed} ended without a test accuracy")
    return {
        "seed": seed,
        "test_accuracy": measured[-1],
        "diverged": epochs[-1].diverged,
        "seconds": seconds,
    }


Train = Callable[[Protocol, Split, Sequence[int]], list[Row]]
SIDES: Final[dict[str, tuple[Train, str]]] = {
    "plain, float32": (plain, "float32"),
    "pack, float32": (packed, "float32"),
    "pack, bfloat16": (packed, "bfloat16"),
}
"""The first is the reference."""


def trained(
    protocol: Protocol, images: Split, *, seeds: int, pack: int, rows: Sequence[Row]
) -> Iterator[list[Row]]:
    """Train what `rows` lack, seeds of a pack on all sides in turn; yield all rows after each."""
    done = list(rows)
    for first in range(0, seeds, pack):
        for name, (train, precision) in SIDES.items():
            there = {each["seed"] for each in done if each["side"] == name}
            missing = [n for n in range(first, min(first + pack, seeds)) if n not in there]
            if missing:
                exact = protocol.with_values({"precision": precision})
                done += [{"side": name, **each} for each in train(exact, images, missing)]
                yield done


def compared(
    mine: Sequence[float], reference: Sequence[float], margin: float
) -> dict[str, float | bool]:
    """Return the mean difference, its 90% interval, and whether that lies within the margin.

    All in percent; accuracies are paired, three pairs at least.
    """
    differences = np.subtract(mine, reference)
    error = stats.sem(differences)
    low, high = differences.mean() + stats.t.ppf([0.05, 0.95], len(mine) - 1) * error
    inside = bool(-margin < low and high < margin)
    return {
        "mean": float(np.mean(mine)),
        "sd": float(np.std(mine, ddof=1)),
        "difference": float(differences.mean()),
        "low": float(low),
        "high": float(high),
        "equivalent": inside,
        "spread_p": float(stats.levene(mine, reference).pvalue),
    }


def summed_up(rows: Sequence[Row], margin: float) -> dict[str, Any]:
    """Return what all seeds gave that every side has, and the rows themselves."""
    by_side = {
        name: {each["seed"]: each for each in rows if each["side"] == name} for name in SIDES
    }
    seeds = sorted(set.intersection(*(set(side) for side in by_side.values())))
    accuracies = {
        name: [100 * side[seed]["test_accuracy"] for seed in seeds]
        for name, side in by_side.items()
    }
    reference, *others = accuracies
    return {
        "margin": margin,
        "seeds": len(seeds),
        "compared": {
            name: compared(accuracies[name], accuracies[reference], margin)
            for name in others
            if len(seeds) > 2
        },
        "accuracies": accuracies,
        "seconds": {
            name: sum(side[seed]["seconds"] for seed in seeds) for name, side in by_side.items()
        },
        "diverged": [f"{each['side']}, seed {each['seed']}" for each in rows if each["diverged"]],
        "rows": list(rows),
    }


def text(figures: dict[str, Any]) -> str:
    """Return the figures in sentences."""
    (reference, percents), *_ = figures["accuracies"].items()
    lines = [f"n = {figures['seeds']} seeds; diverged: {'; '.join(figures['diverged']) or 'none'}"]
    if figures["compared"]:
        spread = np.std(percents, ddof=1)
        lines.append(f"{reference}: {np.mean(percents):.2f}%, SD {spread:.2f}")
    for name, each in figures["compared"].items():
        verdict = "within" if each["equivalent"] else "NOT shown to be within"
        faster = figures["seconds"][reference] / figures["seconds"][name]
        lines.append(
            f"{name}: {each['mean']:.2f}%, SD {each['sd']:.2f}; difference "
            f"{each['difference']:+.2f} points (90% {each['low']:+.2f} to {each['high']:+.2f}), "
            f"{verdict} {figures['margin']} points; p of equal spread {each['spread_p']:.2f}; "
            f"{faster:.1f} times as fast"
        )
    return "\n".join(lines)


def main() -> None:
    """Train, compare, keep and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", choices=WORK, default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--pack", type=int, default=10, help="seeds that are trained together")
    parser.add_argument("--margin", type=float, default=1.0, help="percentage points")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    if arguments.resume and not arguments.json:
        parser.error("--resume goes on with a file: name it with --json")
    protocol, options = WORK[arguments.data]
    work = {
        "data": options.model_dump(),
        "pack": arguments.pack,
        "protocol_hash": protocol.protocol_hash,
        "margin": arguments.margin,
    }
    kept = figures_of(arguments.json) if arguments.resume else {}
    if kept and kept["work"] != work:
        parser.error(f"{arguments.json} is of {kept['work']}, not of {work}: name another file")
    torch.set_num_threads(1)
    images = split(load_dataset(arguments.data, arguments.data_dir), options)
    rows = kept.get("rows", [])
    for done in trained(protocol, images, seeds=arguments.seeds, pack=arguments.pack, rows=rows):
        rows = done
        print(f"{rows[-1]['side']}: seed {rows[-1]['seed']} is done", file=sys.stderr)
        if arguments.json:
            figures = {"work": work, **summed_up(rows, arguments.margin)}
            keep(arguments.json, record(typed(), figures, n=figures["seeds"]))
    print(f"{arguments.data}, {len(images.train)} training and {len(images.test)} test images, "
          f"{protocol.init_channels} channels, {protocol.epochs} epochs")  # fmt: skip
    print(text(summed_up(rows, arguments.margin)))


if __name__ == "__main__":
    main()
