"""The picture of skip connections by method, beside what was published of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import per_seed, summary
from topo_sweep.analysis.comparable import check_one
from topo_sweep.analysis.searches import EVERYTHING, SKIPS
from topo_sweep.plots.parts import OUTLINED, framed
from topo_sweep.plots.points import (
    INTERVALS,
    cautions,
    count_axis,
    draw_points,
    omissions,
    point_notes,
)

if TYPE_CHECKING:
    import pandas as pd

_LABELS: Final = {
    "search_darts_2nd": "DARTS\n2nd order",
    "search_darts_1st": "DARTS\n1st order",
    "search_darts_20": "DARTS\n20 cells",
    "search_subspace": "sub-space",
    "search_edarts": "eDARTS",
    "search_pcdarts": "PC-DARTS",
    "search_pdarts": "P-DARTS",
}
"""Names of methods, and their order after those of Table II; its 'DARTS' is told from 1st order."""

_PUBLISHED: Final[dict[str, Any]] = OUTLINED | {
    "marker": "D",
    "markersize": 8,
    "markerfacecolor": "none",
    "markeredgewidth": 1.3,
}
_VARIANTS: Final = {
    "cells": "{} cells",
    "space": "{}",
    "attention": "attention {}",
    "topology": "wiring {}",
}


def skips(
    searches: pd.DataFrame, table_2: Mapping[str, str], published: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Draw the skip connections of normal and reduction cells by method, Table II's first.

    Methods that were run with several settings are drawn once for each.

    Args:
        searches: one row a search.
        table_2: methods that Table II has, in its order, and what it calls them.
        published: of each method that Table II has, its skips a cell, by the columns
            of `SKIPS`. It stands beside the searches of that method.

    Raises:
        InputError: nothing to draw, or what must not be mixed.

    """
    ended = EVERYTHING.choose(searches)
    ended = ended[ended["genotype"].notna()]
    if ended.empty:
        raise InputError(f"nothing to draw: all {len(searches)} searches failed")
    check_one(ended, {"dataset": "data sets"})
    ended = ended.assign(group=_groups(ended), lost=ended["status"] == "diverged")
    names = {method: _in_two_lines(name) for method, name in table_2.items()} | _LABELS
    groups = sorted(set(ended["group"]), key=lambda group: _order(group, list(names)))
    for group in groups:
        check_one(ended[ended["group"] == group], {"protocol_hash": f"protocols of {group}"})
    beside = {number: published[group] for number, group in enumerate(groups) if group in published}
    counts = {column: per_seed(ended, ("group",), column) for column in SKIPS}
    notes = point_notes(ended, "a search", INTERVALS)
    tables = [summary(counts[column], ("group",)) for column in SKIPS]
    notes += dict.fromkeys(note for table in tables for note in cautions(table))
    if beside:
        text = "published: the paper's Table II, read as totals over five runs, divided by five"
        notes.append((Line2D([], [], **_PUBLISHED), text))
    figure, panels = framed(
        "Skip connections of found cells by method",
        [f"searches on {ended['dataset'].iloc[0]}; {_images(ended)}"],
        notes + omissions(failed=len(searches) - len(ended)),
        width=max(7.6, 1.8 + 1.9 * len(groups)),
        height=3.8,
        above=0.35,
        below=0.75,
        panels=2,
        between=0.06,
        sharey=True,
    )
    for number, (axes, (column, name)) in enumerate(zip(panels, SKIPS.items(), strict=True), 1):
        points = counts[column]
        points = points.assign(x=[float(groups.index(group)) for group in points["group"]])
        draw_points(axes, points, number, spread=0.34)
        for x, printed in beside.items():
            axes.plot(x + 0.22, printed[column], **_PUBLISHED, gid="published")
        count_axis(axes, counts, "group")
        axes.set_title(name, fontsize=10)
        sizes = points.groupby("group").size()
        labels = [f"{_label(group, names)}\nn = {sizes[group]}" for group in groups]
        axes.set_xticks(range(len(groups)), labels, fontsize=8.5)
        axes.set_xlim(-0.55, len(groups) - 0.55)
    panels[1].set_ylabel("")
    return figure


def _groups(searches: pd.DataFrame) -> list[str]:
    """Return the method of each search, with the settings in which it was run differently."""
    names = searches["method"].astype(str)
    for column, words in _VARIANTS.items():
        settings = searches[column].astype("string").fillna("free")
        variants = searches["method"].map(settings.groupby(searches["method"]).nunique())
        more = [words.format(setting) for setting in settings]
        names = names.where(variants == 1, names + ", " + more)
    return list(names)


def _in_two_lines(name: str) -> str:
    """Return what a method of Table II adds to DARTS, such as 'data subset', on two lines."""
    added = name.removeprefix("DARTS + ")
    return added.replace(" + ", " +\n") if " + " in added else added.replace(" ", "\n")


def _order(group: str, methods: Sequence[str]) -> tuple[int, str]:
    method = group.partition(",")[0]
    return (methods.index(method) if method in methods else len(methods)), group


def _label(group: str, names: Mapping[str, str]) -> str:
    method, *settings = group.split(", ")
    return "\n".join([names.get(method, method), *settings])


def _images(searches: pd.DataFrame) -> str:
    counts = sorted(set(searches["images"].astype(int)))
    listed = " or ".join(f"{count:,}" for count in counts)
    return f"{listed} images for the weights and as many for the alphas"
