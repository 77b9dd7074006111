"""What searching several seeds as one gains: seconds of their steps, as ratios of one run.

A turn is a weight step and an alpha step of each search alone, one after another, then the same of
all of them as a pack, in one process; a ratio is the median over turns. Images are random. Claims
and numbers are in docs/performance.md, the last result in benchmarks/results/search_packs.json.

Run: python benchmarks/search_packs.py [--seeds 2 4 8] [--channels 4 8] [--side 8] [--batch 48]
     [--order 1] [--threads 1] [--repeats 5] [--json benchmarks/results/search_packs.json]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any

import torch

from nas_core.data.splits import Images, SearchSplit
from nas_core.networks.kernels import switch
from nas_core.protocols.data import DATASETS
from nas_core.protocols.search import SEARCH_PRESETS, SearchProtocol
from nas_core.training.search import Search
from nas_core.training.search_pack import PackSearch
from topo_sweep.bench.record import keep, record, typed

KINDS = ("weights", "alphas")


def measured(
    protocol: SearchProtocol, split: SearchSplit, seeds: int, repeats: int
) -> dict[str, Any]:
    """Return the median ratio of each kind of step and all of them in order."""
    alone = [Search(protocol, split, seed=seed) for seed in range(seeds)]
    pack = PackSearch(range(seeds), protocol, split)
    ratios: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(repeats + 1):
        for search in (*alone, *pack.members):
            search.history.clear()
        pack.history.clear()
        one_by_one = [next(search.epochs()) for search in alone]
        together = [epoch for epoch in next(pack.epochs()).members if epoch is not None]
        for kind, part in zip(KINDS, ("weight_seconds", "alpha_seconds"), strict=True):
            apart, as_one = (
                sum(getattr(epoch, part) for epoch in epochs) for epochs in (one_by_one, together)
            )
            ratios[kind].append(apart / as_one)
    # The first of each claims memory.
    return {
        kind: {
            "ratio": round(median(each[1:]), 2),
            "ratios": [round(r, 2) for r in sorted(each[1:])],
        }
        for kind, each in ratios.items()
    }


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--channels", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--side", type=int, default=8, help="of the images, in pixels")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--order", type=int, choices=(1, 2), default=1, help="of alpha steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the result")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    switch.MODELS_UP_TO = 2**62  # side by side, whether that pays or not
    source = torch.Generator().manual_seed(0)

    def images() -> Images:
        shape = (arguments.batch, 3, arguments.side, arguments.side)
        pixels = torch.randint(256, shape, generator=source, dtype=torch.uint8)
        return Images(pixels, torch.randint(10, (arguments.batch,), generator=source))

    split = SearchSplit(DATASETS["cifar10"], images(), images())
    print(
        f"torch {torch.__version__}, {arguments.threads} thread(s), n = {arguments.repeats} turns"
    )
    figures: dict[str, Any] = {}
    for channels in arguments.channels:
        values = {"cells": 5, "init_channels": channels, "batch_size": arguments.batch}
        protocol = SEARCH_PRESETS["search_darts_2nd"].with_values(
            values | {"alpha_order": arguments.order, "alpha_every": "step"}
        )
        for seeds in arguments.seeds:
            name = f"{channels} channels, {seeds} seeds"
            figures[name] = measured(protocol, split, seeds, arguments.repeats)
            for kind, each in figures[name].items():
                low, *_, high = each["ratios"]
                print(f"{name}: {kind} {each['ratio']:.2f} ({low} to {high})", flush=True)
    if arguments.json:
        keep(arguments.json, record(typed(), figures, n=arguments.repeats))


if __name__ == "__main__":
    main()
