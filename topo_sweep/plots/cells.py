"""Pictures of cells: a genotype's two cells, and the search cell before and after restriction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_core.cells.genotype import OPERATION_NAMES, CellEdges, Genotype
from nas_core.cells.topology import INPUTS, Topology
from topo_sweep.plots.cell_drawing import (
    OUTPUT,
    Drawing,
    canvas,
    draw_arrow_head,
    draw_box,
    draw_curve,
)
from topo_sweep.plots.cell_layout import Key, Link
from topo_sweep.plots.operations import STYLES, OperationStyle, edge_operations, operation_legend
from topo_sweep.plots.parts import header, header_inches

_PITCH = 0.026  # inches between the curves of a bundle
_GREY = "0.62"
_GONE: Final = OperationStyle("edge taken away", "0.85")
_CELL_SETTING: Final = (
    "a node adds up its two edges, the output concatenates all nodes",
    "in the reduction cell edges from 0 and 1 halve the map (stride 2)",
)
_SUPERNET_SETTING: Final = (
    "a curve is a candidate operation of an edge; numbers are of one cell, normal or reduction",
    "left out: the output, which concatenates nodes 2 to 5",
)
_FULL: Final = tuple((source, node) for node in range(INPUTS, 6) for source in range(node))
"""All edges of the search cell, each by source and node."""


# A genotype


def cell(genotype: Genotype, *, name: str = "") -> Figure:
    """Draw both cells of a genotype: inputs, nodes, operations on their edges, the output.

    Args:
        genotype: of 1 to 6 intermediate nodes.
        name: what the title calls it.

    """
    cells = {"normal cell": genotype.normal, "reduction cell": genotype.reduction}
    drawings = {title: place_cell(edges) for title, edges in cells.items()}
    width = max(7.0, *(drawing.width + 0.5 for drawing in drawings.values()))
    panels_height = sum(drawing.height + 0.75 for drawing in drawings.values())
    height = panels_height + header_inches(_CELL_SETTING) + 0.25
    figure = Figure(figsize=(width, height))
    top = height - header_inches(_CELL_SETTING) - 0.1
    for title, drawing in drawings.items():
        left = (width - drawing.width) / 2
        axes = canvas(figure, drawing, left=left, top=top - 0.5, title=title)
        text = f"{title}: {_counts(cells[title])}"
        figure.text(0.25 / width, (top - 0.22) / height, text, fontsize=10)
        draw_cell(axes, drawing, cells[title])
        top -= drawing.height + 0.75
    header(figure, name or "A cell", _CELL_SETTING)
    return figure


def place_cell(edges: CellEdges) -> Drawing:
    """Lay out the inputs, nodes, operations and output of a cell."""
    layers: dict[Key, int] = dict.fromkeys(range(INPUTS), 0)
    links: list[Link] = []
    for node, pair in enumerate(edges.nodes, INPUTS):
        layers[node] = max(layers[edge.source] for edge in pair) + 2
        for edge in pair:
            label = (edge.source, node)
            layers[label] = layers[node] - 1
            links += [(edge.source, label), (label, node)]
    layers[OUTPUT] = max(layers.values()) + 1
    links += [(node, OUTPUT) for node, _ in enumerate(edges.nodes, INPUTS)]
    return Drawing(layers, links, through=0.1, gap=0.13, ports=0.13, step=0.42)


def draw_cell(axes: Axes, drawing: Drawing, edges: CellEdges) -> None:
    """Draw a cell that `place_cell` laid out; each operation is a coloured label on its edge."""
    operations = edge_operations(edges)
    colours: dict[Key, str] = {
        label: STYLES[operation].colour for label, operation in operations.items()
    }
    for source, target in drawing.routes:
        path = drawing.path((source, target))
        colour = colours.get(target) or colours.get(source) or _GREY
        width = 1.1 if colour == _GREY else 1.6
        draw_curve(axes, path, colour, linewidth=width, gid=f"{source} to {target}")
        if target not in operations:
            draw_arrow_head(axes, path, colour)
    for label, operation in operations.items():
        text = STYLES[operation].label
        draw_box(axes, drawing, label, text, size=8.5, edge=colours[label], face="white")


def _counts(edges: CellEdges) -> str:
    """Return how many edges have which operation, the most frequent first."""
    counts = Counter(edge.operation for edge in edges.edges)
    order = sorted(counts, key=lambda name: (-counts[name], OPERATION_NAMES.index(name)))
    return ", ".join(f"{counts[name]} {STYLES[name].label}" for name in order)


# The search cell


def supernet(*, topology: Topology | None, operations: Sequence[str]) -> Figure:
    """Draw the search cell before restriction (all edges, all operations) and after, side by side.

    Args:
        topology: the edges that stay; None keeps all.
        operations: the candidate operations that stay.

    """
    kept, wiring = _FULL, "all edges"
    if topology is not None:
        pairs = enumerate(topology.pairs, INPUTS)
        kept = tuple((source, node) for node, pair in pairs for source in pair)
        wiring = f"topology {topology.index} ({topology})"
    before = f"before\n{_sum_words(len(_FULL), len(OPERATION_NAMES))}"
    after = f"after: {wiring}\n{_sum_words(len(kept), len(operations))}"
    drawing = place_supernet(len(OPERATION_NAMES))
    height = header_inches(_SUPERNET_SETTING) + drawing.height + 1.35
    figure = Figure(figsize=(2 * drawing.width + 1.2, height))
    top = height - header_inches(_SUPERNET_SETTING) - 0.75
    panels = ((before, _FULL, OPERATION_NAMES), (after, kept, operations))
    for number, (title, edges, names) in enumerate(panels):
        left = 0.3 + number * (drawing.width + 0.6)
        axes = canvas(figure, drawing, left=left, top=top, title=title)
        axes.set_title(title, fontsize=10, pad=12)
        draw_supernet(axes, drawing, edges, names)
    gone = Line2D([], [], color=_GONE.colour, linewidth=1.2, label=_GONE.label)
    others = [gone] if len(kept) < len(_FULL) else []
    operation_legend(figure, OPERATION_NAMES, others, bottom=0.08, line_length=2.4)
    header(figure, "The search cell", _SUPERNET_SETTING)
    return figure


def _sum_words(edges: int, operations: int) -> str:
    return f"{edges} edges x {operations} operations = {edges * operations} candidate operations"


def place_supernet(operations: int) -> Drawing:
    """Lay out a cell in which all edges are bundles of `operations` curves."""
    bundle = _PITCH * (operations - 1) + 0.02
    layers: dict[Key, int] = dict.fromkeys(range(INPUTS), 0)
    layers |= {node: node - INPUTS + 1 for _, node in _FULL}
    return Drawing(layers, _FULL, through=bundle, gap=0.16, ports=bundle + 0.1, step=0.75)


def draw_supernet(
    axes: Axes, drawing: Drawing, edges: Sequence[Link], operations: Sequence[str]
) -> None:
    """Draw the edges as bundles, a curve an operation; those taken away as one pale curve."""
    for link in drawing.routes:
        names: Sequence[str | None] = operations if link in edges else [None]
        for number, name in enumerate(names):
            style = STYLES[name] if name else _GONE
            draw_curve(
                axes,
                drawing.path(link, ((len(names) - 1) / 2 - number) * _PITCH),
                style.colour,
                linestyle=style.dashes,
                linewidth=1.5 if name else 1.2,
                gid=f"{link[0]} to {link[1]}: {name}",
            )
