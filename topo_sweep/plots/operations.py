"""How operations and search spaces are named and drawn, in every picture alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas_core.cells.genotype import CellEdges
from nas_core.cells.topology import INPUTS


class OperationStyle(NamedTuple):
    """Short name, colour and line style of an operation."""

    label: str
    colour: str
    dashes: Any = "-"


STYLES: Final[Mapping[str, OperationStyle]] = {
    # In the canonical order of operations.
    # Colours after Okabe and Ito, distinct also without red or green; a family shares its warmth,
    # and dashes are a second sign beside the colour.
    "none": OperationStyle("none", "#8a8a8a", (0, (1, 1.2))),
    "max_pool_3x3": OperationStyle("max 3x3", "#e69f00"),
    "avg_pool_3x3": OperationStyle("avg 3x3", "#8f6400", (0, (4, 1.5))),
    "skip_connect": OperationStyle("skip", "#009e73"),
    "sep_conv_3x3": OperationStyle("sep 3x3", "#0059a3"),
    "sep_conv_5x5": OperationStyle("sep 5x5", "#56b4e9", (0, (4, 1.5))),
    "dil_conv_3x3": OperationStyle("dil 3x3", "#c94a00"),
    "dil_conv_5x5": OperationStyle("dil 5x5", "#cc79a7", (0, (4, 1.5))),
}


def edge_operations(cell: CellEdges) -> dict[tuple[int, int], str]:
    """Return the operation of every edge, by source and node."""
    return {
        (edge.source, node): edge.operation
        for node, pair in enumerate(cell.nodes, INPUTS)
        for edge in pair
    }


def operation_legend(
    figure: Figure,
    operations: Collection[str],
    others: Sequence[Line2D],
    *,
    bottom: float,
    line_length: float,
) -> None:
    """Name the lines of operations, in canonical order, and of others in one row below a picture.

    There are `bottom` inches below it, and its lines are `line_length` font sizes long.
    """
    lines = [
        Line2D([], [], color=style.colour, linestyle=style.dashes, linewidth=2, label=style.label)
        for name, style in STYLES.items()
        if name in operations
    ]
    figure.legend(
        handles=[*lines, *others],
        loc="lower center",
        bbox_to_anchor=(0.5, bottom / figure.get_figheight()),
        ncols=len(lines) + len(others),
        frameon=False,
        fontsize=9,
        handlelength=line_length,
    )


def space_label(name: str, operations: str, *, between: str = " ") -> str:
    """Return 'SS1 sep3 dil3', 'all eight operations', or what is learnt in a space of no name.

    What every sub-space of the paper holds (none, skip, max pooling) is left unsaid; average
    pooling instead of max pooling is said.
    """
    if name == "all":
        return "all eight operations"
    names = operations.split(",")
    learnt = [f"{operation[:3]}{operation[-1]}" for operation in names if "_conv_" in operation]
    if "avg_pool_3x3" in names and "max_pool_3x3" not in names:
        learnt.append("avg")
    return " ".join(learnt) if "+" in name else f"{name}{between}{' '.join(learnt)}"
