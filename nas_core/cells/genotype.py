"""Genotypes: the operations and edges of both cells, known cells, and the notations for them.

How DARTS' printed notation is taken apart is in `cells/notation.py`, shapes and modules are in
`networks/evaluation.py`; nothing here imports torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, Final

from nas_core.cells.notation import darts_fields, shortened
from nas_core.cells.topology import INPUTS, MAX_NODES, Topology
from nas_core.errors import InputError, nearest

OPERATION_NAMES: Final = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The candidate operations of DARTS (Liu et al., 2019), in the order of the authors' code."""


@dataclass(frozen=True, order=True)
class Edge:
    """One edge of a cell: `operation` applied to the output of `source`.

    Raises:
        InputError: an operation that does not exist; names the nearest ones.

    >>> from nas_core import Edge
    >>> print(Edge(0, "sep_conv_3x3"))
    sep_conv_3x3@0

    """

    source: int
    operation: str

    def __post_init__(self) -> None:
        """Refuse an operation that does not exist, naming the nearest ones."""
        if self.operation not in OPERATION_NAMES:
            near = nearest(self.operation, OPERATION_NAMES) or ", ".join(OPERATION_NAMES)
            raise InputError(f"unknown operation {self.operation!r}: use {near}")

    def __str__(self) -> str:
        """Return 'operation@source'."""
        return f"{self.operation}@{self.source}"


@dataclass(frozen=True, order=True)
class CellEdges:
    """The edges of one cell, two a node, sorted by source within each node.

    Args:
        nodes: for node 2, 3, ... its two edges, which read two different earlier nodes.

    Raises:
        InputError: a node without two edges, or a wiring that is no `Topology`.

    >>> from nas_core import CellEdges, Topology
    >>> cell = CellEdges.uniform(Topology(((0, 1), (0, 2))), "skip_connect")
    >>> print(cell)
    skip_connect@0+skip_connect@1;skip_connect@0+skip_connect@2

    """

    nodes: tuple[tuple[Edge, Edge], ...]

    def __post_init__(self) -> None:
        """Bring the edges into canonical order; `Topology` checks the wiring."""
        for node, edges in enumerate(self.nodes, INPUTS):
            if len(edges) != 2:
                raise InputError(f"node {node} needs two edges, got {len(edges)}")
        object.__setattr__(self, "nodes", tuple(_sorted_pair(edges) for edges in self.nodes))
        _ = self.topology

    @classmethod
    def uniform(cls, topology: Topology, operation: str) -> CellEdges:
        """Return the cell with this wiring and the same operation on every edge."""
        return cls.from_pairs((operation, source) for pair in topology.pairs for source in pair)

    @classmethod
    def from_pairs(cls, pairs: Iterable[Sequence[Any]]) -> CellEdges:
        """Read DARTS' flat list: (operation, source) twice for node 2, twice for node 3, ..."""
        edges = [_edge(pair) for pair in pairs]
        if len(edges) % 2 or not 2 <= len(edges) <= 2 * MAX_NODES:
            raise InputError(
                f"a cell has two edges for each of 1 to {MAX_NODES} nodes, got {len(edges)} edges"
            )
        return cls(tuple(zip(edges[::2], edges[1::2], strict=True)))

    @cached_property
    def topology(self) -> Topology:
        """The wiring alone."""
        return Topology(tuple((first.source, second.source) for first, second in self.nodes))

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges: two for node 2, two for node 3, ..."""
        return tuple(edge for pair in self.nodes for edge in pair)

    @property
    def uniform_operation(self) -> str | None:
        """The operation of every edge where they are all the same, else None."""
        operations = {edge.operation for edge in self.edges}
        return operations.pop() if len(operations) == 1 else None

    def pairs(self) -> list[tuple[str, int]]:
        """Return DARTS' flat list of (operation, source)."""
        return [(edge.operation, edge.source) for edge in self.edges]

    @cached_property
    def _text(self) -> str:
        return ";".join(f"{first}+{second}" for first, second in self.nodes)

    def __str__(self) -> str:
        """Return the canonical string: nodes separated by ';', the two edges of a node by '+'."""
        return self._text


