"""Pictures of cells: a genotype's two cells, and the search cell before and after restriction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch

from nas_core.cells.genotype import OPERATION_NAMES, CellEdges, Genotype
from nas_core.cells.topology import INPUTS, Topology
from topo_sweep.plots.cell_drawing import (
    INPUT_SIZE,
    NODE_SIZE,
    OUTPUT,
    Drawing,
    canvas,
    draw_arrow_head,
    draw_box,
    draw_parts,
)
from topo_sweep.plots.cell_layout import Key, Link
from topo_sweep.plots.operations import STYLES, OperationStyle, edge_operations, operation_legend
from topo_sweep.plots.parts import header, header_inches

_LABEL_SIZE: Final = (0.70, 0.25)  # inches
_PITCH = 0.026  # inches between the curves of a bundle
_GREY = "0.62"
_GONE: Final = OperationStyle("edge taken away", "0.85")
_SETTING: Final = (
    "a node adds up its two edges, the output concatenates all nodes",
    "in the reduction cell edges from 0 and 1 halve the map (stride 2)",
)


# A genotype


def cell(genotype: Genotype, *, name: str = "") -> Figure:
    """Draw both cells of a genotype: inputs, nodes, operations on their edges, the output.

    Args:
        genotype: of 1 to 6 intermediate nodes.
        name: what the title calls it.

    """
    cells = {"normal cell": genotype.normal, "reduction cell": genotype.reduction}
    drawings = {title: place_cell(edges) for title, edges in cells.items()}
    heights = [drawing.extent[1] - drawing.extent[0] + 0.75 for drawing in drawings.values()]
    width = max(7.0, *(drawing.width + 0.5 for drawing in drawings.values()))
    height = sum(heights) + header_inches(_SETTING) + 0.25
    figure = Figure(figsize=(width, height))
    top = height - header_inches(_SETTING) - 0.1
    for (title, drawing), inches in zip(drawings.items(), heights, strict=True):
        left = (width - drawing.width) / 2
        axes = canvas(figure, drawing, left=left, top=top - 0.5, title=title)
        text = f"{title}: {_counts(cells[title])}"
        figure.text(0.25 / width, (top - 0.22) / height, text, fontsize=10)
        draw_cell(axes, drawing, cells[title])
        top -= inches
    header(figure, name or "A cell", _SETTING)
    return figure


def place_cell(edges: CellEdges) -> Drawing:
    """Lay out the inputs, nodes, operations and output of a cell."""
    depth = dict.fromkeys(range(INPUTS), 0)
    layers: dict[Key, int] = dict.fromkeys(range(INPUTS), 0)
    links: list[Link] = []
    sizes: dict[Key, tuple[float, float]] = dict.fromkeys(range(INPUTS), INPUT_SIZE)
    for node, pair in enumerate(edges.nodes, INPUTS):
        depth[node] = 1 + max(depth[edge.source] for edge in pair)
        layers[node] = 2 * depth[node]
        sizes[node] = NODE_SIZE
        for edge in pair:
            label = (edge.source, node)
            layers[label] = 2 * depth[node] - 1
            sizes[label] = _LABEL_SIZE
            links += [(edge.source, label), (label, node)]
    nodes = len(edges.nodes)
    layers[OUTPUT] = 2 * max(depth.values()) + 1
    sizes[OUTPUT] = INPUT_SIZE
    links += [(node, OUTPUT) for node in range(INPUTS, INPUTS + nodes)]
    return Drawing(layers, links, sizes, through=0.1, gap=0.13, ports=0.13, step=0.42)


def draw_cell(axes: Axes, drawing: Drawing, edges: CellEdges) -> None:
    """Draw a cell that `place_cell` laid out; each operation is a coloured label on its edge."""
    operations = edge_operations(edges)
    for link in drawing.layout.routes:
        label = link[1] if link[1] in operations else link[0]
        colour = STYLES[operations[label]].colour if label in operations else _GREY
        axes.add_patch(
            PathPatch(
                drawing.path(link),
                facecolor="none",
                edgecolor=colour,
                linewidth=1.6 if label in operations else 1.1,
                clip_on=False,
                gid=f"{link[0]} to {link[1]}",
            )
        )
        if link[1] not in operations:
            draw_arrow_head(axes, drawing, link, colour)
    draw_parts(axes, drawing)
    for label, operation in operations.items():
        draw_box(
            axes, drawing, label, STYLES[operation].label, edge=STYLES[operation].colour, size=8.5
        )


def _counts(edges: CellEdges) -> str:
    """Return how many edges have which operation, the most frequent first."""
    counts = Counter(edge.operation for edge in edges.edges)
    order = sorted(counts, key=lambda name: (-counts[name], OPERATION_NAMES.index(name)))
    return ", ".join(f"{counts[name]} {STYLES[name].label}" for name in order)


# The search cell


def supernet(
    *,
    topology: Topology | None,
    operations: Sequence[str],
    every: Sequence[str] = OPERATION_NAMES,
    nodes: int = 4,
) -> Figure:
    """Draw the search cell before restriction (all edges, all operations) and after, side by side.

    Args:
        topology: the edges that stay; None keeps all.
        operations: the candidate operations that stay.
        every: the candidate operations before.
        nodes: intermediate nodes of the cell.

    """
    full = [(source, node) for node in range(INPUTS, INPUTS + nodes) for source in range(node)]
    kept, wiring = full, "all edges"
    if topology is not None:
        kept = [
            (source, node) for node, pair in enumerate(topology.pairs, INPUTS) for source in pair
        ]
        wiring = f"topology {topology.index} ({topology})"
    before = f"before\n{_sum_words(len(full), len(every))}"
    after = f"after: {wiring}\n{_sum_words(len(kept), len(operations))}"
    setting = [
        "a curve is a candidate operation of an edge; numbers are of one cell, normal or reduction",
        f"left out: the output, which concatenates nodes 2 to {nodes + 1}",
    ]
    drawing = place_supernet(full, len(every))
    low, high = drawing.extent
    height = header_inches(setting) + (high - low) + 1.35
    figure = Figure(figsize=(2 * drawing.width + 1.2, height))
    top = height - header_inches(setting) - 0.75
    panels = ((before, full, every), (after, kept, operations))
    for number, (title, edges, names) in enumerate(panels):
        left = 0.3 + number * (drawing.width + 0.6)
        axes = canvas(figure, drawing, left=left, top=top, title=title)
        axes.set_title(title, fontsize=10, pad=12)
        draw_supernet(axes, drawing, edges, names)
    gone = (Line2D([], [], color=_GONE.colour, linewidth=1.2), _GONE.label)
    operation_legend(
        figure,
        {*every, *operations},
        [gone] if len(kept) < len(full) else [],
        bottom=0.08,
        line_length=2.4,
    )
    header(figure, "The search cell", setting)
    return figure


def _sum_words(edges: int, operations: int) -> str:
    return f"{edges} edges x {operations} operations = {edges * operations} candidate operations"


def place_supernet(edges: Sequence[tuple[int, int]], operations: int) -> Drawing:
    """Lay out a cell in which edges are bundles of `operations` curves."""
    nodes = sorted({node for _, node in edges})
    bundle = _PITCH * (operations - 1) + 0.02
    layers: dict[Key, int] = dict.fromkeys(range(INPUTS), 0)
    layers |= {node: node - INPUTS + 1 for node in nodes}
    sizes = {part: INPUT_SIZE if layer == 0 else NODE_SIZE for part, layer in layers.items()}
    return Drawing(
        layers, list(edges), sizes, through=bundle, gap=0.16, ports=bundle + 0.1, step=0.75
    )


def draw_supernet(
    axes: Axes, drawing: Drawing, edges: Sequence[tuple[int, int]], operations: Sequence[str]
) -> None:
    """Draw the edges as bundles, a curve an operation; those taken away as one pale curve."""
    for link in drawing.layout.routes:
        names: Sequence[str | None] = operations if link in edges else [None]
        for number, name in enumerate(names):
            style = STYLES[name] if name else _GONE
            axes.add_patch(
                PathPatch(
                    drawing.path(link, ((len(names) - 1) / 2 - number) * _PITCH),
                    facecolor="none",
                    edgecolor=style.colour,
                    linestyle=style.dashes,
                    linewidth=1.5 if name else 1.2,
                    clip_on=False,
                    gid=f"{link[0]} to {link[1]}: {name}",
                )
            )
    draw_parts(axes, drawing)
