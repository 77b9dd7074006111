"""Random cells: what a searched cell is compared with. Nothing here imports torch.

As every random number of this project, a cell has a key and no place in a sequence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.spaces import canonical_operations
from nas_core.cells.topology import Topology, topology_count
from nas_core.errors import InputError

Wiring = Topology | tuple[Topology, Topology]
"""The wiring of both cells, or that of the normal and that of the reduction cell."""


def random_genotypes(
    operations: Sequence[str],
    count: int,
    *,
    seed: int,
    topology: Wiring | None = None,
    nodes: int = 4,
) -> tuple[Genotype, ...]:
    """Return different random cells; the first n of more are the same n.

    Args:
        operations: those of the space, in any order. Each edge has one of them with equal
            probability; `none` is left out, as a found cell never has it.
        count: how many cells.
        seed: names the draws.
        topology: the wiring of all cells. None draws one for each cell, two different predecessors
            a node, each topology with equal probability.
        nodes: intermediate nodes of a cell whose wiring is drawn.

    Raises:
        InputError: operations that are no search space, or a count below 1 or above the number of
            different cells.

    >>> from nas_core.cells.sampling import random_genotypes
    >>> from nas_core.cells.topology import Topology
    >>> chain = Topology(((0, 1), (1, 2)))
    >>> (cell,) = random_genotypes(["skip_connect", "sep_conv_3x3"], 1, seed=0, topology=chain)
    >>> print(cell.normal)
    skip_connect@0+sep_conv_3x3@1;skip_connect@1+sep_conv_3x3@2

    """
    drawn_from = tuple(name for name in canonical_operations(operations) if name != "none")
    wirings = topology if isinstance(topology, tuple) else (topology, topology)
    different = random_genotype_count(drawn_from, topology=topology, nodes=nodes)
    if not 1 <= count <= different:
        where = "that wiring" if topology else "any wiring"
        raise InputError(
            f"{', '.join(drawn_from)} on {where} make {different:,} different "
            f"cell{'' if different == 1 else 's'}: ask for 1 to {different:,}, not {count}"
        )
    along = nodes if topology is None else [str(wiring) for wiring in wirings]
    cells: dict[Genotype, None] = {}
    attempt = 0
    while len(cells) < count:
        key = ["random cell", seed, *drawn_from, along, attempt]
        draw = _Draw(int(hashlib.sha256(json.dumps(key).encode()).hexdigest(), 16))
        cells[Genotype(*(draw.cell(wiring, drawn_from, nodes) for wiring in wirings))] = None
        attempt += 1
    return tuple(cells)


def random_genotype_count(
    operations: Iterable[str], *, topology: Wiring | None = None, nodes: int = 4
) -> int:
    """Return how many different cells `random_genotypes` can give."""
    choices = len(set(operations) - {"none"})
    normal = topology[0] if isinstance(topology, tuple) else topology
    edges = 2 * (normal.nodes if normal else nodes)
    return (choices**edges * (1 if topology else topology_count(nodes))) ** 2


class _Draw:
    """The digits of a random number of 256 bits, each to a base of its own.

    The largest cells use about 100 bits, so no digit is noticeably more likely than another.
    """

    def __init__(self, number: int) -> None:
        self._rest = number

    def below(self, base: int) -> int:
        """Return the next digit, from 0 to `base` - 1."""
        self._rest, digit = divmod(self._rest, base)
        return digit

    def cell(self, wiring: Topology | None, operations: Sequence[str], nodes: int) -> CellEdges:
        """Return a random cell, along a wiring or along a random one."""
        drawn = wiring or Topology.from_index(self.below(topology_count(nodes)), nodes)
        return CellEdges.from_pairs(
            (operations[self.below(len(operations))], source)
            for pair in drawn.pairs
            for source in pair
        )
