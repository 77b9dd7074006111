"""What the forms gain that `nas_core/networks/kernels/switch.py` chooses by the size of maps.

A step of a training or of a search is taken in turn with a form for no map, for every map, and as
its limit chooses; ratios are medians over turns, above 1 where the step without it takes longer.
Claims and numbers are in docs/performance.md; `search_packs.py` has the limit of search packs.

Run: python benchmarks/switches.py [--repeats 7] [--threads 1] [--json FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from nas_core.networks.kernels import switch
from topo_sweep.bench.record import keep, record, typed
from topo_sweep.bench.sizes import search_size, training_size
from topo_sweep.bench.training import members_of
from topo_sweep.bench.turns import Side, in_turn, ratio
from topo_sweep.runs.timing.step_time import TrainingSteps, search_steps, stepwise_search

AS_IT_IS: Final = "as it is"
HUGE = 2**62
"""Larger than any map."""


class Case(NamedTuple):
    """A limit, what it is tried on, and at which values a form runs for every map and for none."""

    limit: str
    steps: str
    always: int
    never: int


CASES: Final = (
    Case("GRADIENTS_FROM", "training, 16 channels, 32x32", 0, HUGE),
    Case("GRADIENTS_FROM", "training of 30, 4 channels, 8x8", 0, HUGE),
    Case("GRADIENTS_FROM", "search, 16 channels, 32x32", 0, HUGE),
    Case("GRADIENTS_FROM", "search, 4 channels, 8x8", 0, HUGE),
    Case("EDGES_UP_TO", "search, 16 channels, 32x32", HUGE, 0),
    Case("EDGES_UP_TO", "search, 4 channels, 8x8", HUGE, 0),
)


def steps_of(name: str) -> Iterator[tuple[float, ...]]:
    """Return steps by their name in `CASES`: 5 cells, and of each step its seconds first."""
    what, channels, side = (part.split()[0] for part in name.split(", "))
    size = int(side.partition("x")[0])
    sizes = {"cells": 5, "init_channels": int(channels), "batch_size": 64 if size == 32 else 48}
    if what == "search":
        protocol, info = search_size("search_darts_2nd", sizes | {"alpha_order": 1}, size)
        return search_steps(stepwise_search(protocol, info, device="cpu"))
    shallow, info = training_size("shallow", sizes, size)
    members = members_of(30 if " of 30" in name else 1)
    return TrainingSteps(members, shallow, info, device="cpu", packed=True)


def side(steps: Iterator[tuple[float, ...]], limit: str, value: int) -> Side:
    """Return what takes a step where a limit has this value."""

    def taken() -> float:
        before = getattr(switch, limit)
        setattr(switch, limit, value)
        try:
            return next(steps)[0]
        finally:
            setattr(switch, limit, before)

    return taken


def measured(case: Case, repeats: int) -> dict[str, Any]:
    """Return the case, seconds of each side, and ratios of `never` to the other two."""
    steps = steps_of(case.steps)
    values: Mapping[str, int] = {
        "never": case.never,
        "always": case.always,
        AS_IT_IS: getattr(switch, case.limit),
    }
    sides = {name: side(steps, case.limit, value) for name, value in values.items()}
    seconds = in_turn(sides, repeats, lambda _: None)
    ratios = {name: ratio(seconds["never"], seconds[name]) for name in ("always", AS_IT_IS)}
    return {"limit": case.limit, "steps": case.steps, "seconds": seconds, "ratios": ratios}


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the result")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cases = []
    for case in CASES:
        figures = measured(case, arguments.repeats)
        always, as_it_is = figures["ratios"].values()
        print(f"{case.limit:15s} {case.steps:32s} always {always:.2f}  as it is {as_it_is:.2f}")
        cases.append(figures)
    if arguments.json:
        result = {"threads": arguments.threads, "cases": cases}
        keep(arguments.json, record(typed(), result, n=arguments.repeats))


if __name__ == "__main__":
    main()
