"""What a step of a search costs: weights, first- and second-order alphas, as ratios of one run.

Claim: along a fixed topology at the paper's size (5 cells, 16 channels, batch 64, 32x32 images) a
first-order alpha step costs about as much as a weight step, a second-order one three to four times
as much, and PyTorch's kernels instead of our own double a weight step. Measured
alone on 2 shared cores (1 thread of an AMD EPYC, torch 2.14.1, n = 3), in weight steps: first order
0.8, second order 3.3, PyTorch's kernels 2.1; the same weight step again took 1.2, so that is how
far to trust them. A weight step was 4.3 s.

Run: python benchmarks/search_step.py [--threads 1] [--steps 3] [--cells 5] [--channels 16]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median

import torch

from nas_core.data.splits import Images, SearchSplit
from nas_core.networks.kernels import switch
from nas_core.protocols.data import DATASETS
from nas_core.protocols.search import SEARCH_PRESETS, SearchProtocol
from nas_core.training.epochs import SearchEpoch
from nas_core.training.search import Search

BATCH = 64


def images(count: int, *, seed: int) -> Images:
    """Return random images: what they show does not change what a step costs."""
    source = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (count, 3, 32, 32), generator=source, dtype=torch.uint8)
    return Images(pixels, torch.randint(10, (count,), generator=source))


def search(protocol: SearchProtocol, steps: int) -> Search:
    """Return a search of one epoch with this number of steps of each kind."""
    split = SearchSplit(
        DATASETS["cifar10"], images(steps * BATCH, seed=0), images(steps * BATCH, seed=1)
    )
    return Search(protocol.with_values({"alpha_every": "step"}), split, seed=0)


def first_epoch(search: Search) -> SearchEpoch:
    """Run the first epoch, once more if it ran."""
    search.history.clear()
    return next(search.epochs())


def seconds_a_step(protocol: SearchProtocol, steps: int) -> tuple[float, float]:
    """Return the median seconds of a weight step and of an alpha step, after a warm-up epoch."""
    measured = search(protocol, 1)
    epochs = [first_epoch(measured) for _ in range(steps + 2)][2:]  # memory is claimed first
    return (
        median(epoch.weight_seconds for epoch in epochs),
        median(epoch.alpha_seconds for epoch in epochs),
    )


def without_our_kernels(measure: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """Measure with PyTorch's own layers."""
    layers_from = switch.LAYERS_FROM
    switch.LAYERS_FROM = 2**62
    try:
        return measure()
    finally:
        switch.LAYERS_FROM = layers_from


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3, help="measured steps; the median counts")
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--channels", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    values = {"topology": 1, "cells": arguments.cells, "init_channels": arguments.channels}
    second = SEARCH_PRESETS["search_edarts"].with_values(values)
    first = second.with_values({"alpha_order": 1})

    weight, second_order = seconds_a_step(second, arguments.steps)
    weight_again, first_order = seconds_a_step(first, arguments.steps)
    plain, _ = without_our_kernels(lambda: seconds_a_step(first, arguments.steps))
    print(f"torch {torch.__version__}, {arguments.threads} thread(s), n = {arguments.steps} steps")
    for name, seconds in (
        ("weight step", weight),
        ("weight step again", weight_again),
        ("first-order alpha step", first_order),
        ("second-order alpha step", second_order),
        ("weight step, PyTorch's kernels", plain),
    ):
        print(f"{name:32s} {seconds:7.2f} s  {seconds / weight:5.2f} weight steps")


if __name__ == "__main__":
    main()
