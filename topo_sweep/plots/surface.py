"""Pictures of a ranking: the accuracy of all 180 topologies as a map or as a 3-D surface."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nas_core.cells.topology import Topology, topology_count
from nas_core.errors import InputError
from topo_sweep.analysis.text import single_seed_caution
from topo_sweep.plots.parts import OUTLINED, Grid, Note, Scale, draw_map, hatched, ink, write_notes

if TYPE_CHECKING:
    from topo_sweep.analysis.ranking import Ranking

Mask = NDArray[np.bool_]

STYLES: Final = ("map", "surface3d")

_PAIRS: Final = {
    node: [f"{first},{second}" for first, second in combinations(range(node), 2)]
    for node in (3, 4, 5)
}
ROWS: Final = [f"{third}  {fourth}" for third in _PAIRS[3] for fourth in _PAIRS[4]]
"""What nodes 3 and 4 read: topology index // 10."""
COLUMNS: Final = _PAIRS[5]
"""What node 5 reads: topology index % 10."""

_ROWS_LABEL = "predecessors of node 3 and of node 4"
_COLUMNS_LABEL = "predecessors of node 5"
_INDEX_NOTE = "in each box: the topology's index"

_CUTS: Final = 4
"""How many small faces lie along a side of a face of the surface."""

_BOX: Final = (10, 14, 7)
"""Length of the surface's box along columns, rows and height."""
_VIEW: Final = {"elev": 30, "azim": -60}
"""From where the reader sees it, in degrees."""

_NODES = 4
_COUNT = topology_count(_NODES)

_ON_TOP: Final[dict[str, Any]] = OUTLINED | {"zorder": 100}  # in 3-D, before the surface
_BEST: Final[dict[str, Any]] = _ON_TOP | {"marker": "*", "markersize": 13}
_DIVERGED: Final[dict[str, Any]] = _ON_TOP | {"marker": "X", "markersize": 8}
_ISOLATED: Final[dict[str, Any]] = _ON_TOP | {"marker": "o", "markersize": 4, "color": "0.3"}
_MISSING: Final[dict[str, Any]] = {"linestyle": "", "marker": "x", "color": "0.35"}


def surface(ranking: Ranking, *, style: str = "map") -> Figure:
    """Draw the mean accuracy of all 180 topologies, as figure 3 of the eDARTS paper does.

    Rows are what nodes 3 and 4 read, columns what node 5 reads (node 2 has no choice). What has
    no result is hatched and counted. Topologies with diverged trials do not stretch the scale.

    Args:
        ranking: by topology, of a sweep of topologies with four intermediate nodes.
        style: 'map', with the spread over seeds beside it, or 'surface3d', as in the paper.

    Raises:
        InputError: another style, or a ranking that has no place on this surface.

    """
    if style not in STYLES:
        raise InputError(f"the styles are {' and '.join(STYLES)}, got {style!r}")
    _check_drawable(ranking)
    return _map(ranking) if style == "map" else _surface3d(ranking)


def _check_drawable(ranking: Ranking) -> None:
    if ranking.design.by != "topology":
        raise InputError(
            f"the surface draws topologies one by one: rank by topology, not by {ranking.design.by}"
        )
    if ranking.design.unit != "topology":
        raise InputError(
            f"the surface draws a sweep of topologies, and this is one of {ranking.design.kind}: "
            "use `topo-sweep rank` for its numbers"
        )
    if ranking.design.nodes != _NODES:
        raise InputError(
            f"the surface has a place for the {_COUNT} topologies of {_NODES} nodes, and these "
            f"cells have {ranking.design.nodes}: use `topo-sweep rank` for their numbers"
        )


def _grid(ranking: Ranking, column: str) -> Grid:
    """Return a column of the table by topology, (18, 10), NaN where there is none."""
    values = np.full(_COUNT, np.nan)
    values[ranking.table["topology"].to_numpy(dtype=int)] = ranking.table[column]
    return values.reshape(len(ROWS), len(COLUMNS))


def _range(values: Grid, diverged: Grid) -> Scale:
    """Return the least and the greatest value of topologies without diverged trials.

    One that has some is far outside; where all have some they count.
    """
    known = ~np.isnan(values)
    sound = known & (diverged == 0)
    chosen = values[sound if sound.any() else known]
    return float(chosen.min()), float(chosen.max())


def _mean_scale(mean: Grid, diverged: Grid) -> Scale:
    """Return the ends of the scale of means, which are apart."""
    low, high = _range(mean, diverged)
    margin = 0.05 if low == high else 0.0
    return low - margin, high + margin


