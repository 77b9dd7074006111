"""The search network of DARTS: cells in which every edge mixes all candidate operations.

After Liu et al. (2019) and the authors' `model_search.py`. How alphas are learnt is in
`search.py`, how a genotype is read from them in `discretisation.py`. Letters: B batch,
C channels of a node, H and W pixels, E edges of a cell, O operations of an edge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from nas_core.cpu_kernels import accelerated
from nas_core.discretisation import EdgeWeights
from nas_core.discretisation import discretise as discretise_edges
from nas_core.genotype import Genotype
from nas_core.network import reduction_positions
from nas_core.operations import OPS, FactorizedReduce, ReluConvBn, Zero
from nas_core.search_protocol import ATTENTION, NODES
from nas_core.spaces import canonical_operations
from nas_core.streams import generator
from nas_core.topology import INPUTS, Topology

Dropout = Callable[[Tensor, str], Tensor]
"""(output of an identity skip, name of its place in the network) -> the same with parts at 0."""

CELL_TYPES = ("normal", "reduction")


@dataclass(frozen=True)
class CellSpace:
    """What a relaxed cell may become: its edges (source, node) and the operations of each.

    All edges have the same number of operations, so that alphas are a matrix (E, O).
    """

    edges: tuple[tuple[int, int], ...]
    operations: tuple[tuple[str, ...], ...]

    @classmethod
    def full(cls, operations: Sequence[str], topology: Topology | None = None) -> CellSpace:
        """Return all 14 edges, or the 8 of a fixed topology, each with these operations."""
        names = canonical_operations(operations)
        edges = tuple(
            (source, node)
            for node in range(INPUTS, INPUTS + NODES)
            for source in range(node)
            if topology is None or source in topology.pairs[node - INPUTS]
        )
        return cls(edges, (names,) * len(edges))

    def narrowed(self, kept: Mapping[tuple[int, int], tuple[str, ...]]) -> CellSpace:
        """Return the same edges with fewer operations each."""
        return CellSpace(self.edges, tuple(kept[edge] for edge in self.edges))


@dataclass(frozen=True)
class SearchSpace:
    """The spaces of both cell types."""

    normal: CellSpace
    reduction: CellSpace

    @classmethod
    def full(
        cls,
        operations: Sequence[str],
        topology: Topology | tuple[Topology, Topology] | None = None,
    ) -> SearchSpace:
        """Return the space of these operations; a topology holds for both cells, a pair for each.

        Raises:
            InputError: unknown operations, or none that is learnable.

        """
        normal, reduction = topology if isinstance(topology, tuple) else (topology, topology)
        return cls(CellSpace.full(operations, normal), CellSpace.full(operations, reduction))

    def cell(self, cell_type: str) -> CellSpace:
        """Return the space of 'normal' or 'reduction' cells."""
        return self.normal if cell_type == "normal" else self.reduction


@dataclass(frozen=True)
class Mixing:
    """How one cell type mixes: `operations` (E, O) after softmax, `edges` (E,) or None."""

    operations: Tensor
    edges: Tensor | None = None


class Alphas:
    """The architecture parameters of both cell types, apart from the weights.

    `tensors` holds `normal` and `reduction` (E, O), and with edge normalisation also
    `normal_edges` and `reduction_edges` (E,).

    Args:
        space: which edges and operations there are.
        attention: add the paper's operation attention inside the softmax, as a constant.
        edge_normalisation: let the edges of a node compete by a softmax of their own.

    """

    def __init__(
        self, space: SearchSpace, *, attention: bool = False, edge_normalisation: bool = False
    ) -> None:
        self.space = space
        self.tensors: dict[str, Tensor] = {}
        self._offsets: dict[str, Tensor] = {}
        for cell_type in CELL_TYPES:
            cell = space.cell(cell_type)
            self.tensors[cell_type] = torch.zeros(len(cell.edges), len(cell.operations[0]))
            self._offsets[cell_type] = attention_offsets(cell) * float(attention)
            if edge_normalisation:
                self.tensors[f"{cell_type}_edges"] = torch.zeros(len(cell.edges))

    def initialise_(self, seed: int, *, std: float, purpose: str = "alphas") -> None:
        """Draw std * N(0, 1), keyed by cell type, edge and operation."""
        for name, tensor in self.tensors.items():
            cell = self.space.cell(name.removesuffix("_edges"))
            for row, (source, node) in enumerate(cell.edges):
                labels = ("edge",) if tensor.ndim == 1 else cell.operations[row]
                drawn = [
                    torch.randn((), generator=generator(purpose, seed, name, source, node, label))
                    for label in labels
                ]
                with torch.no_grad():
                    tensor[row] = std * torch.stack(drawn).reshape(tensor[row].shape)

    def to(self, device: torch.device, dtype: torch.dtype) -> Alphas:
        """Move to a device and make them leaves that require gradients; returns itself."""
        self.tensors = {
            name: tensor.detach().to(device, dtype).requires_grad_()
            for name, tensor in self.tensors.items()
        }
        self._offsets = {name: tensor.to(device, dtype) for name, tensor in self._offsets.items()}
        return self

    def attend_(self) -> None:
        """Add the operation attention to the alphas themselves, for good."""
        with torch.no_grad():
            for cell_type in CELL_TYPES:
                offsets = attention_offsets(self.space.cell(cell_type))
                self.tensors[cell_type] += offsets.to(self.tensors[cell_type])

    def mixing(self) -> dict[str, Mixing]:
        """Return the weights of both cell types, differentiable in the alphas."""
        return {
            cell_type: Mixing(
                torch.softmax(self.tensors[cell_type] + self._offsets[cell_type], dim=-1),
                self._edge_weights(cell_type),
            )
            for cell_type in CELL_TYPES
        }

    def _edge_weights(self, cell_type: str) -> Tensor | None:
        logits = self.tensors.get(f"{cell_type}_edges")
        if logits is None:
            return None
        nodes = [node for _, node in self.space.cell(cell_type).edges]
        groups = [nodes.count(node) for node in dict.fromkeys(nodes)]
        return torch.cat([torch.softmax(group, dim=0) for group in logits.split(groups)])

    @torch.no_grad()
    def edge_weights(self) -> dict[str, tuple[EdgeWeights, ...]]:
        """Return the weights of both cell types as plain numbers."""
        return {
            cell_type: _plain(self.space.cell(cell_type), mixing)
            for cell_type, mixing in self.mixing().items()
        }


def discretise(alphas: Alphas, *, max_skips: int | None = None) -> Genotype:
    """Return the genotype that these alphas prefer now; see `discretisation.discretise_cell`.

    Along a fixed topology every node has just two edges, so only operations are chosen.
    """
    edges = alphas.edge_weights()
    return discretise_edges(edges["normal"], edges["reduction"], max_skips=max_skips)


def attention_offsets(cell: CellSpace) -> Tensor:
    """Return the paper's w_o for each edge and operation: (E, O)."""
    return torch.tensor([[ATTENTION.get(name, 0.0) for name in names] for names in cell.operations])


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
        self.halve = nn.MaxPool2d(2, 2, ceil_mode=True) if stride == 2 else nn.Identity()

    def forward(
        self, x: Tensor, weights: Sequence[Tensor], dropout: Dropout | None = None, place: str = ""
    ) -> Tensor:
        """Mix; `dropout` acts behind an identity skip and is told its place."""
        passing = x[:, self.channels :]
        mixed = self._mixed(x[:, : self.channels], weights, dropout, place)
        if self.partial_channels == 1:
            return mixed
        both = torch.cat([mixed, self.halve(passing)], dim=1)
        groups = both.unflatten(1, (self.partial_channels, self.channels))  # (B, K, C/K, H', W')
        shuffled: Tensor = groups.transpose(1, 2).flatten(1, 2)
        return shuffled

    def _mixed(
        self, x: Tensor, weights: Sequence[Tensor], dropout: Dropout | None, place: str
    ) -> Tensor:
        total: Tensor | None = None
        zero = x
        for weight, operation in zip(weights, self.operations.values(), strict=True):
            if isinstance(operation, Zero):
                zero = operation(x)  # adds nothing: only its share of the softmax counts
                continue
            y = operation(x)
            if dropout is not None and isinstance(operation, nn.Identity):
                y = dropout(y, place)
            total = weight * y if total is None else total + weight * y
        return zero if total is None else total


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
        self.sources = [
            [row for row, (_, to) in enumerate(space.edges) if to == node]
            for node in range(INPUTS, INPUTS + NODES)
        ]
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
        self._rows = [(source, f"{source}to{node}") for source, node in space.edges]

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
        weights = [row.unbind() for row in mixing.operations.unbind()]
        for rows in self.sources:
            node: Tensor | None = None
            for row in rows:
                source, name = self._rows[row]
                y = self.edges[name](states[source], weights[row], dropout, f"{place} {name}")
                if mixing.edges is not None:
                    y = y * mixing.edges[row]
                node = y if node is None else node + y
            assert node is not None  # noqa: S101 - every node of a space has edges
            states.append(node)
        return torch.cat(states[INPUTS:], dim=1)


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


def _plain(cell: CellSpace, mixing: Mixing) -> tuple[EdgeWeights, ...]:
    rows = mixing.operations.tolist()
    edge_weights = [1.0] * len(rows) if mixing.edges is None else mixing.edges.tolist()
    return tuple(
        EdgeWeights(source, node, dict(zip(names, row, strict=True)), edge_weight)
        for (source, node), names, row, edge_weight in zip(
            cell.edges, cell.operations, rows, edge_weights, strict=True
        )
    )
