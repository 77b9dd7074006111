"""Points, means and intervals: the one way in which pictures show groups of searches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from topo_sweep.analysis.searches import Found, summary
from topo_sweep.plots.parts import Note

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

LOST: Final[dict[str, Any]] = {
    "linestyle": "",
    "marker": "X",
    "markersize": 8,
    "color": "white",
    "markeredgecolor": "black",
    "zorder": 6,
}
"""How a diverged search, or one with a diverged evaluation, looks."""

SKIPS: Final = {"skips_normal": "normal cell", "skips_reduction": "reduction cell"}
"""Columns of a search row and what they are of."""

_LOST_INTERVAL = "0.8"  # as wide as the picture is high: pale, so that it hides nothing
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Look:
    """How one group of points looks.

    Args:
        number: of the group: which colour and marker of `GROUPS`.
        label: in the legend.
        spread: width over which points are spread, left of their place, where the mean stands.
        joined: whether a line joins the means.

    """

    number: int
    label: str
    spread: float
    joined: bool = False

    @property
    def colour(self) -> str:
        """Colour of points and means."""
        return GROUPS[self.number % len(GROUPS)][0]

    @property
    def marker(self) -> str:
        """Marker of points and means."""
        return GROUPS[self.number % len(GROUPS)][1]


def draw_points(axes: Axes, points: pd.DataFrame, look: Look, *, floor: float = -np.inf) -> None:
    """Draw the points left of their place, and their mean and its interval on it.

    Args:
        axes: of the panel.
        points: `place` (x), `seed`, `value` (y) and `lost` (whether anything diverged).
        look: of the group.
        floor: what diverged and is below is drawn there.

    """
    ordered = points.sort_values(["place", "seed"])
    number = ordered.groupby("place").cumcount().to_numpy(dtype=float)
    # Multiples of the golden ratio: even, never twice the same, and equal in each drawing.
    shift = look.spread * ((number + 1) * _GOLDEN % 1 + 0.25)
    x = ordered["place"].to_numpy(dtype=float) - shift
    y, lost = ordered["value"].to_numpy(dtype=float), ordered["lost"].to_numpy(dtype=bool)
    axes.plot(
        x[~lost],
        y[~lost],
        linestyle="",
        marker=look.marker,
        markersize=5,
        color=look.colour,
        markeredgewidth=0,
        alpha=0.5,
        zorder=3,
        gid="points",
    )
    if lost.any():
        axes.plot(x[lost], np.maximum(y[lost], floor), **LOST, clip_on=False, gid="diverged")
    table = summary(ordered, ("place",))
    mean = table["mean"].to_numpy(dtype=float)
    container = axes.errorbar(
        table["place"].to_numpy(dtype=float),
        mean,
        yerr=mean - table["ci_low"].to_numpy(dtype=float),
        linestyle="-" if look.joined else "",
        linewidth=1.2,
        marker=look.marker,
        markersize=8,
        color=look.colour,
        markeredgecolor="black",
        markeredgewidth=0.9,
        ecolor="black",
        elinewidth=1.3,
        capsize=4,
        zorder=5,
        label=look.label,
    )
    (ends,) = container[2]
    ends.set_color([_LOST_INTERVAL if lost else "black" for lost in table["lost"]])


def limits(
    points: pd.DataFrame, table: pd.DataFrame, *, below: float = 0.06
) -> tuple[float, float]:
    """Return the ends of an axis of values, which what diverged does not stretch.

    Args:
        points: `value` and `lost`.
        table: their `summary`.
        below: share of the range that is left free below.

    """
    sound, groups = points[~points["lost"]], table[table["lost"] == 0]
    values = np.concatenate(
        [
            (sound if len(sound) else points)["value"].to_numpy(dtype=float),
            groups["ci_low"].dropna().to_numpy(dtype=float),
            groups["ci_high"].dropna().to_numpy(dtype=float),
        ]
    )
    low, high = float(values.min()), float(values.max())
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

    Args:
        axes: of the panel.
        counts: all points on this axis, in any panel.
        by: the column that holds their group.

    """
    style_axes(axes, "skip connections a cell")
    tables = [summary(points, (by,)) for points in counts.values()]
    lowest = [table["ci_low"].min() for table in tables]
    highest = [table["ci_high"].max() for table in tables]
    highest += [points["value"].max() for points in counts.values()]
    low, high = float(np.nanmin([0.0, *lowest])), float(np.nanmax([4.0, *highest]))
    axes.set_ylim(low - 0.3, high + 0.3)
    axes.set_yticks(range(int(high) + 1))


def point_notes(points: pd.DataFrame, point: str, given: str = "") -> list[Note]:
    """Say what the marks mean and what the numbers cannot tell.

    Args:
        points: what is drawn, all groups.
        point: what a point is.
        given: what the intervals take as fixed.

    """
    dot = Line2D([], [], linestyle="", marker="o", markersize=5, color="0.3", alpha=0.5)
    bar = Line2D(
        [], [], linestyle="", marker="o", markersize=8, color="0.6", markeredgecolor="black"
    )
    interval = f"mean and 95% t interval over search seeds{given}"
    notes: list[Note] = [(dot, point), (bar, interval)]
    if points["lost"].any():
        count = int(points["lost"].sum())
        text = (
            f"diverged, or with a diverged evaluation: {count}; may be off the scale, as its mean"
        )
        notes.append((Line2D([], [], **LOST), text))
    return notes


def cautions(table: pd.DataFrame) -> list[Note]:
    """Say where there is no interval; `table` is the summary of all groups."""
    single = int((table["n"] == 1).sum())
    if single and single == len(table):
        return [(None, "n = 1: the spread over seeds is unknown, and the order is not evidence")]
    if single:
        return [(None, f"n = 1 in {single} of {len(table)} groups: their spread is unknown")]
    return []


def omissions(cells: Found) -> list[Note]:
    """Say which searches are not drawn."""
    notes: list[Note] = []
    if cells.failed:
        notes.append((None, f"searches that found nothing, left out: {cells.failed}"))
    if cells.waiting:
        notes.append((None, f"searches without an evaluation yet, left out: {cells.waiting}"))
    return notes


def setting_lines(cells: Found, more: str = "") -> list[str]:
    """Return what all searches and evaluations share, in two lines."""
    first = cells.rows.iloc[0]
    words = [f"searches: {first['method']}"]
    if first["attention"] not in (None, "none"):
        words.append(f"attention {first['attention']}")
    if cells.rows["topology"].notna().any():
        words.append(f"wiring {first['topology']}")
    seeds = sorted({int(seed) for seed in cells.rows["seed"]})
    run = seeds == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 2
    listed = f"{seeds[0]} to {seeds[-1]}" if run else ", ".join(map(str, seeds))
    words += [more] if more else []
    words.append(f"search seed{'' if len(seeds) == 1 else 's'} {listed}")
    return [f"{cells.data}, evaluation protocol {cells.protocol_hash}", ", ".join(words)]