def _map(ranking: Ranking) -> Figure:
    """Draw the means and, where there is any, the spread beside them."""
    mean, sd = 100 * _grid(ranking, "mean"), 100 * _grid(ranking, "sd")
    diverged = _grid(ranking, "diverged")
    has_spread = not np.isnan(sd).all()
    figure = Figure(figsize=(11.4, 8.4) if has_spread else (7.6, 8.4))
    panels = figure.subplots(1, 1 + has_spread, squeeze=False, sharey=True)[0]
    figure.subplots_adjust(
        left=0.09 if has_spread else 0.145,
        right=0.97 if has_spread else 0.93,
        top=0.87,
        bottom=0.2,
        wspace=0.1,
    )
    _draw_panel(panels[0], mean, _mean_scale(mean, diverged), "viridis", _mean_label(ranking))
    panels[0].set_ylabel(_ROWS_LABEL)
    panels[0].set_title(_INDEX_NOTE, loc="left", fontsize=8.5)
    for row, column in np.argwhere(diverged > 0):
        panels[0].plot(column, row, **_DIVERGED)
    for row, column in _best(ranking):
        panels[0].plot(column, row, **_BEST)
    if has_spread:
        scale = 0.0, _range(sd, diverged)[1] or 0.05
        _draw_panel(panels[1], sd, scale, "cividis", "SD over seeds (percentage points)")
    _annotate(figure, ranking, hatched())
    return figure


def _draw_panel(axes: Axes, values: Grid, scale: Scale, colours: str, label: str) -> None:
    """Draw one grid of boxes, labelled by what the nodes read, with its bar of colours.

    In the corner of each box stands the topology's index.
    """
    extend = _extend(values, scale)
    image = draw_map(axes, values, scale, colours, label=label, extend=extend, pad=0.03)
    for index, value in enumerate(values.flat):
        row, column = divmod(index, len(COLUMNS))
        number = axes.text(column - 0.46, row - 0.45, str(index), va="top", fontsize=6.5)
        number.set_color(ink(image, value))
        if np.isnan(value):
            number.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.6})
    axes.set_xticks(range(len(COLUMNS)), COLUMNS, fontsize=9)
    axes.set_yticks(range(len(ROWS)), ROWS, fontsize=9)
    axes.set_xlabel(_COLUMNS_LABEL)
    for row in range(len(_PAIRS[4]), len(ROWS), len(_PAIRS[4])):  # where node 3 changes
        axes.axhline(row - 0.5, color="white", linewidth=2)


def _surface3d(ranking: Ranking) -> Figure:
    """Draw the means as a surface; what has no place on it is marked on the floor."""
    figure = Figure(figsize=(9.0, 8.4))
    axes: Any = figure.add_axes((0.0, 0.17, 0.86, 0.74), projection="3d")
    mean, diverged = 100 * _grid(ranking, "mean"), _grid(ranking, "diverged")
    floor, ceiling = _mean_scale(mean, diverged)
    colours = ScalarMappable(Normalize(floor, ceiling), "viridis")
    height = np.where(mean < floor, np.nan, mean)
    columns, rows = np.meshgrid(np.arange(len(COLUMNS)), np.arange(len(ROWS)))
    axes.add_collection(_faces(columns, rows, height, colours), autolim=False)
    on_floor = np.where(np.isnan(height), floor, height)

    def mark(where: Mask, style: Mapping[str, Any]) -> None:
        axes.plot(columns[where], rows[where], on_floor[where], **style)

    mark(np.isnan(mean), _MISSING)
    mark(_isolated(height), _ISOLATED)
    mark(diverged > 0, _DIVERGED)
    for row, column in _best(ranking):
        axes.plot(column, row, on_floor[row, column], **_BEST)
    axes.auto_scale_xyz(columns, rows)
    axes.set(zlim=(floor, ceiling), xlabel=_COLUMNS_LABEL)
    axes.set_xticks(range(len(COLUMNS)), COLUMNS, fontsize=8)
    axes.set_yticks(range(len(ROWS)), ROWS, fontsize=7, ha="left", va="center")
    axes.set_ylabel(_ROWS_LABEL, labelpad=22)
    axes.zaxis.set_major_formatter("{x:.2f}")
    axes.tick_params(axis="z", pad=8)
    axes.view_init(**_VIEW)
    axes.set_box_aspect(_BOX, zoom=1.05)
    bar = figure.add_axes((0.88, 0.32, 0.02, 0.4))
    figure.colorbar(colours, cax=bar, label=_mean_label(ranking), format="%.2f")
    _annotate(figure, ranking, Line2D([], [], **_MISSING))
    return figure


