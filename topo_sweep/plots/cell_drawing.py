"""Parts and links of a cell on paper: a layout with widths, boxes, curves and arrow heads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path

from topo_sweep.plots.cell_layout import Key, Link, layered

OUTPUT: Final = "output"

_ENDS: Final[Mapping[Key, str]] = {0: "0: $c_{k-2}$", 1: "1: $c_{k-1}$", OUTPUT: "output"}
_END_SIZE: Final = (0.66, 0.34)  # inches, like all sizes of parts
_NODE_SIZE: Final = (0.34, 0.34)
_LABEL_SIZE: Final = (0.70, 0.25)
_STEEPEST = 0.35  # inches between layers for each inch that a link rises there


class Drawing:
    """Parts in layers and the links between them, the first layer at the left end, in inches.

    A part is an input (0 or 1), a node (a larger number), `OUTPUT`, or the label of an edge
    (source and node). Parts grow with their links.

    Args:
        layers: of each part its layer.
        links: from a part to one in a later layer.
        through: height that a link takes where it passes a layer.
        gap: least distance between neighbours in a layer.
        ports: distance between links where they meet at a part.
        step: least distance between layers.

    Attributes:
        sizes: width and height of each part.
        y: centre of each part.
        routes: heights of each link, from its source to its target.
        x: centre of each layer.
        widths: of each layer.

    """

    def __init__(
        self,
        layers: Mapping[Key, int],
        links: Sequence[Link],
        *,
        through: float,
        gap: float,
        ports: float,
        step: float,
    ) -> None:
        self.layers, self.ports, self.through = layers, ports, through
        ends = Counter(("out", a) for a, _ in links) + Counter(("in", b) for _, b in links)
        self.sizes: dict[Key, tuple[float, float]] = {}
        for part in layers:
            node_size = _NODE_SIZE if isinstance(part, int) else _LABEL_SIZE
            width, height = _END_SIZE if part in _ENDS else node_size
            most = max(ends["out", part], ends["in", part])
            self.sizes[part] = width, max(height, ports * most)
        heights = {part: height for part, (_, height) in self.sizes.items()}
        self.y, self.routes = layered(layers, links, heights, through=through, gap=gap)
        self.widths = [0.0] * (max(layers.values()) + 1)
        for part, layer in layers.items():
            self.widths[layer] = max(self.widths[layer], self.sizes[part][0])
        rises = [0.0] * len(self.widths)  # to each layer from the one before
        for (source, _), route in self.routes.items():
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
        taken = [(y, self.through) for route in self.routes.values() for y in route]
        taken += [(y, self.sizes[part][1]) for part, y in self.y.items()]
        return min(y - size / 2 for y, size in taken), max(y + size / 2 for y, size in taken)

    @property
    def height(self) -> float:
        """From the lowest to the highest point."""
        low, high = self.extent
        return high - low

    def centre(self, part: Key) -> tuple[float, float]:
        """Return where a part stands."""
        return self.x[self.layers[part]], self.y[part]

    def port(self, part: Key, link: Link) -> float:
        """Return the height at which a link meets a part: its links in order of the other end."""
        end, next_layer = (1, -2) if link[1] == part else (0, 1)
        routes = {other: route for other, route in self.routes.items() if other[end] == part}
        from_top = sorted(routes, key=lambda other: -routes[other][next_layer])
        above_middle = (len(from_top) - 1) / 2 - from_top.index(link)
        return self.y[part] + above_middle * self.ports

    def path(self, link: Link, shift: float = 0.0) -> Path:
        """Return the curve of a link, `shift` higher than its middle: flat in each layer."""
        source, target = link
        ends = self.port(source, link), self.port(target, link)
        heights = [height + shift for height in (ends[0], *self.routes[link][1:-1], ends[1])]
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
    """Return axes in inches without frame, with inputs, nodes and output, but without links.

    The drawing's top left is `left` of the figure's left end and `top` above its lower end.
    """
    width, height = figure.get_size_inches()
    box = (
        left / width,
        (top - drawing.height) / height,
        drawing.width / width,
        drawing.height / height,
    )
    axes = figure.add_axes(box, label=title)
    axes.set(xlim=(0, drawing.width), ylim=drawing.extent)
    axes.set_axis_off()
    for part in drawing.sizes:
        if part in _ENDS:
            draw_box(axes, drawing, part, _ENDS[part], size=9, edge="0.25", face="0.92")
        elif isinstance(part, int):
            draw_box(axes, drawing, part, str(part), size=10, edge="0.25", face="white")
    return axes


def draw_box(
    axes: Axes, drawing: Drawing, part: Key, text: str, *, size: float, edge: str, face: str
) -> None:
    """Draw a part as a box with a text; `edge` and `face` are colours, `size` is the text's."""
    width, height = drawing.sizes[part]
    x, y = drawing.centre(part)
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


def draw_curve(axes: Axes, path: Path, colour: str, **style: Any) -> None:  # noqa: ANN401
    """Draw a link; `style` is more of how it looks, as matplotlib's patches take it."""
    axes.add_patch(PathPatch(path, facecolor="none", edgecolor=colour, clip_on=False, **style))


def draw_arrow_head(axes: Axes, path: Path, colour: str) -> None:
    """Draw the arrow head where a link ends."""
    x, y = np.asarray(path.vertices)[-1]
    corners = [(x, y), (x - 0.09, y + 0.042), (x - 0.09, y - 0.042)]
    axes.add_patch(Polygon(corners, closed=True, facecolor=colour, edgecolor="none", zorder=2.5))
