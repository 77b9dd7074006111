"""The picture of one search: softmax weights of every edge over epochs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from nas_core.cells.discretisation import EdgeWeights
from nas_core.cells.genotype import OPERATION_NAMES, Genotype
from nas_core.errors import InputError
from topo_sweep.plots.operations import STYLES, edge_operations, operation_legend, space_label
from topo_sweep.plots.parts import header, header_inches

if TYPE_CHECKING:
    import pandas as pd

_READING: Final = (
    "weights after softmax, in which none takes part; "
    "bold: edges and operations of the cell that was found"
)
_LEFT, _BETWEEN, _RIGHT = 0.75, 0.8, 0.15  # inches beside the two blocks of panels
_PANEL_INCHES: Final = (1.25, 1.12)
_CHOSEN_WIDTH, _OTHER_WIDTH = 2.4, 1.1

Ends = tuple[int, int]
"""Source and node of an edge."""

Curves = dict[str, NDArray[np.float64]]
"""Operation -> its weight in each epoch, NaN where it does not exist."""

Rows = list[dict[Ends, Curves]]
"""The weights of one cell: for each node, the first node first, those of its edges."""


def alphas(search: pd.Series[Any], epochs: pd.DataFrame) -> Figure:
    """Draw the weights of every edge over epochs, a panel an edge, nodes in rows.

    Lines end where a progressive search drops an operation; operations of the genotype are bold.

    Args:
        search: the row of one search.
        epochs: the rows of epochs, of this and perhaps of other searches.

    Raises:
        InputError: no epochs of this search.

    """
    rows = epochs[epochs["search_id"] == search["search_id"]].sort_values(["stage", "epoch"])
    if rows.empty:
        raise InputError(f"search {search['search_id']} has no epochs to draw")
    weights = [json.loads(text) for text in rows["alphas"]]
    genotype = Genotype.from_string(str(rows["genotype"].iloc[-1]))
    curves = [_curves([epoch[name] for epoch in weights]) for name in ("normal", "reduction")]
    setting = [_search_words(search), _READING]
    figure, grids = _panels(
        max(map(len, curves)),
        max(len(edges) for cell in curves for edges in cell),
        header_inches(setting),
    )
    cells = (genotype.normal, genotype.reduction)
    for grid, edges, cell in zip(grids, curves, cells, strict=True):
        _draw_cell(figure, grid, edges, edge_operations(cell))
    drawn = [edge for cell in curves for edges in cell for edge in edges.values()]
    low, high = _limits(np.concatenate([line for edge in drawn for line in edge.values()]))
    operations = {name for edge in drawn for name in edge}
    stage_starts = np.flatnonzero(np.diff(rows["stage"].to_numpy(dtype=int))) + 0.5
    for axes in figure.axes:
        axes.set_ylim(low, high)
        for start in stage_starts:
            axes.axvline(start, color="0.6", linewidth=0.7, zorder=1)
    border = Line2D([], [], color="0.5", linewidth=0.8, label="next stage")
    others = [border] if len(stage_starts) else []
    operation_legend(figure, operations, others, bottom=0.06, line_length=2.6)
    header(figure, "Operation weights over the epochs of a search", setting)
    return figure


def _panels(rows: int, columns: int, header_height: float) -> tuple[Figure, list[GridSpec]]:
    """Return a figure and its two grids of panels, titled, below a header of so many inches."""
    width = max(10.4, 2 * (columns * _PANEL_INCHES[0]) + _LEFT + _BETWEEN + _RIGHT)
    height = rows * _PANEL_INCHES[1] + header_height + 0.35 + 0.85
    figure = Figure(figsize=(width, height))
    each = (width - _LEFT - _BETWEEN - _RIGHT) / 2
    grids = []
    for number, title in enumerate(("normal cell", "reduction cell")):
        left, share = (_LEFT + number * (each + _BETWEEN)) / width, each / width
        title_y = 1 - (header_height + 0.2) / height
        figure.text(left + share / 2, title_y, title, ha="center", fontsize=11)
        grids.append(
            figure.add_gridspec(
                rows,
                columns,
                left=left,
                right=left + share,
                top=1 - (header_height + 0.5) / height,
                bottom=0.8 / height,
                wspace=0.12,
                hspace=0.42,
            )
        )
    return figure, grids


def _curves(epochs: Sequence[Iterable[Mapping[str, Any]]]) -> Rows:
    """Return the weights of a cell from its edges in each epoch, as JSON holds them."""
    curves: dict[Ends, Curves] = {}
    for epoch, edges in enumerate(epochs):
        for edge in map(EdgeWeights.from_json_value, edges):
            weights = curves.setdefault((edge.source, edge.node), {})
            for name, weight in edge.weights.items():
                weights.setdefault(name, np.full(len(epochs), np.nan))[epoch] = weight
    nodes = sorted({node for _, node in curves})
    return [{ends: curves[ends] for ends in sorted(curves) if ends[1] == node} for node in nodes]


def _limits(weights: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of the axis of weights: from 0, unless all weights are close together."""
    low, high = float(np.nanmin(weights)), float(np.nanmax(weights))
    room = 0.06 * ((high - low) or high)
    return (low - room, high + room) if low > high / 3 else (0.0, high + room)