def _faces(
    columns: NDArray[np.int_], rows: NDArray[np.int_], height: Grid, colours: ScalarMappable
) -> Poly3DCollection:
    """Return the surface between topologies of known height, and the lines from one to the next.

    Each face between four of them is cut into small ones, whose colours go from corner to corner:
    a topology has the colour of its own height, where a face of one colour has that of a mean.
    """
    points = np.stack([columns, rows, height])
    corners = sliding_window_view(points, (2, 2), axis=(1, 2))
    corners = corners[:, ~np.isnan(corners).any(axis=(0, 3, 4))]  # coordinate, face, row, column
    cut = np.moveaxis(_between(corners, _CUTS + 1), 0, -1)  # face, row, column, coordinate
    small = [cut[:, :-1, :-1], cut[:, :-1, 1:], cut[:, 1:, 1:], cut[:, 1:, :-1]]
    faces = np.stack(small, axis=3).reshape(-1, 4, 3)
    painted = colours.to_rgba(_between(corners[2], _CUTS).ravel())
    sides = [side for end in (0, -1) for side in (cut[:, end], cut[:, :, end])]
    pieces = [np.stack([side[:, :-1], side[:, 1:]], axis=2).reshape(-1, 2, 3) for side in sides]
    lines = np.unique(np.concatenate(pieces), axis=0)[:, [0, 1, 1, 0]]
    # What is farther away is drawn first: lines no nearer than their faces would be half hidden.
    lines += 0.25 * _to_reader(points)
    return Poly3DCollection(
        [*faces, *lines],
        facecolors=[*painted, *np.zeros((len(lines), 4))],
        edgecolors=[*painted, *np.full((len(lines), 4), to_rgba("0.2"))],
        linewidths=0.3,
    )


def _to_reader(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a step towards the reader, in units of the axes: one of the units of `_BOX`."""
    up, around = np.radians([_VIEW["elev"], _VIEW["azim"]])
    step = np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
    span = np.nanmax(points, axis=(1, 2)) - np.nanmin(points, axis=(1, 2))
    towards: NDArray[np.float64] = step * span / _BOX
    return towards


def _between(corners: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return values from corner to corner: (..., 2, 2) to (..., count, count)."""
    steps = np.linspace(0, 1, count)
    shares = np.stack([1 - steps, steps])
    return np.einsum("...ab,ai,bj->...ij", corners, shares, shares)


def _isolated(height: Grid) -> Mask:
    """Where there is a value but no complete face of the surface around it to show it."""
    known = ~np.isnan(height)
    faces = known[:-1, :-1] & known[1:, :-1] & known[:-1, 1:] & known[1:, 1:]
    around = np.pad(faces, 1)
    return known & ~(around[:-1, :-1] | around[1:, :-1] | around[:-1, 1:] | around[1:, 1:])


def _extend(values: Grid, scale: Scale) -> str:
    """Return on which ends a colour bar shows that values go on."""
    below, above = bool((values < scale[0]).any()), bool((values > scale[1]).any())
    if below and above:
        return "both"
    return "min" if below else "max" if above else "neither"


def _mean_label(ranking: Ranking) -> str:
    return f"mean {ranking.metric_name} (%)"


def _best(ranking: Ranking) -> list[tuple[int, int]]:
    """Return row and column of every topology that shares the first rank."""
    best = ranking.table.loc[ranking.table["rank"] == 1, "topology"]
    return [divmod(int(topology), len(COLUMNS)) for topology in best]


def _annotate(figure: Figure, ranking: Ranking, missing: Artist) -> None:
    """Add the title above and, below, what the marks mean and what cannot be known.

    `missing` is how a topology without a result looks.
    """
    title = f"{ranking.metric_name.capitalize()}, mean over seeds ({ranking.seeds})"
    figure.suptitle(title, y=0.975, fontsize=13)
    setting = (
        f"{ranking.design.data}, protocol {ranking.design.protocol_hash}\n{ranking.design.phase}"
    )
    figure.text(0.5, 0.945, setting, ha="center", va="top", fontsize=8.5)
    marks: list[Note] = [(Line2D([], [], **_BEST), _best_text(ranking))]
    if count := _COUNT - len(ranking.table):
        marks.append((missing, f"no result: {count} of {_COUNT} topologies"))
    if count := int((ranking.table["diverged"] > 0).sum()):
        text = f"with diverged trials: {count} of {_COUNT} topologies; they may be off the scale"
        marks.append((Line2D([], [], **_DIVERGED), text))
    some = "n = 1 for {single} topologies: their SD is unknown"
    marks += [(None, note) for note in single_seed_caution(ranking.table["n"], some=some)]
    if ranking.design.failed:
        marks.append((None, f"failed trials, left out: {ranking.design.failed}"))
    write_notes(figure, marks, loc="upper left", bbox_to_anchor=(0.06, 0.14), fontsize=9.5)


def _best_text(ranking: Ranking) -> str:
    best = ranking.table[ranking.table["rank"] == 1]
    mean = f"best mean, {100 * best['mean'].iloc[0]:.2f}%"
    if len(best) > 1:
        return f"{mean}: {len(best)} topologies share it"
    index = int(best["topology"].iloc[0])
    return f"{mean}: topology {index} ({Topology.from_index(index)})"
