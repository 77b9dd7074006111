"""Points, means and intervals: how pictures show groups of searches, and what they say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from topo_sweep.analysis.accuracy import COUNT, Range, equal_seeds_caution, summary
from topo_sweep.analysis.searches import EvaluatedSearches
from topo_sweep.analysis.text import single_seed_caution
from topo_sweep.plots.parts import OUTLINED, Note

if TYPE_CHECKING:
    import pandas as pd

GROUPS: Final = (
    ("#0059a3", "o"),
    ("#c94a00", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#e69f00", "v"),
    ("#56b4e9", "P"),
)
"""Colour and marker of groups that are compared, in their order."""

LOST: Final[Mapping[str, Any]] = OUTLINED | {"marker": "X", "markersize": 8, "zorder": 6}
"""How a diverged search, or one with a diverged evaluation, looks."""

INTERVALS: Final = "mean and 95% t interval over search seeds"

_LOST_INTERVAL = "0.8"  # as wide as the picture is high: pale, so that it hides nothing
_GOLDEN = 0.6180339887498949


def group_style(number: int) -> tuple[str, str]:
    """Return colour and marker of a group."""
    return GROUPS[number % len(GROUPS)]


def draw_points(
    axes: Axes,
    points: pd.DataFrame,
    number: int,
    *,
    spread: float,
    label: str = "",
    joined: bool = False,
    floor: float = -np.inf,
    within: Range = COUNT,
) -> None:
    """Draw the mean and its interval of all points with the same `x`, and the points beside it.

    Args:
        axes: of the panel.
        points: `x` (of the mean), `seed`, `value` (y) and `lost` (whether anything diverged).
        number: of the group, which says how it looks.
        spread: width over which the points are spread, left of the mean.
        label: of the group in the legend.
        joined: whether a line joins the means.
        floor: what diverged and is below is drawn there.
        within: the range of `value`, at which intervals are cut.

    """
    colour, marker = group_style(number)
    ordered = points.sort_values(["x", "seed"])
    rank = ordered.groupby("x").cumcount().to_numpy(dtype=float)
    # Multiples of the golden ratio: even, never twice the same, and equal in each drawing.
    shift = spread * ((rank + 1) * _GOLDEN % 1 + 0.25)
    x = ordered["x"].to_numpy(dtype=float) - shift
    y, lost = ordered["value"].to_numpy(dtype=float), ordered["lost"].to_numpy(dtype=bool)
    axes.plot(
        x[~lost],
        y[~lost],
        linestyle="",
        marker=marker,
        markersize=5,
        color=colour,
        markeredgewidth=0,
        alpha=0.5,
        zorder=3,
        gid="points",
    )
    if lost.any():
        axes.plot(x[lost], np.maximum(y[lost], floor), **LOST, clip_on=False, gid="diverged")
    table = summary(ordered, ("x",), within=within)
    mean, low, high = (table[name].to_numpy(dtype=float) for name in ("mean", "ci_low", "ci_high"))
    container = axes.errorbar(
        table["x"].to_numpy(dtype=float),
        mean,
        yerr=(mean - low, high - mean),
        linestyle="-" if joined else "",
        linewidth=1.2,
        marker=marker,
        markersize=8,
        color=colour,
        markeredgecolor="black",
        markeredgewidth=0.9,
        ecolor="black",
        elinewidth=1.3,
        capsize=4,
        zorder=5,
        label=label,
    )
    (ends,) = container[2]
    ends.set_color([_LOST_INTERVAL if lost else "black" for lost in table["lost"]])


def limits(
    points: pd.DataFrame, table: pd.DataFrame, *, below: float = 0.06
) -> tuple[float, float]:
    """Return the ends of an axis of values, which what diverged does not stretch.

    `table` is the summary of the points; a share `below` of the range is left free below.
    """
    sound, groups = points[~points["lost"]], table[table["lost"] == 0]
    values = (sound if len(sound) else points)["value"]
    low = float(np.nanmin([values.min(), groups["ci_low"].min()]))
    high = float(np.nanmax([values.max(), groups["ci_high"].max()]))
    room = (high - low) or 0.5
    return low - below * room, high + 0.06 * room


def style_axes(axes: Axes, label: str) -> None:
    """Name the axis of values and leave only what helps reading."""
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.88", linewidth=0.7)
    axes.set_axisbelow(True)


def count_axis(axes: Axes, counts: Mapping[str, pd.DataFrame], by: str) -> None:
    """Make the axis of values one of whole numbers from 0, with room for all intervals.

    `counts` are all points on this axis, in any panel; the column `by` holds their group.
    """
    style_axes(axes, "skip connections a cell")
    highest = [summary(points, (by,))["ci_high"].max() for points in counts.values()]
    highest += [points["value"].max() for points in counts.values()]
    high = float(np.nanmax([4.0, *highest]))
    axes.set_ylim(-0.3, high + 0.3)
    axes.set_yticks(range(int(high) + 1))


def point_notes(points: pd.DataFrame, point: str, interval: str) -> list[Note]:
    """Say of all groups what a point is, a mean and its interval, and what diverged."""
    dot = Line2D([], [], linestyle="", marker="o", markersize=5, color="0.3", alpha=0.5)
    bar = Line2D([], [], **OUTLINED | {"marker": "o", "markersize": 8, "color": "0.6"})
    notes: list[Note] = [(dot, point), (bar, interval)]
    if lost := int(points["lost"].sum()):
        text = f"diverged, or with a diverged evaluation: {lost}; may be off the scale, as its mean"
        notes.append((Line2D([], [], **LOST), text))
    return notes


def cautions(table: pd.DataFrame) -> list[Note]:
    """Say where there is no interval; `table` is the summary of all groups."""
    sentences = single_seed_caution(table["n"]) + equal_seeds_caution(table)
    return [(None, caution) for caution in sentences]


def omissions(*, failed: int, waiting: int = 0) -> list[Note]:
    """Say how many searches are not drawn: those that failed, and those without an evaluation."""
    counts = {"that found nothing": failed, "without an evaluation yet": waiting}
    return [(None, f"searches {of}, left out: {count}") for of, count in counts.items() if count]


def setting_lines(evaluated: EvaluatedSearches, more: str = "") -> list[str]:
    """Return what all searches and evaluations share, in two lines."""
    rows = evaluated.rows
    first = rows.iloc[0]
    words = [f"searches: {first['method']}"]
    if first["attention"] not in (None, "none"):
        words.append(f"attention {first['attention']}")
    if rows["topology"].notna().any():
        words.append(f"wiring {first['topology']}")
    words += [more] if more else []
    words.append(_seed_words(sorted({int(seed) for seed in rows["seed"]})))
    protocol = f"{evaluated.data}, evaluation protocol {evaluated.protocol_hash}"
    return [protocol, ", ".join(words)]


def _seed_words(seeds: Sequence[int]) -> str:
    """Return 'search seed 3', 'search seeds 3, 7' or 'search seeds 20 to 29'."""
    without_gap = seeds[-1] - seeds[0] == len(seeds) - 1 and len(seeds) > 2
    listed = f"{seeds[0]} to {seeds[-1]}" if without_gap else ", ".join(map(str, seeds))
    return f"search seed{'' if len(seeds) == 1 else 's'} {listed}"
