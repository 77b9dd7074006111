"""Drawings of cells: a genotype's two cells, and the search cell before and after restriction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path

from nas_core.cells.genotype import OPERATION_NAMES, CellEdges, Genotype
from nas_core.cells.topology import INPUTS, Topology
from topo_sweep.plots.cell_layout import Key, Layout, Link, layered
from topo_sweep.plots.parts import COLOURS, DASHES, LABELS, header, header_inches

OUTPUT: Final = "output"
_INPUT_NAMES: Final = ("$c_{k-2}$", "$c_{k-1}$")

_NODE, _PILL, _WIDE = 0.34, (0.70, 0.25), 0.66  # inches
_STEEPEST = 0.35  # inches between layers for each inch that a link rises there
_PITCH = 0.026  # inches between the curves of a bundle
_GREY, _GONE = "0.62", "0.85"


@dataclass(frozen=True)
class Drawing:
    """A layout with widths, in inches.

    Args:
        layout: heights of parts and links.
        layers: of each part its layer.
        sizes: of each part its width and height.
        x: centre of each layer.
        widths: of each layer.
        ports: distance between links where they meet at a part.
        through: height that a link takes where it passes a layer.

    """

    layout: Layout
    layers: Mapping[Key, int]
    sizes: Mapping[Key, tuple[float, float]]
    x: tuple[float, ...]
    widths: tuple[float, ...]
    ports: float
    through: float

    @classmethod
    def of(
        cls,
        layers: Mapping[Key, int],
        links: Sequence[Link],
        sizes: Mapping[Key, tuple[float, float]],
        *,
        through: float,
        gap: float,
        ports: float,
        step: float,
    ) -> Drawing:
        """Lay out parts in given layers, the first layer at the left end.

        Args:
            layers: of each part its layer.
            links: from a part to one in a later layer.
            sizes: of each part its width and least height; parts grow with their links.
            through: height that a link takes where it passes a layer.
            gap: least distance between neighbours in a layer.
            ports: distance between links where they meet at a part.
            step: least distance between layers.

        """
        ends = Counter(("out", a) for a, _ in links) + Counter(("in", b) for _, b in links)
        sizes = {
            key: (width, max(height, ports * max(ends["out", key], ends["in", key])))
            for key, (width, height) in sizes.items()
        }
        heights = {key: height for key, (_, height) in sizes.items()}
        layout = layered(layers, links, heights, through=through, gap=gap)
        count = max(layers.values()) + 1
        widths = [
            max(sizes[k][0] for k, layer in layers.items() if layer == i) for i in range(count)
        ]
        rises = [0.0] * count
        for (source, _), route in layout.routes.items():
            for i, (here, there) in enumerate(pairwise(route), layers[source]):
                rises[i + 1] = max(rises[i + 1], abs(there - here))
        x = [widths[0] / 2]
        for i in range(1, count):
            wide = max(step, _STEEPEST * rises[i])
            x.append(x[-1] + widths[i - 1] / 2 + wide + widths[i] / 2)
        return cls(layout, layers, sizes, tuple(x), tuple(widths), ports, through)

    @property
    def width(self) -> float:
        """From the left to the right end."""
        return self.x[-1] + self.widths[-1] / 2

    @property
    def extent(self) -> tuple[float, float]:
        """Lowest and highest point."""
        half = self.through / 2
        ends = [(y - half, y + half) for route in self.layout.routes.values() for y in route]
        for part, y in self.layout.y.items():
            ends.append((y - self.sizes[part][1] / 2, y + self.sizes[part][1] / 2))
        return min(low for low, _ in ends), max(high for _, high in ends)

    def port(self, part: Key, link: Link) -> float:
        """Return the height at which a link meets a part: its links in order of the other end."""
        incoming = link[1] == part
        own = [other for other in self.layout.routes if other[1 if incoming else 0] == part]
        beside = -2 if incoming else 1
        own.sort(key=lambda other: -self.layout.routes[other][beside])
        place = (len(own) - 1) / 2 - own.index(link)
        return self.layout.y[part] + place * self.ports

    def path(self, link: Link, shift: float = 0.0) -> Path:
        """Return the curve of a link, `shift` higher than its middle: flat in each layer."""
        source, target = link
        route = list(self.layout.routes[link])
        route[0], route[-1] = self.port(source, link), self.port(target, link)
        first = self.layers[source]
        x = self.x[first] + self.sizes[source][0] / 2
        points, codes = [(x, route[0] + shift)], [Path.MOVETO]
        for i, height in enumerate(route[1:], first + 1):
            last = i == self.layers[target]
            half = self.sizes[target][0] / 2 if last else self.widths[i] / 2
            left, (x, y) = self.x[i] - self.widths[i] / 2, points[-1]
            middle, height_ = (x + left) / 2, height + shift
            points += [(middle, y), (middle, height_), (left, height_)]
            codes += [Path.CURVE4] * 3
            points.append((self.x[i] - half if last else self.x[i] + half, height_))
            codes.append(Path.LINETO)
        return Path(points, codes)


def cell(genotype: Genotype, *, name: str = "") -> Figure:
    """Draw both cells of a genotype: inputs, nodes, operations on their edges, the output.

    Args:
        genotype: of 1 to 6 intermediate nodes.
        name: what the title calls it.

    """
    drawings = {"normal cell": genotype.normal, "reduction cell": genotype.reduction}
    placed = {title: place_cell(edges) for title, edges in drawings.items()}
    setting = [
        "a node adds up its two edges, the output concatenates all nodes",
        "in the reduction cell edges from 0 and 1 halve the map (stride 2)",
    ]
    heights = [own.extent[1] - own.extent[0] + 0.75 for own in placed.values()]
    width = max(7.0, *(own.width + 0.5 for own in placed.values()))
    height = sum(heights) + header_inches(setting) + 0.25
    figure = Figure(figsize=(width, height))
    top = height - header_inches(setting) - 0.1
    for (title, own), tall in zip(placed.items(), heights, strict=True):
        axes = _canvas(figure, own, left=(width - own.width) / 2, top=top - 0.5, title=title)
        said = f"{title}: {_counts(drawings[title])}"
        figure.text(0.25 / width, (top - 0.22) / height, said, fontsize=10)
        draw_cell(axes, own, drawings[title])
        top -= tall
    header(figure, name or "A cell", setting)
    return figure


def place_cell(edges: CellEdges) -> Drawing:
    """Lay out the inputs, nodes, operations and output of a cell."""
    depth = dict.fromkeys(range(INPUTS), 0)
    layers: dict[Key, int] = dict.fromkeys(range(INPUTS), 0)
    links: list[Link] = []
    sizes: dict[Key, tuple[float, float]] = dict.fromkeys(range(INPUTS), (_WIDE, _NODE))
    for node, pair in enumerate(edges.nodes, INPUTS):
        depth[node] = 1 + max(depth[edge.source] for edge in pair)
        layers[node] = 2 * depth[node]
        sizes[node] = (_NODE, _NODE)
        for edge in pair:
            label = (edge.source, node)
            layers[label] = 2 * depth[node] - 1
            sizes[label] = _PILL
            links += [(edge.source, label), (label, node)]
    nodes = len(edges.nodes)
    layers[OUTPUT] = 2 * max(depth.values()) + 1
    sizes[OUTPUT] = (_WIDE, _NODE)
    links += [(node, OUTPUT) for node in range(INPUTS, INPUTS + nodes)]
    return Drawing.of(layers, links, sizes, through=0.1, gap=0.13, ports=0.13, step=0.42)


def draw_cell(axes: Axes, drawing: Drawing, edges: CellEdges) -> None:
    """Draw a cell that `place_cell` laid out; each operation is a coloured label on its edge."""
    operations = {
        (edge.source, node): edge.operation
        for node, pair in enumerate(edges.nodes, INPUTS)
        for edge in pair
    }
    for link in drawing.layout.routes:
        label = link[1] if link[1] in operations else link[0]
        colour = COLOURS[operations[label]] if label in operations else _GREY
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
            _arrow_head(axes, drawing, link, colour)
    _draw_parts(axes, drawing)
    for label, operation in operations.items():
        _box(axes, drawing, label, LABELS[operation], edge=COLOURS[operation], size=8.5)


def _canvas(figure: Figure, drawing: Drawing, *, left: float, top: float, title: str) -> Axes:
    """Return axes in inches without frame, the drawing's top left at a place of the figure."""
    width, height = figure.get_size_inches()
    low, high = drawing.extent
    box = (
        left / width,
        (top - (high - low)) / height,
        drawing.width / width,
        (high - low) / height,
    )
    axes = figure.add_axes(box, label=title)
    axes.set(xlim=(0, drawing.width), ylim=(low, high))
    axes.set_axis_off()
    return axes


