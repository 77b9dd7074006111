"""Steps of a search: weights, and alphas of first and second order, in weight steps."""

from __future__ import annotations

from functools import partial
from statistics import mean
from typing import Any, Final

from nas_core.protocols.data import DatasetInfo
from nas_core.protocols.search import SearchProtocol
from topo_sweep.bench.turns import Tell, in_turn, ratio, sides_table, spread
from topo_sweep.runs.device import as_worker
from topo_sweep.runs.timing.step_time import search_steps, stepwise_search

_ORDERS: Final = {1: "alphas, first order", 2: "alphas, second order"}
_WEIGHTS: Final = "weights"


def search_figures(
    protocol: SearchProtocol,
    info: DatasetInfo,
    *,
    device: str,
    threads: int,
    repeats: int,
    tell: Tell,
) -> dict[str, Any]:
    """Measure steps of a search in turn; return `sides`, a list of records.

    Two searches, one of either order, take a step of alphas and one of weights in each turn. Their
    weight steps are the same, and those of a turn count with their mean.

    Raises:
        InputError: the network does not fit the images, or a setting is out of range.

    """
    steps = {
        name: search_steps(
            stepwise_search(protocol.with_values({"alpha_order": order}), info, device=device)
        )
        for order, name in _ORDERS.items()
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}

    def both(name: str) -> float:
        taken[name].append(next(steps[name]))
        return sum(taken[name][-1])

    with as_worker(threads):
        in_turn({name: partial(both, name) for name in steps}, repeats, tell)
    timed = {name: each[1:] for name, each in taken.items()}  # the first warms up
    weights = [mean(w for w, _ in turn) for turn in zip(*timed.values(), strict=True)]
    alphas = {name: [alpha for _, alpha in each] for name, each in timed.items()}
    return {
        "sides": [
            {"side": name, **spread(each), "weight_steps": 1 / ratio(weights, each)}
            for name, each in ({_WEIGHTS: weights} | alphas).items()
        ]
    }


def search_text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    return sides_table("step of", figures["sides"], {"weight steps": "{weight_steps:.2f}"})
