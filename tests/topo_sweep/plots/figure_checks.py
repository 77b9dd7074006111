"""What tests read from a figure: its words, and whether they can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def unreadable(figure: Figure) -> list[tuple[str, ...]]:
    """Return texts that leave the picture, and pairs that run into each other."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [
        (text.get_text(), text.get_window_extent(renderer))
        for text in _drawn_texts(figure)
        if text.get_visible() and text.get_text()
    ]
    wrong: list[tuple[str, ...]] = [
        (text,)
        for text, box in boxes
        if not (figure.bbox.contains(box.x0, box.y0) and figure.bbox.contains(box.x1, box.y1))
    ]
    return wrong + [
        (one, other)
        for i, (one, box) in enumerate(boxes)
        for other, other_box in boxes[:i]
        if box.overlaps(other_box)
    ]


def _drawn_texts(figure: Figure) -> Iterator[Text]:
    """Yield all texts but labels of axes that are off and of ticks outside their axis' limits."""
    axis_texts: set[int] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            drawn: Any = axis
            shown = [axis.label, *(tick.label1 for tick in drawn._update_ticks())]
            axis_texts |= {id(text) for text in axis.findobj(Text)}
            yield from shown if axes.axison else ()
    for text in figure.findobj(Text):
        if id(text) not in axis_texts:
            yield text


def bars(axes: Axes) -> list[tuple[float, float, float, float]]:
    """Return x, mean and ends of the interval of each mean; NaN where there is none."""
    means = []
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        line, _, (ends,) = container
        points: Any = line.get_xydata()
        for (x, mean), segment in zip(points, ends.get_segments(), strict=True):
            low, high = (segment[0][1], segment[1][1]) if len(segment) else (np.nan, np.nan)
            means.append((float(x), float(mean), float(low), float(high)))
    return means


def marks(axes: Axes, gid: str) -> list[tuple[float, float]]:
    """Return place and value of each mark of a kind."""
    places: Any = [line.get_xydata() for line in axes.lines if line.get_gid() == gid]
    return [(float(x), float(y)) for line in places for x, y in line]
