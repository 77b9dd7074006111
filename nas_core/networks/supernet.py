"""The search network of DARTS: cells in which every edge mixes all candidate operations.

After Liu et al. (2019) and the authors' `model_search.py`. Its alphas are in
`networks/alphas.py`, how they are learnt in `training/search.py`. Letters: B batch,
C channels of a node, H and W pixels, E edges of a cell, O operations of an edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor, nn

from nas_core.cells.topology import INPUTS, Topology
from nas_core.networks.alphas import CellSpace, Mixing, SearchSpace, discretise
from nas_core.networks.cpu_kernels import accelerated, weighted_sum
from nas_core.networks.evaluation import reduction_positions
from nas_core.networks.operations import OPS, FactorizedReduce, ReluConvBn, Zero
from nas_core.networks.packed_edges import mixed_together, packable, pooled_once
from nas_core.protocols.search import NODES

Dropout = Callable[[Tensor, str], Tensor]
"""(output of an identity skip, name of its place in the network) -> the same with parts at 0."""

__all__ = ["Dropout", "MixedOp", "SearchCell", "SearchNetwork", "discretise"]


class MixedOp(nn.Module):
    """The weighted sum of an edge's operations: (B, C, H, W) and weights (O,) -> (B, C, H', W').

    With K = `partial_channels` only the first C/K channels pass the operations; the others pass
    by (halved by max pooling where the map halves), and a shuffle mixes both (PC-DARTS).

    Args:
        names: the operations.
        channels: C.
        stride: 2 where the map halves.
        partial_channels: K.

    """

    def __init__(
        self, names: Sequence[str], channels: int, stride: int, *, partial_channels: int = 1
    ) -> None:
        super().__init__()
        self.partial_channels = partial_channels
        self.channels = channels // partial_channels
        self.operations = nn.ModuleDict(
            {name: _candidate(name, self.channels, stride) for name in names}
        )
        self._adding = slice(list(names).count("none"), None)  # none is the first of any list
        self.halve = nn.MaxPool2d(2, 2, ceil_mode=True) if stride == 2 else nn.Identity()

    def forward(
        self,
        x: Tensor,
        weights: Tensor,
        dropout: Dropout | None = None,
        place: str = "",
        known: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> Tensor:
        """Mix; `dropout` acts behind an identity skip and is told its place.

        `known` are outputs of operations, by name, that need not be computed again.
        """
        passing = x[:, self.channels :]
        mixed = self._mixed(x[:, : self.channels], weights, dropout, place, known)
        if self.partial_channels == 1:
            return mixed
        both = torch.cat([mixed, self.halve(passing)], dim=1)
        groups = both.unflatten(1, (self.partial_channels, self.channels))  # (B, K, C/K, H', W')
        shuffled: Tensor = groups.transpose(1, 2).flatten(1, 2)
        return shuffled

    def _mixed(
        self,
        x: Tensor,
        weights: Tensor,
        dropout: Dropout | None,
        place: str,
        known: Mapping[str, Tensor],
    ) -> Tensor:
        """Sum weight * operation(x); none adds nothing: only its share of the softmax counts."""
        outputs = []
        for name, operation in self.operations.items():
            if isinstance(operation, Zero):
                continue
            y = known[name] if name in known else operation(x)
            if dropout is not None and isinstance(operation, nn.Identity):
                y = dropout(y, place)
            outputs.append(y)
        return weighted_sum(weights[self._adding], outputs)


def _candidate(name: str, channels: int, stride: int) -> nn.Module:
    """Return an operation as the search uses it: no affine parameters, pooling normalised."""
    operation = accelerated(OPS[name](channels, stride, False))
    if isinstance(operation, nn.MaxPool2d | nn.AvgPool2d):
        return nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False))
    return operation


class SearchCell(nn.Module):
    """A relaxed cell: two inputs (B, C_before, H, W) each -> (B, nodes * C, H', W').

    Args:
        space: its edges and their operations.
        channels: C of this cell.
        channels_before: channels of input 0 (from two cells before) and input 1.
        reduction: whether this is a reduction cell.
        reduction_before: whether the previous cell was one.
        partial_channels: K of `MixedOp`.

    """

    def __init__(
        self,
        space: CellSpace,
        *,
        channels: int,
        channels_before: tuple[int, int],
        reduction: bool,
        reduction_before: bool,
        partial_channels: int = 1,
    ) -> None:
        super().__init__()
        preprocess0 = FactorizedReduce if reduction_before else ReluConvBn
        self.preprocess0 = preprocess0(channels_before[0], channels, affine=False)
        self.preprocess1 = ReluConvBn(channels_before[1], channels, affine=False)
        # Named by their ends, so that an edge's weights have the same key in every space.
        self.edges = nn.ModuleDict(
            {
                f"{source}to{node}": MixedOp(
                    names,
                    channels,
                    2 if reduction and source < INPUTS else 1,
                    partial_channels=partial_channels,
                )
                for (source, node), names in zip(space.edges, space.operations, strict=True)
            }
        )
        self._space = space

    def forward(
        self,
        input0: Tensor,
        input1: Tensor,
        mixing: Mixing,
        dropout: Dropout | None = None,
        place: str = "",
    ) -> Tensor:
        """Compute the cell with these weights."""
        states = [self.preprocess0(input0), self.preprocess1(input1)]
        sums: dict[int, Tensor] = {}
        for source in range(INPUTS + NODES - 1):
            for node, y in self._edges_of(source, states[source], mixing, dropout, place):
                sums[node] = sums[node] + y if node in sums else y
            if source + 1 >= INPUTS:  # all that node reads has been added up
                states.append(sums[source + 1])
        return torch.cat(states[INPUTS:], dim=1)

    def _edges_of(
        self, source: int, x: Tensor, mixing: Mixing, dropout: Dropout | None, place: str
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield node and output (B, C, H', W') of each edge that reads this source."""
        rows = [row for row, (start, _) in enumerate(self._space.edges) if start == source]
        names = [f"{source}to{self._space.edges[row][1]}" for row in rows]
        mixed = [cast("MixedOp", self.edges[name]) for name in names]
        operations = [own.operations for own in mixed]
        whole = all(own.partial_channels == 1 for own in mixed)
        if whole and dropout is None and packable(operations, x):
            outputs = mixed_together(operations, x, mixing.operations[rows]).unbind(1)
        else:
            known = pooled_once(operations, x) if whole else {}
            outputs = tuple(
                own(x, mixing.operations[row], dropout, f"{place} {name}", known)
                for own, row, name in zip(mixed, rows, names, strict=True)
            )
        for row, y in zip(rows, outputs, strict=True):
            yield self._space.edges[row][1], y if mixing.edges is None else y * mixing.edges[row]


