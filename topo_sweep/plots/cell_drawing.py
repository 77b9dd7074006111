"""Parts and links of a cell on paper: a layout with widths, boxes, curves and arrow heads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon
from matplotlib.path import Path

from nas_core.cells.topology import INPUTS
from topo_sweep.plots.cell_layout import Key, Link, layered

OUTPUT: Final = "output"
NODE_SIZE: Final = (0.34, 0.34)
INPUT_SIZE: Final = (0.66, 0.34)
"""Inches, like all sizes of parts."""

_INPUT_NAMES: Final = ("$c_{k-2}$", "$c_{k-1}$")
_STEEPEST = 0.35  # inches between layers for each inch that a link rises there


class Drawing:
    """Parts in layers and the links between them, the first layer at the left end, in inches.

    Args:
        layers: of each part its layer.
        links: from a part to one in a later layer.
        sizes: of each part its width and least height; parts grow with their links.
        through: height that a link takes where it passes a layer.
        gap: least distance between neighbours in a layer.
        ports: distance between links where they meet at a part.
        step: least distance between layers.

    Attributes:
        layout: heights of parts and links.
        x: centre of each layer.
        widths: of each layer.

    """

    def __init__(
        self,
        layers: Mapping[Key, int],
        links: Sequence[Link],
        sizes: Mapping[Key, tuple[float, float]],
        *,
        through: float,
        gap: float,
        ports: float,
        step: float,
    ) -> None:
        ends = Counter(("out", a) for a, _ in links) + Counter(("in", b) for _, b in links)
        self.layers, self.ports, self.through = layers, ports, through
        self.sizes = {
            part: (width, max(height, ports * max(ends["out", part], ends["in", part])))
            for part, (width, height) in sizes.items()
        }
        heights = {part: height for part, (_, height) in self.sizes.items()}
        self.layout = layered(layers, links, heights, through=through, gap=gap)
        self.widths = [0.0] * (max(layers.values()) + 1)
        for part, layer in layers.items():
            self.widths[layer] = max(self.widths[layer], self.sizes[part][0])
        rises = [0.0] * len(self.widths)  # to each layer from the one before
        for (source, _), route in self.layout.routes.items():
            for layer, (here, there) in enumerate(pairwise(route), layers[source] + 1):
                rises[layer] = max(rises[layer], abs(there - here))
        self.x = [self.widths[0] / 2]
        for rise, (left, right) in zip(rises[1:], pairwise(self.widths), strict=True):
            self.x.append(self.x[-1] + left / 2 + max(step, _STEEPEST * rise) + right / 2)

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
        end, next_layer = (1, -2) if link[1] == part else (0, 1)
        routes = {other: route for other, route in self.layout.routes.items() if other[end] == part}
        from_top = sorted(routes, key=lambda other: -routes[other][next_layer])
        above_middle = (len(from_top) - 1) / 2 - from_top.index(link)
        return self.layout.y[part] + above_middle * self.ports

    def path(self, link: Link, shift: float = 0.0) -> Path:
        """Return the curve of a link, `shift` higher than its middle: flat in each layer."""
        source, target = link
        heights = [height + shift for height in self.layout.routes[link]]
        heights[0], heights[-1] = self.port(source, link) + shift, self.port(target, link) + shift
        first, last = self.layers[source], self.layers[target]
        points, codes = [(self.x[first] + self.sizes[source][0] / 2, heights[0])], [Path.MOVETO]
        for layer, height in enumerate(heights[1:], first + 1):
            (x, y), left = points[-1], self.x[layer] - self.widths[layer] / 2
            right = self.x[layer] + self.widths[layer] / 2
            end = self.x[layer] - self.sizes[target][0] / 2 if layer == last else right
            middle = (x + left) / 2
            points += [(middle, y), (middle, height), (left, height), (end, height)]
            codes += [Path.CURVE4] * 3 + [Path.LINETO]
        return Path(points, codes)


def canvas(figure: Figure, drawing: Drawing, *, left: float, top: float, title: str) -> Axes:
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


def draw_parts(axes: Axes, drawing: Drawing) -> None:
    """Draw inputs, nodes and output; labels of operations are drawn by others."""
    for part in drawing.sizes:
        if part == OUTPUT:
            draw_box(axes, drawing, part, "output", edge="0.25", face="0.92", size=9)
        elif isinstance(part, int):
            is_input = part < INPUTS
            text = f"{part}: {_INPUT_NAMES[part]}" if is_input else str(part)
            face = "0.92" if is_input else "white"
            draw_box(axes, drawing, part, text, edge="0.25", face=face, size=9 if is_input else 10)


def draw_box(
    axes: Axes,
    drawing: Drawing,
    part: Key,
    text: str,
    *,
    edge: str,
    face: str = "white",
    size: float,
) -> None:
    """Draw a part as a box with a text; `edge` and `face` are colours, `size` is the text's."""
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


def draw_arrow_head(axes: Axes, drawing: Drawing, link: Link, colour: str) -> None:
    """Draw the arrow head where a link ends."""
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
