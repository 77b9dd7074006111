"""The stack of cells that every network is: widths and reductions of a depth, and what fits it.

After Liu et al. (2019) and the authors' `model.py`. What a cell computes is in `evaluation.py` and
`supernet.py`. Letters: B batch, C channels of a node, H and W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from nas_core.cells.topology import INPUTS
from nas_core.errors import InputError
from nas_core.networks.operations import FactorizedReduce, ReluConvBn

STEM = 3
"""Width of the stem, in channels of the first cells."""

AUXILIARY_MAP = 8
"""Side of the maps that the auxiliary head is made for (CIFAR after two reductions)."""


@dataclass(frozen=True, kw_only=True)
class CellPlan:
    """What the depth decides about one cell: two inputs (B, C_before, H, W) -> (B, width, H', W').

    `channels` is C, the width of one node, and `width` that of the cell's output, which
    concatenates its nodes; `channels_before` are the channels of input 0 (from two cells before)
    and input 1. A `reduction` cell halves the map. Where the cell before was one
    (`reduction_before`), input 0 is still twice as large as input 1 and preprocessing halves it.
    """

    channels: int
    channels_before: tuple[int, int]
    reduction: bool = False
    reduction_before: bool = False
    nodes: int = 4

    @property
    def width(self) -> int:
        """Channels of the cell's output."""
        return self.nodes * self.channels

    @property
    def cell_type(self) -> str:
        """Which of a genotype's cells stands here: 'normal' or 'reduction'."""
        return "reduction" if self.reduction else "normal"

    def stride(self, source: int) -> int:
        """Return the stride of an edge: 2 where a reduction cell reads its inputs, else 1."""
        return 2 if self.reduction and source < INPUTS else 1

    def preprocessing(
        self, *, affine: bool = True
    ) -> tuple[FactorizedReduce | ReluConvBn, ReluConvBn]:
        """Return what brings input 0 and input 1 to C channels and to the same size."""
        first = FactorizedReduce if self.reduction_before else ReluConvBn
        return (
            first(self.channels_before[0], self.channels, affine=affine),
            ReluConvBn(self.channels_before[1], self.channels, affine=affine),
        )


def cell_plans(cells: int, init_channels: int, *, nodes: int = 4) -> tuple[CellPlan, ...]:
    """Return the plan of each cell of a stack whose first cells have `init_channels` channels.

    Both inputs of the first cell are the stem; each reduction cell doubles the channels.
    """
    reductions = reduction_positions(cells)
    widths = [STEM * init_channels] * 2
    plans: list[CellPlan] = []
    for position in range(cells):
        halvings = sum(reduction <= position for reduction in reductions)
        plan = CellPlan(
            channels=init_channels * 2**halvings,
            channels_before=(widths[-2], widths[-1]),
            reduction=position in reductions,
            reduction_before=position - 1 in reductions,
            nodes=nodes,
        )
        plans.append(plan)
        widths.append(plan.width)
    return tuple(plans)


def stem(init_channels: int) -> nn.Sequential:
    """Return what stands before the first cell: (B, 3, H, W) -> (B, 3 * init_channels, H, W)."""
    width = STEM * init_channels
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))


def reduction_positions(cells: int) -> frozenset[int]:
    """Return the positions of the reduction cells: a third and two thirds down (DARTS)."""
    return frozenset({cells // 3, 2 * cells // 3})


def auxiliary_position(cells: int) -> int:
    """Return the position of the cell that the auxiliary head reads: the second reduction."""
    return 2 * cells // 3


def last_map(height: int, width: int, *, cells: int) -> tuple[int, int]:
    """Return the size of the maps behind the last reduction: each halves them, rounding up."""
    halvings = len(reduction_positions(cells))
    return -(-height // 2**halvings), -(-width // 2**halvings)


def check_image_size(height: int, width: int, *, cells: int, auxiliary: bool) -> None:
    """Refuse images that a network of this depth cannot halve, or its auxiliary head not read.

    Raises:
        InputError: with the depth or the setting that fits.

    """
    smallest = min(height, width)
    reductions = len(reduction_positions(cells))
    if smallest < 2**reductions:
        fits = "1 cell (one reduction) fits" if smallest >= 2 else "no depth fits"
        raise InputError(
            f"images of {height}x{width} are too small for {cells} cells: {reductions} "
            f"reductions need at least {2**reductions} pixels a side; {fits}"
        )
    maps = last_map(height, width, cells=cells)  # the auxiliary head reads the last reduction
    if auxiliary and maps != (AUXILIARY_MAP, AUXILIARY_MAP):
        raise InputError(
            f"the auxiliary head reads {AUXILIARY_MAP}x{AUXILIARY_MAP} maps, but images of "
            f"{height}x{width} give {maps[0]}x{maps[1]} after cell {auxiliary_position(cells)} "
            f"of {cells}: set auxiliary=false"
        )
