"""What pictures share: the frame of texts around their panels, maps of numbers, and their files.

Distances are in inches, so that texts keep their size and place in a figure of any size.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from nas_core.errors import InputError, unwritable
from nas_core.files import write_output

SUFFIXES: Final = (".png", ".svg", ".pdf")
_DEVICES: Final = (Path("/dev"), Path("/dev/fd"))
"""Where names stand for what is open, such as a pipe or a file of another name."""

_TITLE_POINTS, _SETTING_POINTS, _NOTE_POINTS = 13.0, 8.5, 9.0
_LINE = 1.35 / 72  # inches a line of text needs for each point of its size

OUTLINED: Final[dict[str, Any]] = {"linestyle": "", "color": "white", "markeredgecolor": "black"}
"""A mark that is seen on any ground; pictures add its form, its size and what else they want."""

_HATCHED: Final[dict[str, Any]] = {"facecolor": "white", "edgecolor": "0.45", "hatch": "////"}
_DPI = 150
_METADATA: Final = {  # no dates, so that equal data give equal bytes
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}

Grid = NDArray[np.float64]
"""Numbers in rows and columns, NaN where there is none."""

Scale = tuple[float, float]
"""The least and the greatest value that have a colour of their own."""

Note = tuple[Artist | None, str]
"""A mark and what it means; None for a sentence without a mark."""


# The frame


def framed(
    title: str,
    setting: Sequence[str],
    notes: Sequence[Note],
    *,
    width: float,
    height: float,
    left: float = 0.85,
    right: float = 0.25,
    above: float = 0.12,
    below: float = 0.65,
    panels: int = 1,
    between: float | None = None,
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Return a figure with its texts, and its panels side by side.

    Above the panels is the title and below it, a line each, what a reader must know (`setting`);
    `notes` at the bottom say what marks mean and what cannot be known. Distances are in inches:
    `left` and `right` of the panels, `above` and `below` between them and the texts, and `height`
    is without the texts. Only `between` is a fraction of a panel's width.
    """
    top, bottom = header_inches(setting), 0.2 + len(notes) * _NOTE_POINTS * 1.45 / 72
    height += top + bottom
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(1, panels, sharey=sharey, squeeze=False)[0]
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        top=1 - (top + above) / height,
        bottom=(bottom + below) / height,
        wspace=between,
    )
    header(figure, title, setting)
    write_notes(
        figure,
        notes,
        loc="lower left",
        bbox_to_anchor=(0.4 / width, 0.1 / height),
        fontsize=_NOTE_POINTS,
        borderaxespad=0.0,
        labelspacing=0.35,
    )
    return figure, list(axes)


def header(figure: Figure, title: str, setting: Sequence[str]) -> None:
    """Write the title and, below it, what a reader must know, a text a line."""
    height = figure.get_figheight()
    figure.suptitle(title, y=1 - 0.18 / height, va="top", fontsize=_TITLE_POINTS)
    figure.text(
        0.5,
        1 - (0.24 + _TITLE_POINTS * _LINE) / height,
        "\n".join(setting),
        ha="center",
        va="top",
        fontsize=_SETTING_POINTS,
        linespacing=1.25,
    )


def write_notes(figure: Figure, notes: Sequence[Note], **legend: Any) -> None:  # noqa: ANN401
    """Write notes, a line each; `legend` says where and how, as matplotlib's legends take it."""
    marks = [mark or Line2D([], [], linestyle="") for mark, _ in notes]
    figure.legend(marks, [text for _, text in notes], frameon=False, **legend)


def header_inches(setting: Sequence[str]) -> float:
    """Return how much of the height a header takes."""
    return 0.24 + (_TITLE_POINTS + _SETTING_POINTS * len(setting)) * _LINE


# Maps


def draw_map(
    axes: Axes, values: Grid, scale: Scale, colours: str, *, label: str, extend: str, pad: float
) -> AxesImage:
    """Draw a box for each value, the first row on top, and a bar of colours with a label.

    Where a value is NaN the hatched background shows. `extend` says on which ends of the bar values
    go on, and `pad` how far away it is, both as matplotlib's `colorbar` takes them.
    """
    axes.patch.set(**_HATCHED)
    image = axes.imshow(
        np.ma.masked_invalid(values),
        norm=Normalize(*scale),
        cmap=colours,
        aspect="auto",
        interpolation="nearest",
    )
    axes.figure.colorbar(image, ax=axes, label=label, format="%.2f", extend=extend, pad=pad)
    return image


def ink(image: AxesImage, value: float) -> str:
    """Return the colour in which a text can be read on the box of a value, or on a hatched one."""
    return "white" if np.asarray(image.norm(np.asarray(value))) <= 0.6 else "black"


def hatched() -> Patch:
    """Return the mark of a box without a value, for a note."""
    return Patch(**_HATCHED)


# Files


def write_figure(figure: Figure, path: Path) -> None:
    """Write a PNG, SVG or PDF file, whole or not at all; equal figures give equal bytes.

    Raises:
        InputError: another suffix, or the file cannot be written there.
        TopoSweepError: writing it failed, as on a full disk.

    """
    content = encoded(figure, path)
    try:
        write_output(path, content)
    except OSError as error:
        raise unwritable(path, error, "; -o names another place") from None


def encoded(figure: Figure, path: Path) -> bytes:
    """Return the content of a file of this name; that of a device or a pipe is a PNG.

    Raises:
        InputError: another suffix.

    """
    is_file = path.parent not in _DEVICES and (path.is_file() or not path.exists())
    suffix = path.suffix.lower() if is_file else ".png"
    if suffix not in SUFFIXES:
        raise InputError(
            f"a figure is written as {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, got {path}"
        )
    buffer = io.BytesIO()
    # Text stays text in a vector picture: it can be searched and edited, and journals ask for it.
    with rc_context({"svg.hashsalt": "topo-sweep", "svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=suffix[1:], dpi=_DPI, metadata=_METADATA[suffix])
    return buffer.getvalue()
