"""Several sides measured in turn, so that what disturbs one disturbs all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from topo_sweep.analysis.text import plain_table

Side = Callable[[], float]
"""Does its work once and returns the seconds that count."""
Tell = Callable[[str], None]
"""Takes a line on how far a measurement is."""


def in_turn(sides: Mapping[str, Side], repeats: int, tell: Tell) -> dict[str, list[float]]:
    """Run each side once to warm up, then all of them in turn; return their seconds by name."""
    for number, (name, side) in enumerate(sides.items(), 1):
        tell(f"warming up {number} of {len(sides)}: {name}")
        side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(1, repeats + 1):
        tell(f"turn {turn} of {repeats}")
        for name, side in sides.items():
            seconds[name].append(side())
    return seconds


def timed(work: Callable[[], object]) -> float:
    """Do some work; return the seconds that it took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ratio(yardstick: Sequence[float], seconds: Sequence[float]) -> float:
    """Return how often a side goes into the yardstick: the median over the turns."""
    return median(one / other for one, other in zip(yardstick, seconds, strict=True))


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median of a side's seconds, the least and the greatest."""
    return {
        "seconds": median(seconds),
        "least_seconds": min(seconds),
        "greatest_seconds": max(seconds),
    }


def sides_table(
    what: str, sides: Iterable[Mapping[str, Any]], more: Mapping[str, str] | None = None
) -> str:
    """Return a table of sides, each with its `spread`.

    Args:
        what: the header of their names.
        sides: records with `side`, the name, and what `spread` gives.
        more: other columns by their header, as '{key:.2f}' of a record.

    """
    spreads = ("seconds", "least_seconds", "greatest_seconds")
    others = more or {}
    return plain_table(
        [what, "s", "least", "greatest", *others],
        [
            [
                side["side"],
                *(seconds_text(side[key]) for key in spreads),
                *(text.format_map(side) for text in others.values()),
            ]
            for side in sides
        ],
    )


def seconds_text(value: float) -> str:
    """Return seconds with three digits that count: '0.0120', '1.23', '123'."""
    return f"{value:#.3g}" if value < 100 else f"{value:.0f}"
