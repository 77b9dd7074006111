"""The picture of one search: softmax weights of every edge over epochs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from nas_core.cells.discretisation import EdgeWeights
from nas_core.cells.genotype import OPERATION_NAMES, CellEdges, Genotype
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

Weights = dict[str, NDArray[np.float64]]
"""Operation -> its weight in each epoch, NaN where it does not exist."""


Curves = dict[Ends, Weights]
"""The weights of one cell, edges in order of their nodes."""


def alphas(search: pd.Series[Any], epochs: pd.DataFrame) -> Figure:
    """Draw the weights of every edge over epochs, a panel an edge, nodes in rows.

    Lines end where a progressive search drops an operation; the found operation is drawn bold.

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
    cells = {"normal": genotype.normal, "reduction": genotype.reduction}
    curves = {name: _curves([epoch[name] for epoch in weights]) for name in cells}
    lines = [line for cell in curves.values() for edge in cell.values() for line in edge.items()]
    low, high = _limits(np.concatenate([weights for _, weights in lines]))
    stage_starts = np.flatnonzero(np.diff(rows["stage"].to_numpy(dtype=int))) + 0.5
    setting = [_search_words(search), _READING]
    nodes = [_by_node(cell) for cell in curves.values()]
    most_edges = max(len(edges) for cell in nodes for edges in cell)
    figure, blocks = _blocks(max(map(len, nodes)), most_edges, header_inches(setting))
    for block, (name, cell) in zip(blocks, cells.items(), strict=True):
        for axes in _draw_cell(figure, block, curves[name], cell):
            axes.set_ylim(low, high)
            for start in stage_starts:
                axes.axvline(start, color="0.6", linewidth=0.7, zorder=1)
    border = (Line2D([], [], color="0.5", linewidth=0.8), "next stage")
    operation_legend(
        figure,
        {operation for operation, _ in lines},
        [border] if len(stage_starts) else [],
        bottom=0.06,
        line_length=2.6,
    )
    header(figure, "Operation weights over the epochs of a search", setting)
    return figure


def _blocks(rows: int, columns: int, header_height: float) -> tuple[Figure, list[GridSpec]]:
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


def _curves(epochs: Sequence[Iterable[Mapping[str, Any]]]) -> Curves:
    """Return the weights of a cell from its edges in each epoch, as JSON holds them."""
    curves: Curves = {}
    for epoch, edges in enumerate(epochs):
        for edge in map(EdgeWeights.from_json_value, edges):
            weights = curves.setdefault((edge.source, edge.node), {})
            for name, weight in edge.weights.items():
                weights.setdefault(name, np.full(len(epochs), np.nan))[epoch] = weight
    return dict(sorted(curves.items(), key=lambda item: item[0][::-1]))


def _by_node(curves: Curves) -> list[list[Ends]]:
    """Return the edges of each node, the first node first."""
    return [list(edges) for _, edges in groupby(curves, key=lambda ends: ends[1])]


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


def _draw_cell(figure: Figure, grid: GridSpec, curves: Curves, cell: CellEdges) -> list[Axes]:
    """Draw the panels of one cell, a node a row."""
    panels = []
    picked = edge_operations(cell)
    rows = _by_node(curves)
    last = len(rows) - 1
    for row, edges in enumerate(rows):
        for column, ends in enumerate(edges):
            axes = figure.add_subplot(grid[row, column])
            _draw_edge(axes, ends, curves[ends], picked.get(ends))
            panels.append(axes)
            lowest = row == last or len(rows[row + 1]) <= column
            axes.tick_params(labelsize=7, length=2, labelbottom=lowest, labelleft=column == 0)
            if column == 0:
                axes.set_ylabel(f"node {ends[1]}", fontsize=9)
            if row == last:
                axes.set_xlabel("epoch", fontsize=8, labelpad=1)
    return panels


def _draw_edge(axes: Axes, ends: Ends, curves: Weights, picked: str | None) -> None:
    """Draw one panel; where the edge was not found it stands back."""
    for name in sorted(curves, key=lambda name: (name == picked, OPERATION_NAMES.index(name))):
        axes.plot(
            np.arange(len(curves[name])),
            curves[name],
            color=STYLES[name].colour,
            linestyle=STYLES[name].dashes,
            linewidth=_CHOSEN_WIDTH if name == picked else _OTHER_WIDTH,
            alpha=1.0 if picked else 0.55,
            zorder=3 if name == picked else 2,
            marker="o" if len(curves[name]) == 1 else "",
            markersize=3,
            label=name,
        )
    title = f"{ends[0]} → {ends[1]}"
    axes.set_title(
        f"{title}: {STYLES[picked].label}" if picked else title,
        fontsize=8,
        pad=2.5,
        color="black" if picked else "0.5",
        fontweight="bold" if picked else "normal",
    )
    for spine in axes.spines.values():
        spine.set(color="0.1" if picked else "0.75", linewidth=1.1 if picked else 0.7)
    axes.grid(axis="y", color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.locator_params(axis="both", nbins=3, integer=False)
