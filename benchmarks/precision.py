"""Whether packs, and packs in bfloat16, end at the accuracies of plain networks in float32.

One topology is trained with several seeds, three times: each seed by PyTorch's own layers in
float32, all seeds as a pack in float32, and as a pack in bfloat16. Differences are paired by seed.
Two one-sided t tests say whether their mean lies within a margin that was chosen beforehand: a
percentage point, or what is given.

Run: python benchmarks/precision.py [--data digits|cifar10] [--seeds 30] [--margin 1.0] [--json F]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scipy import stats

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.data.splits import Split, load_dataset, split
from nas_core.protocols.training import PRESETS, DataOptions, Protocol
from nas_core.training.pack import Member, PackTraining
from nas_core.training.training import Training
from topo_sweep.bench.record import keep, record, typed

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


def plain(protocol: Protocol, images: Split, seeds: range) -> list[float]:
    """Return the test accuracy of each seed, trained alone, in percent."""
    accuracies = []
    for seed in seeds:
        training = Training(GENOTYPE, protocol, images, seed=seed, test_every=protocol.epochs)
        for _ in training.reports():
            pass
        accuracies.append(100 * (training.history[-1].test_accuracy or 0))
    return accuracies


def packed(protocol: Protocol, images: Split, seeds: range) -> list[float]:
    """Return the same of seeds that are trained together."""
    members = [Member(GENOTYPE, seed) for seed in seeds]
    training = PackTraining(members, protocol, images, test_every=protocol.epochs)
    for _ in training.reports():
        pass
    return [100 * (member.test_accuracy or 0) for member in training.history[-1].members]


def compared(mine: list[float], reference: list[float], margin: float) -> dict[str, float | bool]:
    """Return the mean difference, its 90% interval, and whether that lies within the margin."""
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


def main() -> None:
    """Train, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=WORK, default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--margin", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    protocol, options = WORK[arguments.data]
    images = split(load_dataset(arguments.data, arguments.data_dir), options)
    seeds = range(arguments.seeds)
    seconds, accuracies = {}, {}
    for name, train, precision in [
        ("plain, float32", plain, "float32"),
        ("pack, float32", packed, "float32"),
        ("pack, bfloat16", packed, "bfloat16"),
    ]:
        started = time.perf_counter()
        accuracies[name] = train(protocol.with_values({"precision": precision}), images, seeds)
        seconds[name] = time.perf_counter() - started
    reference, *others = accuracies
    rows: dict[str, Any] = {
        name: compared(accuracies[name], accuracies[reference], arguments.margin) for name in others
    }
    print(f"{arguments.data}, {len(images.train)} training and {len(images.test)} test images, "
          f"{protocol.init_channels} channels, {protocol.epochs} epochs, n = {len(seeds)} seeds; "
          f"{reference}: {np.mean(accuracies[reference]):.2f}%, "
          f"SD {np.std(accuracies[reference], ddof=1):.2f}")  # fmt: skip
    for name, row in rows.items():
        verdict = "within" if row["equivalent"] else "NOT shown to be within"
        print(f"{name}: {row['mean']:.2f}%, SD {row['sd']:.2f}; difference "
              f"{row['difference']:+.2f} points (90% {row['low']:+.2f} to {row['high']:+.2f}), "
              f"{verdict} {arguments.margin} points; p of equal spread {row['spread_p']:.2f}; "
              f"{seconds[reference] / seconds[name]:.1f} times as fast")  # fmt: skip
    if arguments.json:
        figures = {
            "margin": arguments.margin,
            "compared": rows,
            "accuracies": accuracies,
            "seconds": seconds,
        }
        keep(arguments.json, record(typed(), figures, n=len(seeds)))


if __name__ == "__main__":
    main()
