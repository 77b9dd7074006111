"""What pictures of searches and cells share: texts around the axes, colours of operations.

Places are in inches, so that texts keep their size and distance in a figure of any size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

LABELS: Final[Mapping[str, str]] = {
    "none": "none",
    "max_pool_3x3": "max 3x3",
    "avg_pool_3x3": "avg 3x3",
    "skip_connect": "skip",
    "sep_conv_3x3": "sep 3x3",
    "sep_conv_5x5": "sep 5x5",
    "dil_conv_3x3": "dil 3x3",
    "dil_conv_5x5": "dil 5x5",
}
"""Short names of operations, in canonical order."""

COLOURS: Final[Mapping[str, str]] = {
    # After Okabe and Ito, distinct also without red or green; a family shares its warmth.
    "none": "#8a8a8a",
    "max_pool_3x3": "#e69f00",
    "avg_pool_3x3": "#8f6400",
    "skip_connect": "#009e73",
    "sep_conv_3x3": "#0059a3",
    "sep_conv_5x5": "#56b4e9",
    "dil_conv_3x3": "#c94a00",
    "dil_conv_5x5": "#cc79a7",
}

DASHES: Final[Mapping[str, Any]] = {
    "none": (0, (1, 1.2)),
    "avg_pool_3x3": (0, (4, 1.5)),
    "sep_conv_5x5": (0, (4, 1.5)),
    "dil_conv_5x5": (0, (4, 1.5)),
}
"""Line styles of operations that are not drawn solid: a second sign beside the colour."""

_TITLE_POINTS, _SETTING_POINTS, _NOTE_POINTS = 13.0, 8.5, 9.0
_LINE = 1.35 / 72  # inches a line of text needs for each point of its size

Note = tuple[Artist | None, str]
"""A mark and what it means; None for a sentence without a mark."""


@dataclass(frozen=True)
class Margins:
    """Inches around the axes."""

    left: float
    right: float
    top: float
    bottom: float

    def apply(self, figure: Figure, **spaces: float) -> None:
        """Set the margins; `spaces` are matplotlib's `wspace` and `hspace`."""
        width, height = figure.get_size_inches()
        figure.subplots_adjust(
            left=self.left / width,
            right=1 - self.right / width,
            top=1 - self.top / height,
            bottom=self.bottom / height,
            **spaces,
        )


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


def header_inches(setting: Sequence[str]) -> float:
    """Return how much of the height a header takes."""
    return 0.24 + (_TITLE_POINTS + _SETTING_POINTS * len(setting)) * _LINE


def footer(figure: Figure, notes: Sequence[Note], *, left: float = 0.4) -> None:
    """Write what marks mean and what cannot be known at the bottom, a note a line."""
    width, height = figure.get_size_inches()
    figure.legend(
        [mark or Line2D([], [], linestyle="") for mark, _ in notes],
        [text for _, text in notes],
        loc="lower left",
        bbox_to_anchor=(left / width, 0.1 / height),
        frameon=False,
        fontsize=_NOTE_POINTS,
        borderaxespad=0.0,
        labelspacing=0.35,
    )


def footer_inches(notes: Sequence[Note]) -> float:
    """Return how much of the height a footer takes."""
    return 0.2 + len(notes) * _NOTE_POINTS * 1.45 / 72


def text_inches(setting: Sequence[str], notes: Sequence[Note]) -> float:
    """Return how much of the height header and footer take."""
    return header_inches(setting) + footer_inches(notes)


def margins(
    setting: Sequence[str],
    notes: Sequence[Note],
    *,
    left: float = 0.85,
    right: float = 0.25,
    above: float = 0.12,
    below: float = 0.65,
) -> Margins:
    """Return the margins that leave room for the texts, `above` and `below` for the axes' own."""
    top, bottom = header_inches(setting) + above, footer_inches(notes) + below
    return Margins(left, right, top, bottom)


def short_space(operations: str) -> str:
    """Return 'sep3 dil3' of comma-separated names: what is learnt, and 'avg' without max pooling.

    What every sub-space of the paper holds (none, skip, max pooling) is left unsaid.
    """
    names = operations.split(",")
    learnt = [f"{name[:3]}{name[-1]}" for name in names if "_conv_" in name]
    unsaid = [] if "max_pool_3x3" in names or "avg_pool_3x3" not in names else ["avg"]
    return " ".join([*learnt, *unsaid])


def space_label(name: str, operations: str, *, between: str = " ") -> str:
    """Return 'SS1 sep3 dil3', 'all eight operations', or what is learnt in a space of no name."""
    if name == "all":
        return "all eight operations"
    return short_space(operations) if "+" in name else f"{name}{between}{short_space(operations)}"
