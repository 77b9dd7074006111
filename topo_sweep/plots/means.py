"""The picture of means with and without their luck: raw, and drawn towards the mean of all."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_core.errors import InputError
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.inference.naming import best_first
from topo_sweep.analysis.inference.noise import members
from topo_sweep.analysis.inference.shrinkage import FEWEST, shrunken_means
from topo_sweep.analysis.text import counted
from topo_sweep.plots.parts import Note, framed

_RAW: Final[dict[str, Any]] = {
    "marker": "o",
    "linestyle": "",
    "color": "tab:orange",
    "markersize": 4,
}
_SHRUNKEN: Final[dict[str, Any]] = {
    "marker": "s",
    "linestyle": "",
    "color": "tab:blue",
    "markersize": 4,
}


def means(design: Design) -> Figure:
    """Draw the mean of each group as measured and without its luck, best first.

    Args:
        design: what was measured.

    Raises:
        InputError: too few groups have two seeds that differ.

    """
    drawn = shrunken_means(design.table, members=members(design))
    if drawn is None:
        raise InputError(
            f"means are drawn together where {FEWEST} or more have two seeds that differ, and "
            f"here are {counted(len(design.groups), design.unit)} ({design.seed_words}): run more "
            "seeds"
        )
    table = 100 * best_first(design, drawn.table).drop(columns="kept")
    place = np.arange(1, len(table) + 1)
    title = f"{design.metric_name.capitalize()} with and without the luck of seeds"
    groups = f"{counted(len(table), design.unit)}, {design.seed_words}"
    setting = [f"{groups}; {design.data}, protocol {design.protocol_hash}"]
    notes: list[Note] = [
        (Line2D([], [], **_RAW), "mean as measured: the best of many was also lucky"),
        (
            Line2D([], [], **_SHRUNKEN),
            "shrunken towards the mean of all by the share that is noise, with 95% interval",
        ),
        (Line2D([], [], color="0.5", linewidth=1), f"mean of all, {100 * drawn.centre:.2f}%"),
    ]
    figure, [axes] = framed(title, setting, notes, width=8.0, height=3.6)
    axes.axhline(100 * drawn.centre, color="0.5", linewidth=1, zorder=1)
    axes.vlines(place, table["low"], table["high"], color="tab:blue", alpha=0.35, linewidth=2)
    axes.plot(place, table["shrunk"], **_SHRUNKEN, zorder=3)
    axes.plot(place, table["mean"], **_RAW, zorder=2)
    axes.set_xlabel(f"{design.unit} by its mean, best first")
    axes.set_ylabel("accuracy (%)")
    axes.margins(x=0.02)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
