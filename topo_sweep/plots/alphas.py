"""The picture of one search: softmax weights of every edge over epochs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from nas_core.cells.discretisation import EdgeWeights
from nas_core.cells.genotype import OPERATION_NAMES, CellEdges, Genotype
from nas_core.cells.topology import INPUTS
from nas_core.errors import InputError
from topo_sweep.plots.parts import COLOURS, DASHES, LABELS, header, header_inches, space_label

if TYPE_CHECKING:
    import pandas as pd

_CELLS: Final = ("normal", "reduction")
_READING: Final = (
    "weights after softmax, in which none takes part; "
    "bold: edges and operations of the cell that was found"
)
_LEFT, _BETWEEN, _RIGHT = 0.75, 0.8, 0.15  # inches beside the two blocks of panels
_PANEL_INCHES: Final = (1.25, 1.12)
_CHOSEN_WIDTH, _OTHER_WIDTH = 2.4, 1.1

Place = tuple[int, int]
"""Source and node of an edge."""


@dataclass(frozen=True)
class _Curves:
    """Weights of one cell: edge -> operation -> (epochs,), NaN where it does not exist."""

    edges: dict[Place, dict[str, NDArray[np.float64]]]

    @classmethod
    def of(cls, cells: Sequence[Sequence[EdgeWeights]]) -> _Curves:
        curves: dict[Place, dict[str, NDArray[np.float64]]] = {}
        for epoch, cell in enumerate(cells):
            for edge in cell:
                own = curves.setdefault((edge.source, edge.node), {})
                for name, weight in edge.weights.items():
                    own.setdefault(name, np.full(len(cells), np.nan))[epoch] = weight
        return cls(dict(sorted(curves.items(), key=lambda item: item[0][::-1])))

    def of_node(self, node: int) -> list[Place]:
        return [place for place in self.edges if place[1] == node]

    @property
    def nodes(self) -> list[int]:
        return sorted({node for _, node in self.edges})

    @property
    def operations(self) -> set[str]:
        return {name for curves in self.edges.values() for name in curves}

    @property
    def weights(self) -> NDArray[np.float64]:
        """All of them in one row."""
        return np.concatenate([own for edge in self.edges.values() for own in edge.values()])


def chosen_search(
    searches: pd.DataFrame, *, search_id: str | None = None, seed: int | None = None
) -> pd.Series[Any]:
    """Return the newest search, of those with this seed, or the one whose id starts so.

    Raises:
        InputError: there is none, or the beginning of the id fits several.

    """
    if searches.empty:
        raise InputError(
            "there is no finished search to draw: start some with `topo-sweep run`, or wait "
            "(`topo-sweep status` shows how far a run is)"
        )
    rows = searches.sort_values(["finished_at", "search_id"])
    if search_id is not None:
        rows = rows[rows["search_id"].str.startswith(search_id)]
        if len(rows) > 1:
            raise InputError(f"{search_id} is the beginning of {len(rows)} search ids: give more")
    if seed is not None:
        rows = rows[rows["seed"] == seed]
    if rows.empty:
        what = f"--search {search_id}" if search_id is not None else f"--seed {seed}"
        seeds = ", ".join(str(own) for own in sorted(set(searches["seed"])))
        raise InputError(
            f"no search fits {what}: there are {len(searches)}, such as "
            f"{searches['search_id'].iloc[-1]}, with seeds {seeds}"
        )
    return rows.iloc[-1]


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
    curves = {
        cell: _Curves.of(
            [[EdgeWeights.from_json_value(e) for e in epoch[cell]] for epoch in weights]
        )
        for cell in _CELLS
    }
    stages = rows["stage"].to_numpy(dtype=int)
    starts = [float(place) + 0.5 for place in np.flatnonzero(np.diff(stages))]
    genotype = Genotype.from_string(str(rows["genotype"].iloc[-1]))
    found = {"normal": genotype.normal, "reduction": genotype.reduction}
    widest = max(len(curve.of_node(node)) for curve in curves.values() for node in curve.nodes)
    deepest = max(len(curve.nodes) for curve in curves.values())
    setting = [_search_words(search), _READING]
    layout = _Layout(widest, deepest, header_inches(setting))
    figure = Figure(figsize=layout.size)
    for number, cell in enumerate(_CELLS):
        grid = layout.grid(figure, number)
        panels = _draw_cell(figure, grid, curves[cell], found[cell])
        for axes in panels:
            axes.set_ylim(*_limits(curves))
            for start in starts:
                axes.axvline(start, color="0.6", linewidth=0.7, zorder=1)
        left, width = layout.block(number)
        figure.text(left + width / 2, layout.block_title, f"{cell} cell", ha="center", fontsize=11)
    operations = [n for n in OPERATION_NAMES if any(n in c.operations for c in curves.values())]
    marks = [
        Line2D([], [], color=COLOURS[n], linestyle=DASHES.get(n, "-"), linewidth=2)
        for n in operations
    ]
    names = [LABELS[name] for name in operations]
    if starts:
        marks.append(Line2D([], [], color="0.5", linewidth=0.8))
        names.append("next stage")
    figure.legend(
        marks,
        names,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.06 / layout.size[1]),
        ncols=len(names),
        frameon=False,
        fontsize=9,
        handlelength=2.6,
    )
    header(figure, "Operation weights over the epochs of a search", setting)
    return figure


def _limits(curves: Mapping[str, _Curves]) -> tuple[float, float]:
    """Return the ends of the axis of weights: from 0, unless all weights are close together."""
    weights = np.concatenate([curve.weights for curve in curves.values()])
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


@dataclass(frozen=True)
class _Layout:
    """Where the two blocks of panels stand, in inches, and as fractions of the figure."""

    columns: int
    rows: int
    header_inches: float

    @property
    def size(self) -> tuple[float, float]:
        width, height = _PANEL_INCHES
        return (
            max(10.4, 2 * (self.columns * width) + _LEFT + _BETWEEN + _RIGHT),
            self.rows * height + self.header_inches + 0.35 + 0.85,
        )

    def block(self, number: int) -> tuple[float, float]:
        """Return left end and width of the normal (0) or reduction cell (1), as fractions."""
        width = self.size[0]
        each = (width - _LEFT - _BETWEEN - _RIGHT) / 2
        return (_LEFT + number * (each + _BETWEEN)) / width, each / width

    @property
    def block_title(self) -> float:
        return 1 - (self.header_inches + 0.2) / self.size[1]

    def grid(self, figure: Figure, number: int) -> GridSpec:
        left, width = self.block(number)
        return GridSpec(
            self.rows,
            self.columns,
            figure=figure,
            left=left,
            right=left + width,
            top=1 - (self.header_inches + 0.5) / self.size[1],
            bottom=0.8 / self.size[1],
            wspace=0.12,
            hspace=0.42,
        )


def _draw_cell(figure: Figure, grid: GridSpec, curves: _Curves, found: CellEdges) -> list[Axes]:
    """Draw the panels of one cell, a node a row."""
    panels = []
    picked = {
        (edge.source, node): edge.operation
        for node, pair in enumerate(found.nodes, INPUTS)
        for edge in pair
    }
    last = len(curves.nodes) - 1
    for row, node in enumerate(curves.nodes):
        for column, place in enumerate(curves.of_node(node)):
            axes = figure.add_subplot(grid[row, column])
            _draw_edge(axes, place, curves.edges[place], picked.get(place))
            panels.append(axes)
            below = row == last or len(curves.of_node(curves.nodes[row + 1])) <= column
            axes.tick_params(labelsize=7, length=2, labelbottom=below, labelleft=column == 0)
            if column == 0:
                axes.set_ylabel(f"node {node}", fontsize=9)
            if row == last:
                axes.set_xlabel("epoch", fontsize=8, labelpad=1)
    return panels


def _draw_edge(
    axes: Axes, place: Place, curves: dict[str, NDArray[np.float64]], picked: str | None
) -> None:
    """Draw one panel; where the edge was not found it stands back."""
    source, node = place
    for name in sorted(curves, key=lambda own: (own == picked, OPERATION_NAMES.index(own))):
        axes.plot(
            np.arange(len(curves[name])),
            curves[name],
            color=COLOURS[name],
            linestyle=DASHES.get(name, "-"),
            linewidth=_CHOSEN_WIDTH if name == picked else _OTHER_WIDTH,
            alpha=1.0 if picked else 0.55,
            zorder=3 if name == picked else 2,
            marker="o" if len(curves[name]) == 1 else "",
            markersize=3,
            label=name,
        )
    title = f"{source} → {node}"
    axes.set_title(
        f"{title}: {LABELS[picked]}" if picked else title,
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