def _draw_parts(axes: Axes, drawing: Drawing) -> None:
    """Draw inputs, nodes and output; labels of operations are drawn by others."""
    for part in drawing.sizes:
        if part == OUTPUT:
            _box(axes, drawing, part, "output", edge="0.25", face="0.92", size=9)
        elif isinstance(part, int):
            is_input = part < INPUTS
            text = f"{part}: {_INPUT_NAMES[part]}" if is_input else str(part)
            face = "0.92" if is_input else "white"
            _box(axes, drawing, part, text, edge="0.25", face=face, size=9 if is_input else 10)


def _box(
    axes: Axes,
    drawing: Drawing,
    part: Key,
    text: str,
    *,
    edge: str,
    face: str = "white",
    size: float,
) -> None:
    width, height = drawing.sizes[part]
    x, y = drawing.x[drawing.layers[part]], drawing.layout.y[part]
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle=f"round,pad=0,rounding_size={min(0.1, height / 2)}",
            facecolor=face,
            edgecolor=edge,
            linewidth=1.3,
            zorder=3,
            clip_on=False,
            gid=f"box {part}",
        )
    )
    axes.text(x, y, text, ha="center", va="center_baseline", fontsize=size, zorder=4)


def _arrow_head(axes: Axes, drawing: Drawing, link: Link, colour: str) -> None:
    x = drawing.x[drawing.layers[link[1]]] - drawing.sizes[link[1]][0] / 2
    y = drawing.port(link[1], link)
    axes.add_patch(
        Polygon(
            [(x, y), (x - 0.09, y + 0.042), (x - 0.09, y - 0.042)],
            closed=True,
            facecolor=colour,
            edgecolor="none",
            zorder=2.5,
        )
    )


