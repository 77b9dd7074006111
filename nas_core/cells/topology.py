"""Wirings of a cell: enumeration, lexicographic index and classes under renaming of nodes.

A cell has inputs 0 and 1 and intermediate nodes 2, 3, ...; each intermediate node reads two
different earlier ones. Operations live in `cells/genotype.py`; nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations, product
from math import comb, prod

from nas_core.errors import InputError

Pair = tuple[int, int]

INPUTS = 2
MAX_NODES = 6  # 56,700 topologies; 7 would be 1.6 million, which nobody trains


@dataclass(frozen=True, order=True)
class Topology:
    """Which two predecessors each intermediate node reads.

    Args:
        pairs: for node 2, 3, ... its two different predecessors; stored sorted.

    Raises:
        InputError: a node without exactly two different earlier predecessors.

    >>> from nas_core import Topology
    >>> chain = Topology(((0, 1), (1, 2), (2, 3), (3, 4)))
    >>> (chain.index, chain.class_id, chain.longest_path)
    (179, 78, 4)
    >>> print(Topology.from_index(100))
    0,1 0,2 1,3 0,1

    """

    pairs: tuple[Pair, ...]

    def __post_init__(self) -> None:
        """Sort the edges of each node, so that equal wirings compare equal."""
        if not 1 <= len(self.pairs) <= MAX_NODES:
            raise InputError(
                f"a topology has 1 to {MAX_NODES} intermediate nodes, got {len(self.pairs)}"
            )
        checked = tuple(_checked_pair(node, pair) for node, pair in enumerate(self.pairs, INPUTS))
        object.__setattr__(self, "pairs", checked)

    @classmethod
    def from_index(cls, index: int, nodes: int = 4) -> Topology:
        """Return the topology with this lexicographic rank, 0 <= index < topology_count(nodes)."""
        count = topology_count(nodes)
        if not 0 <= index < count:
            raise InputError(
                f"there is no topology {index}: {nodes} nodes have topologies 0..{count - 1}"
            )
        return enumerate_topologies(nodes)[index]

    @cached_property
    def index(self) -> int:
        """Lexicographic rank among all topologies with this number of nodes."""
        rank = 0
        for node, (first, second) in enumerate(self.pairs, INPUTS):
            before = sum(node - 1 - i for i in range(first)) + (second - first - 1)
            rank = rank * comb(node, 2) + before
        return rank

    @property
    def nodes(self) -> int:
        """Number of intermediate nodes."""
        return len(self.pairs)

    @cached_property
    def longest_path(self) -> int:
        """Edges on the longest path from an input to an intermediate node (1..nodes)."""
        depth = [0] * INPUTS
        for pair in self.pairs:
            depth.append(1 + max(depth[source] for source in pair))
        return max(depth)

    @property
    def input_edges(self) -> int:
        """Number of edges that read input 0 or input 1."""
        return sum(source < INPUTS for pair in self.pairs for source in pair)

    @property
    def class_id(self) -> int:
        """Number of this topology's class; classes are ordered by their smallest member."""
        return _class_ids(self.nodes)[self]

    def renamed(self, order: Sequence[int]) -> Topology:
        """Return the same wiring with its intermediate nodes renamed.

        Args:
            order: the old names of the nodes in their new order, a permutation of 2, 3, ... in
                which every node comes after the nodes that it reads.

        """
        if sorted(order) != list(range(INPUTS, INPUTS + self.nodes)):
            raise InputError(f"{list(order)} is no order of the nodes of a {self.nodes}-node cell")
        new_name = {0: 0, 1: 1} | {old: new for new, old in enumerate(order, INPUTS)}
        moved = (self.pairs[old - INPUTS] for old in order)
        return Topology(tuple((new_name[first], new_name[second]) for first, second in moved))

    def renamings(self) -> Iterator[tuple[int, ...]]:
        """Yield every order that `renamed` takes: the linear extensions of the cell's DAG."""

        def extend(placed: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
            if len(placed) == self.nodes:
                yield placed
            for node, pair in enumerate(self.pairs, INPUTS):
                ready = all(source < INPUTS or source in placed for source in pair)
                if ready and node not in placed:
                    yield from extend((*placed, node))

        return extend(())

    def __str__(self) -> str:
        """Return the predecessors of node 2, 3, ..., as in '0,1 0,2 1,3 0,4'."""
        return " ".join(f"{first},{second}" for first, second in self.pairs)


def topology_count(nodes: int = 4) -> int:
    """Return the number of topologies: 1 * 3 * 6 * 10 = 180 for four nodes."""
    _check_nodes(nodes)
    return prod(comb(node, 2) for node in range(INPUTS, INPUTS + nodes))


@cache
def enumerate_topologies(nodes: int = 4) -> tuple[Topology, ...]:
    """Return all topologies in lexicographic order, in which each is at its `index`.

    Raises:
        InputError: fewer than 1 or more than `MAX_NODES` intermediate nodes.

    >>> from nas_core import enumerate_topologies
    >>> len(enumerate_topologies())
    180
    >>> print(enumerate_topologies()[0])
    0,1 0,1 0,1 0,1

    """
    _check_nodes(nodes)
    choices = [combinations(range(node), 2) for node in range(INPUTS, INPUTS + nodes)]
    return tuple(Topology(pairs) for pairs in product(*choices))


@cache
def isomorphism_classes(nodes: int = 4) -> tuple[tuple[Topology, ...], ...]:
    """Return the classes of topologies equal up to renaming of intermediate nodes.

    Inputs 0 and 1 stay distinct. Classes are ordered by their smallest member's index, members
    by theirs. Renaming only permutes the channels of the cell's output, so all members of a
    class are the same random experiment.

    Raises:
        InputError: fewer than 1 or more than `MAX_NODES` intermediate nodes.

    >>> from nas_core import isomorphism_classes
    >>> [len(isomorphism_classes(nodes)) for nodes in (1, 2, 3, 4)]
    [1, 3, 13, 79]
    >>> [topology.index for topology in isomorphism_classes()[1]]
    [1, 2, 3, 10, 20, 60]

    """
    classes: list[tuple[Topology, ...]] = []
    seen: set[Topology] = set()
    for topology in enumerate_topologies(nodes):
        if topology not in seen:
            members = {topology.renamed(order) for order in topology.renamings()}
            classes.append(tuple(sorted(members)))
            seen |= members
    return tuple(classes)


@cache
def _class_ids(nodes: int) -> dict[Topology, int]:
    """Return the class of each topology."""
    return {
        member: class_id
        for class_id, members in enumerate(isomorphism_classes(nodes))
        for member in members
    }


def _check_nodes(nodes: int) -> None:
    if not 1 <= nodes <= MAX_NODES:
        raise InputError(f"the number of intermediate nodes is 1 to {MAX_NODES}, got {nodes}")


def _checked_pair(node: int, pair: Iterable[int]) -> Pair:
    sources = tuple(sorted(pair))
    if len(sources) != 2 or not 0 <= sources[0] < sources[1] < node:
        raise InputError(
            f"node {node} reads two different predecessors of 0..{node - 1}, got {list(pair)}"
        )
    return sources[0], sources[1]
