"""The search network of DARTS: cells in which every edge mixes all candidate operations.

After Liu et al. (2019) and the authors' `model_search.py`. Its alphas are in
`networks/alphas.py`, how they are learnt in `training/search.py`. Letters: B batch,
C channels of a node, H and W pixels, E edges of a cell, O operations of an edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn

from nas_core.cells.topology import INPUTS, Topology
from nas_core.networks.alphas import CellSpace, Mixing, SearchSpace
from nas_core.networks.kernels.edges import mix, preprocessed
from nas_core.networks.operations import OPS, NormalisedPool
from nas_core.networks.stack import CellPlan, cell_plans, stem
from nas_core.protocols.search import NODES

Dropout = Callable[[Tensor, str], Tensor]
"""(output of an identity skip, name of its edge) -> the same with parts at 0."""


class MixedOp(nn.Module):
    """The operations of an edge, whose weighted sum it is; `kernels.edges.mix` computes that.

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
        self.halve = nn.MaxPool2d(2, 2, ceil_mode=True) if stride == 2 else nn.Identity()

    def forward(self, mixed: Tensor, passing: Tensor) -> Tensor:
        """Shuffle what passed the operations, (B, C/K, H', W'), and the rest, (B, C - C/K, H, W).

        Returns:
            (B, C, H', W').

        """
        if self.partial_channels == 1:
            return mixed
        both = torch.cat([mixed, self.halve(passing)], dim=1)
        groups = both.unflatten(1, (self.partial_channels, self.channels))  # (B, K, C/K, H', W')
        return groups.transpose(1, 2).flatten(1, 2)


def _candidate(name: str, channels: int, stride: int) -> nn.Module:
    """Return an operation as the search uses it: no affine parameters, pooling normalised."""
    operation = OPS[name](channels, stride, False)
    if isinstance(operation, nn.MaxPool2d | nn.AvgPool2d):
        return NormalisedPool(operation, channels)
    return operation


class SearchCell(nn.Module):
    """A relaxed cell: two inputs (B, C_before, H, W) each -> (B, nodes * C, H', W').

    Args:
        space: its edges and their operations.
        plan: channels and reductions at its position in the stack.
        partial_channels: K of `MixedOp`.

    """

    def __init__(self, space: CellSpace, plan: CellPlan, *, partial_channels: int = 1) -> None:
        super().__init__()
        self.preprocess0, self.preprocess1 = plan.preprocessing(affine=False)
        # Named by their ends, so that an edge's weights have the same key in every space.
        self.edges = nn.ModuleDict(
            {
                f"{source}to{node}": MixedOp(
                    names, plan.channels, plan.stride(source), partial_channels=partial_channels
                )
                for (source, node), names in zip(space.edges, space.operations, strict=True)
            }
        )
        self._space = space

    def forward(
        self, input0: Tensor, input1: Tensor, mixing: Mixing, dropout: Dropout | None = None
    ) -> Tensor:
        """Compute the cell with these weights; `dropout` is told edges by names like '0to2'."""
        states = [preprocessed(self.preprocess0, input0), preprocessed(self.preprocess1, input1)]
        sums: dict[int, Tensor] = {}
        for source in range(INPUTS + NODES - 1):
            for node, y in self._edges_of(source, states[source], mixing, dropout):
                sums[node] = sums[node] + y if node in sums else y
            if source + 1 >= INPUTS:  # all that node reads has been added up
                states.append(sums[source + 1])
        return torch.cat(states[INPUTS:], dim=1)

    def _edges_of(
        self, source: int, x: Tensor, mixing: Mixing, dropout: Dropout | None
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield node and output (B, C, H', W') of each edge that reads this source."""
        rows = [row for row, (start, _) in enumerate(self._space.edges) if start == source]
        names = [f"{source}to{self._space.edges[row][1]}" for row in rows]
        edges = [cast("MixedOp", self.edges[name]) for name in names]
        if not edges:
            return
        mixing_channels = edges[0].channels
        outputs = mix(
            [edge.operations for edge in edges],
            x[:, :mixing_channels],
            mixing.operations[rows],
            None if dropout is None else lambda number, y: dropout(y, names[number]),
        )
        for row, edge, mixed in zip(rows, edges, outputs, strict=True):
            y = edge(mixed, x[:, mixing_channels:])
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

    >>> import torch
    >>> from nas_core import Alphas, SearchNetwork, Topology
    >>> network = SearchNetwork(
    ...     init_channels=2,
    ...     cells=2,
    ...     num_classes=10,
    ...     operations=["none", "skip_connect", "sep_conv_3x3"],
    ...     topology=Topology.from_index(17),
    ... )
    >>> tuple(network(torch.zeros(4, 3, 8, 8), Alphas(network.space).mixing()).shape)
    (4, 10)

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
        plans = cell_plans(cells, init_channels)
        self.cell_types = [plan.cell_type for plan in plans]
        self.stem = stem(init_channels)
        self.cells = nn.ModuleList(
            SearchCell(self.space.cell(plan.cell_type), plan, partial_channels=partial_channels)
            for plan in plans
        )
        self.classifier = nn.Linear(plans[-1].width, num_classes)

    def forward(
        self, images: Tensor, mixing: Mapping[str, Mixing], dropout: Dropout | None = None
    ) -> Tensor:
        """Return logits (B, classes).

        Args:
            images: (B, 3, H, W), normalised.
            mixing: of 'normal' and 'reduction' cells, see `Alphas.mixing`.
            dropout: acts behind identity skips (P-DARTS); None drops nothing.

        """
        images = images.contiguous(memory_format=torch.channels_last)
        before = last = self.stem(images)
        for position, (cell, cell_type) in enumerate(zip(self.cells, self.cell_types, strict=True)):
            dropped = None if dropout is None else _in_cell(dropout, position)
            before, last = last, cell(before, last, mixing[cell_type], dropped)
        return self.classifier(last.mean(dim=(2, 3)))

    @cached_property
    def batch_norms(self) -> list[nn.BatchNorm2d]:
        """All batch norms, whose running statistics alpha steps leave alone."""
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]


def _in_cell(dropout: Dropout, position: int) -> Dropout:
    """Return the dropout that names edges in the cell at this position."""
    return lambda y, edge_name: dropout(y, f"{position} {edge_name}")