@dataclass(frozen=True, order=True)
class Genotype:
    """The normal and the reduction cell of a network, in canonical form.

    Canonical: edges are sorted within each node and nodes are never renamed, so two genotypes
    are equal exactly if they describe the same network with the same names. `str(genotype)` is
    the key that stores use.

    Raises:
        InputError: cells with different numbers of nodes.

    >>> from nas_core import KNOWN_CELLS, Genotype
    >>> genotype = Genotype.parse("DARTS_V2")
    >>> genotype.normal.edges[-1]
    Edge(source=2, operation='dil_conv_3x3')
    >>> Genotype.parse(genotype.to_darts()) == Genotype.parse(str(genotype)) == genotype
    True

    """

    normal: CellEdges
    reduction: CellEdges

    def __post_init__(self) -> None:
        """Both cells feed each other, so they need the same number of concatenated nodes."""
        normal, reduction = len(self.normal.nodes), len(self.reduction.nodes)
        if normal != reduction:
            raise InputError(
                f"normal and reduction cell need equally many nodes, got {normal} and {reduction}"
            )

    @property
    def topology(self) -> Topology | None:
        """The normal wiring where all normal operations are equal, else None.

        Only then does the wiring alone say which network it is: DARTS_V1 and DARTS_V2 share one.
        """
        return self.normal.topology if self.normal.uniform_operation else None

    @property
    def shape(self) -> tuple[tuple[str, bool], ...]:
        """What genotypes share whose networks have parameters of the same shapes.

        The operation of every slot, and whether it is a skip connection that halves the map.
        """
        halving = [
            edge.operation == "skip_connect" and edge.source < INPUTS
            for edge in self.reduction.edges
        ]
        operations = [edge.operation for edge in (*self.normal.edges, *self.reduction.edges)]
        return tuple(zip(operations, [False] * len(self.normal.edges) + halving, strict=True))

    @classmethod
    def parse(cls, text: str) -> Genotype:
        """Read a known cell's name, the canonical string, JSON, or DARTS' printed notation.

        Raises:
            InputError: none of these, or a cell that this search space does not hold.

        """
        text = text.strip()
        if text in KNOWN_CELLS:
            return KNOWN_CELLS[text]
        if text.startswith("{"):
            return cls.from_json(text)
        if text.startswith("Genotype"):
            return cls.from_darts(text)
        if "@" in text:
            return cls.from_string(text)
        raise InputError(
            f"{shortened(text)} is no genotype: use one of {', '.join(KNOWN_CELLS)}, "
            "JSON, or the notation Genotype(normal=[('sep_conv_3x3', 0), ...], ...)"
        )

    @classmethod
    def from_string(cls, text: str) -> Genotype:
        """Read the canonical string that `str(genotype)` gives."""
        cells = text.strip().split("|")
        if len(cells) != 2:
            raise InputError(f"{shortened(text)} needs two cells separated by '|'")
        return cls(*map(_cell_from_string, cells))

    def __str__(self) -> str:
        """Return the canonical string, 'normal|reduction'."""
        return f"{self.normal}|{self.reduction}"

    @classmethod
    def from_json(cls, text: str) -> Genotype:
        """Read `{"normal": [["sep_conv_3x3", 0], ...], "reduction": [...]}`."""
        try:
            cells = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{shortened(text)} is not JSON: {error}") from None
        if not isinstance(cells, dict) or set(cells) != {"normal", "reduction"}:
            raise InputError(
                f"a genotype in JSON is an object with 'normal' and 'reduction', "
                f"got {shortened(text)}"
            )
        return cls(*(_cell_from_pairs(name, cells[name]) for name in ("normal", "reduction")))

    def to_json(self) -> str:
        """Return JSON that `from_json` reads."""
        return json.dumps({"normal": self.normal.pairs(), "reduction": self.reduction.pairs()})

    @classmethod
    def from_darts(cls, text: str) -> Genotype:
        """Read `Genotype(normal=[...], normal_concat=..., reduce=[...], reduce_concat=...)`.

        Nothing is evaluated but literals. The concatenations must hold all intermediate nodes,
        as in every cell of this search space (NASNet's and AmoebaNet's differ).
        """
        fields = darts_fields(text)
        cells = {}
        for name in ("normal", "reduce"):
            if name not in fields:
                raise InputError(f"{shortened(text)} has no field {name!r}")
            cells[name] = _cell_from_pairs(name, fields[name])
            nodes = list(range(INPUTS, INPUTS + len(cells[name].nodes)))
            concat = fields.get(f"{name}_concat", nodes)
            listed = concat if isinstance(concat, list | tuple) else ()
            if len(listed) != len(nodes) or any(node not in listed for node in nodes):
                raise InputError(
                    f"{name}_concat is {concat}, but cells of this search space "
                    f"concatenate all their nodes, here {nodes}"
                )
        return cls(cells["normal"], cells["reduce"])

    def to_darts(self) -> str:
        """Return the notation that DARTS code bases print and read."""
        concat = f"range({INPUTS}, {INPUTS + len(self.normal.nodes)})"
        return (
            f"Genotype(normal={self.normal.pairs()!r}, normal_concat={concat}, "
            f"reduce={self.reduction.pairs()!r}, reduce_concat={concat})"
        )