def _search_words(search: pd.Series[Any]) -> str:
    space = space_label(str(search["space"]), str(search["operations"]))
    wiring = search["topology"]
    fixed = f", wiring {wiring}" if isinstance(wiring, int | np.integer) else ""
    return (
        f"{search['method']} on {search['dataset']}, space {space}, {search['cells']} cells"
        f"{fixed}, seed {search['seed']}, search {search['search_id']}"
    )


def _draw_cell(figure: Figure, grid: GridSpec, rows: Rows, chosen: Mapping[Ends, str]) -> None:
    """Draw the panels of one cell, a node a row; `chosen` are the genotype's operations by edge."""
    for row, edges in enumerate(rows):
        below = rows[row + 1] if row + 1 < len(rows) else {}
        for column, (ends, weights) in enumerate(edges.items()):
            axes = figure.add_subplot(grid[row, column])
            _draw_edge(axes, ends, weights, chosen.get(ends))
            lowest = len(below) <= column
            axes.tick_params(labelsize=7, length=2, labelbottom=lowest, labelleft=column == 0)
            if column == 0:
                axes.set_ylabel(f"node {ends[1]}", fontsize=9)
            if not below:
                axes.set_xlabel("epoch", fontsize=8, labelpad=1)


def _draw_edge(axes: Axes, ends: Ends, weights: Curves, chosen: str | None) -> None:
    """Draw one panel; an edge that the genotype leaves out stands back."""
    for name in sorted(weights, key=lambda name: (name == chosen, OPERATION_NAMES.index(name))):
        axes.plot(
            np.arange(len(weights[name])),
            weights[name],
            color=STYLES[name].colour,
            linestyle=STYLES[name].dashes,
            linewidth=_CHOSEN_WIDTH if name == chosen else _OTHER_WIDTH,
            alpha=1.0 if chosen else 0.55,
            zorder=3 if name == chosen else 2,
            marker="o" if len(weights[name]) == 1 else "",
            markersize=3,
            label=name,
        )
    title = f"{ends[0]} → {ends[1]}"
    axes.set_title(
        f"{title}: {STYLES[chosen].label}" if chosen else title,
        fontsize=8,
        pad=2.5,
        color="black" if chosen else "0.5",
        fontweight="bold" if chosen else "normal",
    )
    for spine in axes.spines.values():
        spine.set(color="0.1" if chosen else "0.75", linewidth=1.1 if chosen else 0.7)
    axes.grid(axis="y", color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.locator_params(axis="both", nbins=3, integer=False)
