"""The picture of skip connections by method, beside what the paper's Table II prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_core.errors import InputError
from topo_sweep.analysis.searches import check_one, choose, per_seed, summary
from topo_sweep.paper.published import printed
from topo_sweep.plots.parts import footer, header, margins, text_inches
from topo_sweep.plots.points import SKIPS, Look, cautions, count_axis, draw_points, point_notes

if TYPE_CHECKING:
    import pandas as pd

METHODS: Final = {
    "search_darts_2nd": "DARTS\n2nd order",
    "search_subset": "data\nsubset",
    "search_sparse": "sparse\nupdate",
    "search_subset_sparse": "subset +\nsparse",
    "search_darts_1st": "DARTS\n1st order",
    "search_subspace": "sub-space",
    "search_edarts": "eDARTS",
    "search_pcdarts": "PC-DARTS",
    "search_pdarts": "P-DARTS",
}
"""Names of methods, those of Table II first and in its order."""

_TABLE_2: Final = {
    "search_darts_2nd": "DARTS",
    "search_subset": "DARTS + data subset",
    "search_sparse": "DARTS + epoch update",
    "search_subset_sparse": "DARTS + data subset + epoch update",
}
_PUBLISHED: Final[dict[str, Any]] = {
    "linestyle": "",
    "marker": "D",
    "markersize": 8,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markeredgewidth": 1.3,
}
_VARIANTS: Final = {
    "cells": "{} cells",
    "space": "{}",
    "attention": "attention {}",
    "topology": "wiring {}",
}


def skips(searches: pd.DataFrame) -> Figure:
    """Draw the skip connections of normal and reduction cells by method, Table II's first.

    Methods that were run with several settings are drawn once for each.

    Raises:
        InputError: nothing to draw, or what must not be mixed.

    """
    ended = choose(searches)
    ended = ended[ended["genotype"].notna()]
    if ended.empty:
        raise InputError(f"nothing to draw: all {len(searches)} searches failed")
    check_one(ended, {"dataset": "data sets"})
    ended = ended.assign(group=_groups(ended))
    groups = sorted(set(ended["group"]), key=_order)
    for group in groups:
        check_one(ended[ended["group"] == group], {"protocol_hash": f"protocols of {group}"})
    known = [(place, _TABLE_2[g]) for place, g in enumerate(groups) if g in _TABLE_2]
    notes = point_notes(ended.assign(lost=ended["status"] == "diverged"), "a search")
    notes += cautions(summary(per_seed(ended, ("group",), "skips_normal"), ("group",)))
    if known:
        text = "published: total over five runs, divided by five (the paper's Table II)"
        notes.append((Line2D([], [], **_PUBLISHED), text))
    if failed := len(searches) - len(ended):
        notes.append((None, f"searches that found nothing, left out: {failed}"))
    setting = [f"searches on {ended['dataset'].iloc[0]}; {_images(ended)}"]
    figure = Figure(figsize=(max(7.6, 1.8 + 1.9 * len(groups)), 3.8 + text_inches(setting, notes)))
    panels = figure.subplots(1, 2, sharey=True)
    margins(setting, notes, above=0.35, below=0.75).apply(figure, wspace=0.06)
    counts = {column: per_seed(ended, ("group",), column) for column in SKIPS}
    for number, (axes, (column, name)) in enumerate(zip(panels, SKIPS.items(), strict=True), 1):
        own = counts[column]
        own = own.assign(place=[float(groups.index(group)) for group in own["group"]])
        draw_points(axes, own, Look(number, "", 0.34))
        for place, row in known:
            total = printed("2", row, f"{column}_total_over_runs").number
            runs = printed("2", row, "runs").number
            axes.plot(place + 0.22, total / runs, **_PUBLISHED, gid="published")
        count_axis(axes, counts, "group")
        axes.set_title(name, fontsize=10)
        sizes = own.groupby("group").size()
        labels = [f"{_method_label(group)}\nn = {sizes[group]}" for group in groups]
        axes.set_xticks(range(len(groups)), labels, fontsize=8.5)
        axes.set_xlim(-0.55, len(groups) - 0.55)
    panels[1].set_ylabel("")
    header(figure, "Skip connections of found cells by method", setting)
    footer(figure, notes)
    return figure


def _groups(searches: pd.DataFrame) -> list[str]:
    """Return the method of each search, with the settings in which it was run differently."""
    names = searches["method"].astype(str)
    for column, words in _VARIANTS.items():
        values = searches[column].astype("string").fillna("free")
        varies = values.groupby(searches["method"]).agg(lambda own: len(set(own)) > 1)
        more = [words.format(value) for value in values]
        names = names.where(~searches["method"].map(varies), names + ", " + more)
    return list(names)


def _order(group: str) -> tuple[int, str]:
    method = group.partition(",")[0]
    return (list(METHODS).index(method) if method in METHODS else len(METHODS)), group


def _method_label(group: str) -> str:
    method, *more = group.split(", ")
    return "\n".join([METHODS.get(method, method), *more])


def _images(searches: pd.DataFrame) -> str:
    counts = sorted(set(searches["images"].astype(int)))
    listed = " or ".join(f"{count:,}" for count in counts)
    return f"{listed} images for the weights and as many for the alphas"
