"""Pictures of many searches: accuracy by search space and by depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from topo_sweep.analysis.searches import check_one, choose, found, per_seed, summary
from topo_sweep.analysis.text import n_words
from topo_sweep.plots.parts import Note, footer, header, margins, space_label, text_inches
from topo_sweep.plots.points import (
    SKIPS,
    Look,
    cautions,
    count_axis,
    draw_points,
    limits,
    omissions,
    point_notes,
    setting_lines,
    style_axes,
)
from topo_sweep.plots.surface import HATCH

if TYPE_CHECKING:
    import pandas as pd

_GRID: Final = ("space", "operations", "cells")
_POINT = "a search, its evaluations averaged"
_GIVEN = ", given this split and this test set"
_MEAN_PLACE = 0.37  # of a slot, right of its centre: the points stand left of the mean
_CELLS_LABEL = "cells of the search network"

Space = tuple[str, str]
"""Name and comma-separated operations."""


def subspaces(
    searches: pd.DataFrame,
    trials: pd.DataFrame,
    *,
    metric: str | None = None,
    method: str | None = None,
    attention: str | None = None,
) -> Figure:
    """Draw the accuracy of what was found by search space and cells, as the paper's figure 2.

    Args:
        searches: one row a search.
        trials: their evaluations.
        metric: 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.
        method: draw the searches of this method alone.
        attention: draw those with this operation attention alone.

    Raises:
        InputError: nothing to draw, or what must not be mixed.

    """
    cells = found(searches, trials, metric=metric, method=method, attention=attention)
    points = _percent(per_seed(cells.rows, _GRID, "value"))
    table = summary(points, _GRID)
    spaces, depths = _spaces(table), sorted(set(table["cells"].astype(int)))
    setting = setting_lines(cells)
    notes = point_notes(points, _POINT, _GIVEN) + cautions(table) + omissions(cells)
    figure = Figure(figsize=(max(7.6, 2.0 + len(spaces)), 4.4 + text_inches(setting, notes)))
    axes = figure.subplots()
    margins(setting, notes, above=0.3).apply(figure)
    low, high = limits(points, table, below=0.1)
    axes.set_ylim(low, high)
    slot = min(0.36, 0.8 / len(depths))
    for number, cells_ in enumerate(depths):
        own = points[points["cells"] == cells_]
        shift = (number - (len(depths) - 1) / 2 + _MEAN_PLACE) * slot
        own = own.assign(place=[spaces.index(key) + shift for key in _keys(own)])
        sizes = own.groupby("place").size()
        look = Look(number, f"{cells_} search cells ({n_words(list(sizes))})", 0.6 * slot)
        draw_points(axes, own, look, floor=low + 0.07 * (high - low))
        for place, n in sizes.items():
            centre = float(str(place)) - _MEAN_PLACE * slot
            _n_text(axes, centre, int(n), look.colour)
    axes.set_xlim(-0.6, len(spaces) - 0.4)
    axes.set_xticks(
        range(len(spaces)), [space_label(*space, between="\n") for space in spaces], fontsize=9
    )
    axes.tick_params(axis="x", length=0)
    for border in range(1, len(spaces)):
        axes.axvline(border - 0.5, color="0.85", linewidth=0.8, zorder=0)
    style_axes(axes, f"{cells.metric_name} (%)")
    _legend(axes)
    header(figure, f"{cells.metric_name.capitalize()} of found cells by search space", setting)
    footer(figure, notes)
    return figure


def depth(
    searches: pd.DataFrame,
    trials: pd.DataFrame,
    *,
    metric: str | None = None,
    method: str | None = None,
    attention: str | None = None,
    space: str | None = None,
) -> Figure:
    """Draw accuracy and skips of what was found against the cells of the search network.

    Args:
        searches: one row a search.
        trials: their evaluations.
        metric: 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.
        method: draw the searches of this method alone.
        attention: draw those with this operation attention alone.
        space: draw those in this space alone; needed where there are several.

    Raises:
        InputError: nothing to draw, or what must not be mixed.

    """
    ended = choose(searches, method=method, attention=attention, space=space)
    check_one(ended, {"space": "spaces", "operations": "sets of operations"})
    ended = ended[ended["genotype"].notna()]
    cells = found(searches, trials, metric=metric, method=method, attention=attention, space=space)
    points = _percent(per_seed(cells.rows, ("cells",), "value"))
    table = summary(points, ("cells",))
    points = points.assign(place=points["cells"].astype(float))
    setting = setting_lines(cells, f"space {space_label(*_spaces(ended)[0])}")
    notes = point_notes(points, _POINT, _GIVEN) + cautions(table) + omissions(cells)
    figure = Figure(figsize=(9.6, 3.8 + text_inches(setting, notes)))
    accuracy, skips_ = figure.subplots(1, 2)
    margins(setting, notes, above=0.3).apply(figure, wspace=0.22)
    gaps = np.diff(sorted(set(ended["cells"].astype(float))))
    slot = float(gaps.min()) if len(gaps) else 1.0
    low, high = limits(points, table)
    accuracy.set_ylim(low, high)
    draw_points(accuracy, points, Look(0, "", 0.3 * slot, joined=True), floor=low)
    style_axes(accuracy, f"{cells.metric_name} (%)")
    counts = {column: per_seed(ended, ("cells",), column) for column in SKIPS}
    for number, (column, name) in enumerate(SKIPS.items(), 1):
        own = counts[column]
        own = own.assign(place=own["cells"].astype(float) + (number - 1.5) * 0.34 * slot)
        draw_points(skips_, own, Look(number, name, 0.2 * slot, joined=True))
    count_axis(skips_, counts, "cells")
    _legend(skips_)
    for axes, rows in ((accuracy, cells.rows), (skips_, ended)):
        sizes = rows.groupby("cells")["seed"].nunique()
        axes.set_xticks(
            [float(str(count)) for count in sizes.index],
            [f"{count}\nn = {n}" for count, n in sizes.items()],
        )
        axes.set_xlim(ended["cells"].min() - 0.6 * slot, ended["cells"].max() + 0.6 * slot)
        axes.set_xlabel(_CELLS_LABEL)
    header(figure, f"{cells.metric_name.capitalize()} and skips of found cells by depth", setting)
    footer(figure, notes)
    return figure


def grid_map(
    searches: pd.DataFrame,
    trials: pd.DataFrame,
    *,
    metric: str | None = None,
    method: str | None = None,
    attention: str | None = None,
) -> Figure:
    """Draw the mean accuracy of every space and depth as a map, with n in each box.

    Args:
        searches: one row a search.
        trials: their evaluations.
        metric: 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.
        method: draw the searches of this method alone.
        attention: draw those with this operation attention alone.

    Raises:
        InputError: nothing to draw, or what must not be mixed.

    """
    cells = found(searches, trials, metric=metric, method=method, attention=attention)
    points = _percent(per_seed(cells.rows, _GRID, "value"))
    table = summary(points, _GRID)
    asked = choose(searches, method=method, attention=attention)
    spaces, depths = _spaces(asked), sorted(set(asked["cells"].astype(int)))
    grid = np.full((len(spaces), len(depths)), np.nan)
    texts: dict[tuple[int, int], str] = {}
    for key, row in zip(_keys(table), table.to_dict("records"), strict=True):
        place = spaces.index(key), depths.index(int(row["cells"]))
        grid[place] = row["mean"]
        spread = "" if np.isnan(row["ci_low"]) else f" ± {row['mean'] - row['ci_low']:.2f}"
        lost = f", {row['lost']} diverged" if row["lost"] else ""
        texts[place] = f"{row['mean']:.2f}{spread}\nn = {row['n']}{lost}"
    half = f"± half of a 95% t interval over search seeds{_GIVEN}"
    notes: list[Note] = [(None, half), (None, "bold: the best mean")]
    notes += cautions(table) + omissions(cells)
    if missing := int(np.isnan(grid).sum()):
        hatched = Patch(facecolor="white", edgecolor="0.45", hatch=HATCH)
        notes.append((hatched, f"no result: {missing} of {grid.size} boxes"))
    setting = setting_lines(cells)
    height = 0.8 + 0.52 * len(spaces) + text_inches(setting, notes)
    figure = Figure(figsize=(max(7.6, 4.4 + 1.3 * len(depths)), height))
    axes = figure.subplots()
    margins(setting, notes, left=1.75, right=0.8, below=0.55).apply(figure)
    axes.patch.set(facecolor="white", edgecolor="0.45", hatch=HATCH)
    sound = table.loc[table["lost"] == 0, "mean"]
    scale = sound if len(sound) else table["mean"]
    image = axes.imshow(
        np.ma.masked_invalid(grid),
        norm=Normalize(scale.min(), scale.max()),
        cmap="viridis",
        aspect="auto",
        interpolation="nearest",
    )
    for (row_, column), text in texts.items():
        light = bool(np.asarray(image.norm(grid[row_, column])) > 0.6)
        best = grid[row_, column] == np.nanmax(grid)
        own = axes.text(column, row_, text, ha="center", va="center", fontsize=8.5)
        own.set(color="black" if light else "white", fontweight="bold" if best else "normal")
    for border in range(1, len(spaces)):
        axes.axhline(border - 0.5, color="white", linewidth=1.5)
    for border in range(1, len(depths)):
        axes.axvline(border - 0.5, color="white", linewidth=1.5)
    axes.set_xticks(range(len(depths)), [str(count) for count in depths])
    axes.set_xlabel(_CELLS_LABEL)
    labels = [space_label(*space) for space in spaces]
    axes.set_yticks(range(len(spaces)), labels, fontsize=9)
    figure.colorbar(
        image,
        ax=axes,
        label=f"mean {cells.metric_name} (%)",
        format="%.2f",
        pad=0.04,
        extend="min" if (table["mean"] < scale.min()).any() else "neither",
    )
    header(figure, f"{cells.metric_name.capitalize()} of found cells by space and depth", setting)
    footer(figure, notes)
    return figure


def _percent(points: pd.DataFrame) -> pd.DataFrame:
    return points.assign(value=100 * points["value"])


def _keys(rows: pd.DataFrame) -> list[Space]:
    return [(str(a), str(b)) for a, b in zip(rows["space"], rows["operations"], strict=True)]


def _spaces(rows: pd.DataFrame) -> list[Space]:
    """Return the spaces, SS1 to SS8 first."""
    return sorted(set(_keys(rows)), key=lambda key: (not key[0].startswith("SS"), key))


def _n_text(axes: Axes, place: float, n: int, colour: str) -> None:
    """Write how many points there are at a place, just above the axis."""
    axes.annotate(
        f"n={n}",
        (place, 0.0),
        xycoords=axes.get_xaxis_transform(),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=6.5,
        color=colour,
    )


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, frameon=False, fontsize=9)
