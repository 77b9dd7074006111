"""From the weights of a relaxed cell to a genotype. Pure arithmetic on plain numbers, no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_core.cells.genotype import OPERATION_NAMES, CellEdges, Edge, Genotype
from nas_core.errors import InputError

SKIP = "skip_connect"
NONE = "none"


@dataclass(frozen=True)
class EdgeWeights:
    """One edge of a relaxed cell from `source` to `node`.

    `weights` are those of its operations after softmax, in canonical order of operations;
    `edge_weight` is that of the edge among its node's, where edges are normalised (PC-DARTS).
    """

    source: int
    node: int
    weights: Mapping[str, float]
    edge_weight: float = 1.0

    def best(self) -> Edge:
        """Return the strongest operation but none; of equals the first in canonical order."""
        candidates = (name for name in self.weights if name != NONE)
        return Edge(self.source, max(candidates, key=self.weights.__getitem__))

    @property
    def strength(self) -> float:
        """Weight of that operation, by which edges of a node compete."""
        return self.weights[self.best().operation] * self.edge_weight

    def without(self, operation: str) -> EdgeWeights | None:
        """Return the edge with this operation's weight gone; None where nothing would be left."""
        left = {name: weight for name, weight in self.weights.items() if name != operation}
        if not set(left) - {NONE}:
            return None
        return EdgeWeights(self.source, self.node, left, self.edge_weight)

    def to_json_value(self) -> dict[str, Any]:
        """Return plain data; `edge_weight` only where edges are normalised."""
        edge = {"source": self.source, "node": self.node, "weights": dict(self.weights)}
        return edge if self.edge_weight == 1.0 else edge | {"edge_weight": self.edge_weight}

    @classmethod
    def from_json_value(cls, value: Mapping[str, Any]) -> EdgeWeights:
        """Return the edge that `to_json_value` described."""
        return cls(**value)


def discretise_cell(edges: Sequence[EdgeWeights], *, max_skips: int | None = None) -> CellEdges:
    """Return the two strongest predecessors of each node with their strongest operations.

    An edge is as strong as its best operation but none, which stays in the softmax (DARTS,
    section 2.4). Ties go to the lower source and the first operation in canonical order.

    Args:
        edges: of the cell, in any order; where a node has just two (a fixed topology), both stay.
        max_skips: while the cell has more skip connections, the weakest chosen one loses its
            candidacy and the cell is chosen again (P-DARTS, section 3.3); None sets no limit.

    Raises:
        InputError: a node with fewer than two edges, or skips that nothing can replace.

    """
    chosen = _strongest(edges)
    while max_skips is not None and len(skips := _skips(chosen)) > max_skips:
        weakest = min(skips, key=lambda edge: (edge.weights[SKIP] * edge.edge_weight, edge.node))
        rest = [edge for edge in edges if edge is not weakest]
        narrowed = weakest.without(SKIP)
        edges = rest if narrowed is None else [*rest, narrowed]
        chosen = _strongest(edges)
    pairs = zip(chosen[::2], chosen[1::2], strict=True)
    return CellEdges(tuple((first.best(), second.best()) for first, second in pairs))


def discretise_edges(
    normal: Sequence[EdgeWeights], reduction: Sequence[EdgeWeights], *, max_skips: int | None
) -> Genotype:
    """Return the genotype of two relaxed cells; `max_skips` limits the normal cell alone.

    Raises:
        InputError: see `discretise_cell`.

    """
    return Genotype(discretise_cell(normal, max_skips=max_skips), discretise_cell(reduction))


def narrowed(edges: Sequence[EdgeWeights], keep: int) -> dict[tuple[int, int], tuple[str, ...]]:
    """Return the `keep` strongest operations of each (source, node), in canonical order.

    Here none competes like any other operation (P-DARTS); ties go to the first.
    """
    kept = {}
    for edge in edges:
        strongest = sorted(edge.weights, key=lambda name: -edge.weights[name])[:keep]
        kept[edge.source, edge.node] = tuple(sorted(strongest, key=OPERATION_NAMES.index))
    return kept


def skip_count(cell: CellEdges) -> int:
    """Return the number of skip connections of a cell."""
    return sum(edge.operation == SKIP for edge in cell.edges)


def _strongest(edges: Sequence[EdgeWeights]) -> list[EdgeWeights]:
    """Return the two strongest edges of node 2, those of node 3, ..."""
    chosen = []
    for node in sorted({edge.node for edge in edges}):
        ranked = sorted(
            (edge for edge in edges if edge.node == node),
            key=lambda edge: (-edge.strength, edge.source),
        )
        if len(ranked) < 2:
            raise InputError(f"node {node} needs two edges to choose from, got {len(ranked)}")
        chosen += ranked[:2]
    return chosen


def _skips(chosen: Sequence[EdgeWeights]) -> list[EdgeWeights]:
    return [edge for edge in chosen if edge.best().operation == SKIP]