class SearchNetwork(nn.Module):
    """A stack of relaxed cells that classifies images: (B, 3, H, W) -> logits (B, num_classes).

    Cells of one type share their weights of mixing, not their operations. Batch norm is not
    affine in cells (else it could undo an operation's weight), but is in the stem.

    Args:
        init_channels: C of the first cells; the stem is three times as wide.
        cells: depth of the stack, reduction cells at a third and two thirds.
        num_classes: width of the logits.
        operations: the candidates of every edge, or a whole `SearchSpace`.
        topology: fixes the wiring of both cells (or a pair, of normal and reduction cell), so
            that only its edges exist.
        partial_channels: K of PC-DARTS; 1 lets all channels pass the operations.

    Raises:
        InputError: unknown operations, or none that is learnable.

    """

    def __init__(
        self,
        *,
        init_channels: int,
        cells: int,
        num_classes: int,
        operations: Sequence[str] | SearchSpace,
        topology: Topology | tuple[Topology, Topology] | None = None,
        partial_channels: int = 1,
    ) -> None:
        super().__init__()
        self.space = (
            operations
            if isinstance(operations, SearchSpace)
            else SearchSpace.full(operations, topology)
        )
        stem_channels = 3 * init_channels
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(stem_channels),
        )
        self.cells = nn.ModuleList()
        self.cell_types: list[str] = []
        widths, channels, reduction_before = [stem_channels, stem_channels], init_channels, False
        for position in range(cells):
            reduction = position in reduction_positions(cells)
            channels *= 2 if reduction else 1
            self.cell_types.append("reduction" if reduction else "normal")
            self.cells.append(
                SearchCell(
                    self.space.cell(self.cell_types[-1]),
                    channels=channels,
                    channels_before=(widths[-2], widths[-1]),
                    reduction=reduction,
                    reduction_before=reduction_before,
                    partial_channels=partial_channels,
                )
            )
            widths.append(NODES * channels)
            reduction_before = reduction
        self.classifier = nn.Linear(widths[-1], num_classes)

    def forward(
        self, images: Tensor, mixing: Mapping[str, Mixing], dropout: Dropout | None = None
    ) -> Tensor:
        """Return logits (B, classes).

        Args:
            images: (B, 3, H, W), normalised.
            mixing: of 'normal' and 'reduction' cells, see `Alphas.mixing`.
            dropout: acts behind identity skips (P-DARTS); None drops nothing.

        """
        before = last = self.stem(images)
        for position, (cell, cell_type) in enumerate(zip(self.cells, self.cell_types, strict=True)):
            before, last = last, cell(before, last, mixing[cell_type], dropout, str(position))
        logits: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return logits

    @cached_property
    def batch_norms(self) -> list[nn.BatchNorm2d]:
        """All batch norms, whose running statistics alpha steps leave alone."""
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