def known_name(genotype: Genotype) -> str | None:
    """Return the name under which `KNOWN_CELLS` holds this genotype, else None."""
    return next((name for name, known in KNOWN_CELLS.items() if known == genotype), None)


def _sorted_pair(edges: tuple[Edge, Edge]) -> tuple[Edge, Edge]:
    first, second = sorted(edges)
    return first, second


def _edge(pair: Sequence[Any]) -> Edge:
    operation, source = pair if len(pair) == 2 else (None, None)
    if not isinstance(operation, str) or type(source) is not int:
        raise InputError(f"an edge is a pair like ('sep_conv_3x3', 0), got {pair!r}")
    return Edge(source, operation)


def _cell_from_pairs(name: str, pairs: object) -> CellEdges:
    if not isinstance(pairs, list | tuple) or not all(isinstance(p, list | tuple) for p in pairs):
        raise InputError(f"{name} must be a list of (operation, source), got {pairs!r:.80}")
    return CellEdges.from_pairs(pairs)


@lru_cache(maxsize=4096)  # all pairs of 180 wirings are made of 360 cells
def _cell_from_string(text: str) -> CellEdges:
    pairs = []
    for edge in re.split(r"[;+]", text):
        operation, at, source = edge.strip().partition("@")
        if not at or not re.fullmatch(r"[0-9]{1,2}", source):
            raise InputError(f"{edge!r} is no edge: use a form like sep_conv_3x3@0")
        pairs.append((operation, int(source)))
    return CellEdges.from_pairs(pairs)


KNOWN_CELLS: Final[Mapping[str, Genotype]] = MappingProxyType(
    {
        # Liu et al., "DARTS", first and second order, as released by the authors.
        "DARTS_V1": Genotype.from_string(
            "sep_conv_3x3@0+sep_conv_3x3@1;skip_connect@0+sep_conv_3x3@1;"
            "skip_connect@0+sep_conv_3x3@1;sep_conv_3x3@0+skip_connect@2|"
            "max_pool_3x3@0+max_pool_3x3@1;max_pool_3x3@0+skip_connect@2;"
            "max_pool_3x3@0+skip_connect@2;avg_pool_3x3@0+skip_connect@2"
        ),
        "DARTS_V2": Genotype.from_string(
            "sep_conv_3x3@0+sep_conv_3x3@1;sep_conv_3x3@0+sep_conv_3x3@1;"
            "skip_connect@0+sep_conv_3x3@1;skip_connect@0+dil_conv_3x3@2|"
            "max_pool_3x3@0+max_pool_3x3@1;max_pool_3x3@1+skip_connect@2;"
            "max_pool_3x3@0+skip_connect@2;max_pool_3x3@1+skip_connect@2"
        ),
        # Chen et al., "Progressive DARTS".
        "PDARTS": Genotype.from_string(
            "skip_connect@0+dil_conv_3x3@1;skip_connect@0+sep_conv_3x3@1;"
            "sep_conv_3x3@1+sep_conv_3x3@3;sep_conv_3x3@0+dil_conv_5x5@4|"
            "avg_pool_3x3@0+sep_conv_5x5@1;sep_conv_3x3@0+dil_conv_5x5@2;"
            "max_pool_3x3@0+dil_conv_3x3@1;dil_conv_3x3@1+dil_conv_5x5@3"
        ),
        # Xu et al., "PC-DARTS", searched on CIFAR-10.
        "PC_DARTS": Genotype.from_string(
            "skip_connect@0+sep_conv_3x3@1;sep_conv_3x3@0+dil_conv_3x3@1;"
            "sep_conv_5x5@0+sep_conv_3x3@1;avg_pool_3x3@0+dil_conv_3x3@1|"
            "max_pool_3x3@0+sep_conv_5x5@1;sep_conv_5x5@1+sep_conv_5x5@2;"
            "sep_conv_3x3@0+sep_conv_3x3@3;sep_conv_3x3@1+sep_conv_3x3@2"
        ),
    }
)
"""Published cells by name; the sources stand beside each.

>>> from nas_core import KNOWN_CELLS
>>> list(KNOWN_CELLS)
['DARTS_V1', 'DARTS_V2', 'PDARTS', 'PC_DARTS']
"""
