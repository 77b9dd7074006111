"""What a search cell may become, and the architecture parameters that decide it.

After Liu et al. (2019); how alphas are learnt is in `training/search_steps.py`, how a genotype is
read from their weights in `cells/discretisation.py`. Letters: E edges of a cell, O operations of
an edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_core.cells.discretisation import EdgeWeights
from nas_core.cells.genotype import Genotype
from nas_core.cells.spaces import canonical_operations
from nas_core.cells.topology import INPUTS, Topology
from nas_core.errors import InputError
from nas_core.protocols.search import ATTENTION, NODES
from nas_core.streams import generator

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


def beside(mixings: Sequence[Mixing]) -> Mixing:
    """Return the mixing of K models side by side: `operations` (E, K, O), `edges` (E, K)."""
    edges = [mixing.edges for mixing in mixings if mixing.edges is not None]
    return Mixing(
        torch.stack([mixing.operations for mixing in mixings], dim=1),
        torch.stack(edges, dim=1) if edges else None,
    )


def one_hot(space: SearchSpace, genotype: Genotype, like: Tensor) -> dict[str, Mixing]:
    """Return the mixing of both cell types in which a genotype is all that is computed.

    Its operations and its edges weigh 1, all others 0: the search network is then the evaluation
    network of the genotype, with the weights that it shares.

    Args:
        space: what the search network holds.
        genotype: a cell of this space.
        like: a tensor whose device and type the weights get.

    Raises:
        InputError: the space lacks an edge of the genotype, or an operation there.

    """
    mixings = {}
    for cell_type, cell in zip(CELL_TYPES, (genotype.normal, genotype.reduction), strict=True):
        within = space.cell(cell_type)
        weights = torch.zeros(len(within.edges), len(within.operations[0]))
        for node, pair in enumerate(cell.nodes, INPUTS):
            for edge in pair:
                ends = edge.source, node
                names = within.operations[within.edges.index(ends)] if ends in within.edges else ()
                if edge.operation not in names:
                    raise InputError(
                        f"the {cell_type} cell of this search has no {edge} of node {node}: choose "
                        "a genotype of its space and wiring"
                    )
                weights[within.edges.index(ends), names.index(edge.operation)] = 1
        weights = weights.to(like)
        mixings[cell_type] = Mixing(weights, weights.sum(dim=1))
    return mixings


class Alphas:
    """The architecture parameters of both cell types, apart from the weights.

    `tensors` holds `normal` and `reduction` (E, O), and with edge normalisation also
    `normal_edges` and `reduction_edges` (E,).

    Args:
        space: which edges and operations there are.
        attention: add the paper's operation attention inside the softmax, as a constant.
        edge_normalisation: let the edges of a node compete by a softmax of their own.

    >>> from nas_core import Alphas
    >>> from nas_core.networks.alphas import SearchSpace
    >>> alphas = Alphas(SearchSpace.full(["none", "skip_connect", "sep_conv_3x3"]))
    >>> {name: tuple(tensor.shape) for name, tensor in alphas.tensors.items()}
    {'normal': (14, 3), 'reduction': (14, 3)}
    >>> round(alphas.mixing()["normal"].operations[0].sum().item(), 6)
    1.0

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
        """Move to a device and a type, let autograd track the alphas from here on; return self."""
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


def attention_offsets(cell: CellSpace) -> Tensor:
    """Return the paper's w_o for each edge and operation: (E, O)."""
    return torch.tensor([[ATTENTION.get(name, 0.0) for name in names] for names in cell.operations])


def _plain(cell: CellSpace, mixing: Mixing) -> tuple[EdgeWeights, ...]:
    rows = mixing.operations.tolist()
    edge_weights = [1.0] * len(rows) if mixing.edges is None else mixing.edges.tolist()
    return tuple(
        EdgeWeights(source, node, dict(zip(names, row, strict=True)), edge_weight)
        for (source, node), names, row, edge_weight in zip(
            cell.edges, cell.operations, rows, edge_weights, strict=True
        )
    )
