"""Pictures of many searches: the accuracy of what they found by search space and by depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from topo_sweep.analysis.accuracy import PERCENT, per_seed, summary
from topo_sweep.analysis.comparable import check_one
from topo_sweep.analysis.searches import (
    EVERYTHING,
    SKIPS,
    EvaluatedSearches,
    SearchQuery,
    join_evaluations,
)
from topo_sweep.analysis.text import GIVEN, n_words
from topo_sweep.plots.operations import space_label
from topo_sweep.plots.parts import Note, draw_map, framed, hatched, ink
from topo_sweep.plots.points import (
    INTERVALS,
    cautions,
    count_axis,
    draw_points,
    group_style,
    limits,
    omissions,
    point_notes,
    setting_lines,
    style_axes,
)

if TYPE_CHECKING:
    import pandas as pd

_GRID: Final = ("space", "operations", "cells")
_DEPTH: Final = ("cells",)
_INTERVALS = f"{INTERVALS}, {GIVEN}"
_POINT = "a search, its evaluations averaged"
_MEAN_SHIFT = 0.37  # of a slot, right of its centre: the points stand left of the mean
_CELLS_LABEL = "cells of the search network"

NamedSpace = tuple[str, str]
"""Name and comma-separated operations."""


def subspaces(
    searches: pd.DataFrame, trials: pd.DataFrame, query: SearchQuery = EVERYTHING
) -> Figure:
    """Draw the accuracy of what was found by search space and cells, as the paper's figure 2.

    Args:
        searches: one row a search.
        trials: their evaluations.
        query: which of the searches, and which accuracy.

    Raises:
        InputError: nothing to draw, or what must not be mixed.

    """
    evaluated, points, table = _measured(searches, trials, query, _GRID)
    spaces, depths = _spaces(table), _depths(table)
    figure, (axes,) = framed(
        f"{evaluated.metric_name.capitalize()} of found cells by search space",
        setting_lines(evaluated),
        [*point_notes(points, _POINT, _INTERVALS), *_reservations(table, evaluated)],
        width=max(7.6, 2.0 + len(spaces)),
        height=4.4,
        above=0.3,
    )
    low, high = limits(points, table, below=0.1)
    axes.set_ylim(low, high)
    slot = min(0.36, 0.8 / len(depths))
    for number, cells in enumerate(depths):
        shift = (number - (len(depths) - 1) / 2 + _MEAN_SHIFT) * slot
        group = points[points["cells"] == cells]
        group = group.assign(x=[spaces.index(space) + shift for space in _keys(group)])
        sizes = group.groupby("x").size()
        label = f"{cells} search cells ({n_words(list(sizes))})"
        floor = low + 0.07 * (high - low)
        draw_points(
            axes, group, number, spread=0.6 * slot, label=label, floor=floor, within=PERCENT
        )
        colour, _ = group_style(number)
        for mean_x, n in zip(sizes.index.to_numpy(dtype=float), sizes, strict=True):
            _write_n(axes, mean_x - _MEAN_SHIFT * slot, n, colour)
    axes.set_xlim(-0.6, len(spaces) - 0.4)
    labels = [space_label(*space, between="\n") for space in spaces]
    axes.set_xticks(range(len(spaces)), labels, fontsize=9)
    axes.tick_params(axis="x", length=0)
    for border in range(1, len(spaces)):
        axes.axvline(border - 0.5, color="0.85", linewidth=0.8, zorder=0)
    style_axes(axes, f"{evaluated.metric_name} (%)")
    _legend(axes)
    return figure


def depth(searches: pd.DataFrame, trials: pd.DataFrame, query: SearchQuery = EVERYTHING) -> Figure:
    """Draw accuracy and skips of what was found against the cells of the search network.

    Args:
        searches: one row a search.
        trials: their evaluations.
        query: which of the searches (it needs a space where there are several), which accuracy.

    Raises:
        InputError: nothing to draw, or what must not be mixed.

    """
    ended = query.choose(searches)
    check_one(ended, {"space": "spaces", "operations": "sets of operations"})
    ended = ended[ended["genotype"].notna()]
    evaluated, points, table = _measured(searches, trials, query, _DEPTH)
    figure, (accuracy, skips) = framed(
        f"{evaluated.metric_name.capitalize()} and skips of found cells by depth",
        setting_lines(evaluated, f"space {space_label(*_spaces(ended)[0])}"),
        [*point_notes(points, _POINT, _INTERVALS), *_reservations(table, evaluated)],
        width=9.6,
        height=3.8,
        above=0.3,
        panels=2,
        between=0.22,
    )
    gaps = np.diff(_depths(ended))
    slot = float(gaps.min()) if len(gaps) else 1.0
    low, high = limits(points, table)
    accuracy.set_ylim(low, high)
    points = points.assign(x=points["cells"].astype(float))
    draw_points(accuracy, points, 0, spread=0.3 * slot, joined=True, floor=low, within=PERCENT)
    style_axes(accuracy, f"{evaluated.metric_name} (%)")
    counts = {column: per_seed(ended, _DEPTH, column) for column in SKIPS}
    for number, (column, name) in enumerate(SKIPS.items(), 1):
        group = counts[column]
        group = group.assign(x=group["cells"].astype(float) + (number - 1.5) * 0.34 * slot)
        draw_points(skips, group, number, spread=0.2 * slot, label=name, joined=True)
    count_axis(skips, counts, "cells")
    _legend(skips)
    for axes, rows in ((accuracy, evaluated.rows), (skips, ended)):
        sizes = rows.groupby("cells")["seed"].nunique()
        labels = [f"{cells}\nn = {n}" for cells, n in sizes.items()]
        axes.set_xticks(sizes.index.to_numpy(dtype=float), labels)
        axes.set_xlim(ended["cells"].min() - 0.6 * slot, ended["cells"].max() + 0.6 * slot)
        axes.set_xlabel(_CELLS_LABEL)
    return figure


def grid_map(
    searches: pd.DataFrame, trials: pd.DataFrame, query: SearchQuery = EVERYTHING
) -> Figure:
    """Draw the mean accuracy of every space and depth as a map, with n in each box.

    Args:
        searches: one row a search.
        trials: their evaluations.
        query: which of the searches, and which accuracy.

    Raises:
        InputError: nothing to draw, or what must not be mixed.

    """
    evaluated, _, table = _measured(searches, trials, query, _GRID)
    asked = query.choose(searches)
    spaces, depths = _spaces(asked), _depths(asked)
    means = np.full((len(spaces), len(depths)), np.nan)
    texts: dict[tuple[int, int], str] = {}
    for space, group in zip(_keys(table), table.to_dict("records"), strict=True):
        box = spaces.index(space), depths.index(group["cells"])
        means[box], texts[box] = group["mean"], _box_text(group)
    notes: list[Note] = [
        (None, f"below a mean its 95% t interval over search seeds, {GIVEN}"),
        (None, "bold: the best mean"),
        *_reservations(table, evaluated),
    ]
    if missing := int(np.isnan(means).sum()):
        notes.append((hatched(), f"no result: {missing} of {means.size} boxes"))
    figure, (axes,) = framed(
        f"{evaluated.metric_name.capitalize()} of found cells by space and depth",
        setting_lines(evaluated),
        notes,
        width=max(7.6, 4.4 + 1.3 * len(depths)),
        height=0.8 + 0.6 * len(spaces),
        left=1.75,
        right=0.8,
        below=0.55,
    )
    sound = table.loc[table["lost"] == 0, "mean"]
    drawn = sound if len(sound) else table["mean"]
    image = draw_map(
        axes,
        means,
        (drawn.min(), drawn.max()),
        "viridis",
        label=f"mean {evaluated.metric_name} (%)",
        extend="min" if table["mean"].min() < drawn.min() else "neither",
        pad=0.04,
    )
    for (row, column), text in texts.items():
        mean = means[row, column]
        written = axes.text(column, row, text, ha="center", va="center", fontsize=8.5)
        written.set_color(ink(image, mean))
        written.set_fontweight("bold" if mean == np.nanmax(means) else "normal")
    for draw_line, count in ((axes.axhline, len(spaces)), (axes.axvline, len(depths))):
        for border in range(1, count):
            draw_line(border - 0.5, color="white", linewidth=1.5)
    axes.set_xticks(range(len(depths)), [str(cells) for cells in depths])
    axes.set_xlabel(_CELLS_LABEL)
    axes.set_yticks(range(len(spaces)), [space_label(*space) for space in spaces], fontsize=9)
    return figure


def _measured(
    searches: pd.DataFrame, trials: pd.DataFrame, query: SearchQuery, by: tuple[str, ...]
) -> tuple[EvaluatedSearches, pd.DataFrame, pd.DataFrame]:
    """Return what is drawn, the points of each group in percent, and their summary."""
    evaluated = join_evaluations(searches, trials, query)
    points = per_seed(evaluated.rows, by, "accuracy")
    points = points.assign(value=100 * points["value"])
    return evaluated, points, summary(points, by, within=PERCENT)


def _reservations(table: pd.DataFrame, evaluated: EvaluatedSearches) -> list[Note]:
    """Say which groups have no interval, and which searches are not drawn."""
    return cautions(table) + omissions(failed=evaluated.failed, waiting=evaluated.waiting)


def _keys(rows: pd.DataFrame) -> list[NamedSpace]:
    return [(str(a), str(b)) for a, b in zip(rows["space"], rows["operations"], strict=True)]


def _spaces(rows: pd.DataFrame) -> list[NamedSpace]:
    """Return the spaces, SS1 to SS8 first."""
    return sorted(set(_keys(rows)), key=lambda space: (not space[0].startswith("SS"), space))


def _depths(rows: pd.DataFrame) -> list[int]:
    return sorted(set(rows["cells"].astype(int)))


def _box_text(group: dict[Any, Any]) -> str:
    """Return mean, interval and n of a row of the summary."""
    low, high = group["ci_low"], group["ci_high"]
    interval = "" if np.isnan(low) else f"\n{low:.2f} to {high:.2f}"
    lost = f", {group['lost']} diverged" if group["lost"] else ""
    return f"{group['mean']:.2f}{interval}\nn = {group['n']}{lost}"


def _write_n(axes: Axes, x: float, n: int, colour: str) -> None:
    """Write how many points there are, just above the axis."""
    axes.annotate(
        f"n={n}",
        (x, 0.0),
        xycoords=axes.get_xaxis_transform(),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=6.5,
        color=colour,
    )


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, fontsize=9)