def _counts(edges: CellEdges) -> str:
    """Return how many edges have which operation, the most frequent first."""
    counts = Counter(edge.operation for edge in edges.edges)
    order = sorted(counts, key=lambda name: (-counts[name], OPERATION_NAMES.index(name)))
    return ", ".join(f"{counts[name]} {LABELS[name]}" for name in order)


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
    kept = (
        full
        if topology is None
        else [(source, node) for node, pair in enumerate(topology.pairs, INPUTS) for source in pair]
    )
    drawing = place_supernet(full, len(every))
    before = f"before\n{_sum_words(len(full), len(every))}"
    wiring = "all edges" if topology is None else f"topology {topology.index} ({topology})"
    after = f"after: {wiring}\n{_sum_words(len(kept), len(operations))}"
    setting = [
        "a curve is a candidate operation of an edge; numbers are of one cell, normal or reduction",
        f"left out: the output, which concatenates nodes 2 to {nodes + 1}",
    ]
    low, high = drawing.extent
    tall, each = high - low, drawing.width
    width = 2 * each + 1.2
    height = header_inches(setting) + tall + 1.35
    figure = Figure(figsize=(width, height))
    top = height - header_inches(setting) - 0.75
    panels = ((before, full, every), (after, kept, operations))
    for number, (title, edges, names) in enumerate(panels):
        left = 0.3 + number * (each + 0.6)
        axes = _canvas(figure, drawing, left=left, top=top, title=title)
        axes.set_title(title, fontsize=10, pad=12)
        draw_supernet(axes, drawing, edges, names)
    names = [name for name in OPERATION_NAMES if name in {*every, *operations}]
    marks = [
        Line2D([], [], color=COLOURS[n], linestyle=DASHES.get(n, "-"), linewidth=2) for n in names
    ]
    labels = [LABELS[name] for name in names]
    if len(kept) < len(full):
        marks.append(Line2D([], [], color=_GONE, linewidth=1.2))
        labels.append("edge taken away")
    figure.legend(
        marks,
        labels,
        loc="lower center",
        bbox_to_anchor=(0.5, 0.08 / height),
        ncols=len(labels),
        frameon=False,
        fontsize=9,
        handlelength=2.4,
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
    sizes: dict[Key, tuple[float, float]] = {}
    for part in layers:
        sizes[part] = (_WIDE if part in range(INPUTS) else _NODE, _NODE)
    return Drawing.of(
        layers, list(edges), sizes, through=bundle, gap=0.16, ports=bundle + 0.1, step=0.75
    )


def draw_supernet(
    axes: Axes, drawing: Drawing, edges: Sequence[tuple[int, int]], operations: Sequence[str]
) -> None:
    """Draw the edges as bundles, a curve an operation; those taken away as one pale curve."""
    for link in drawing.layout.routes:
        names: Sequence[str | None] = operations if link in edges else [None]
        for i, name in enumerate(names):
            axes.add_patch(
                PathPatch(
                    drawing.path(link, ((len(names) - 1) / 2 - i) * _PITCH),
                    facecolor="none",
                    edgecolor=COLOURS[name] if name else _GONE,
                    linestyle=DASHES.get(name, "-") if name else "-",
                    linewidth=1.5 if name else 1.2,
                    clip_on=False,
                    gid=f"{link[0]} to {link[1]}: {name}",
                )
            )
    _draw_parts(axes, drawing)
