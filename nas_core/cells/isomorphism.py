"""Cells that are equal up to renamed nodes, operations included. No torch.

Renaming only permutes the channels of a cell's output, which the next 1x1 convolution absorbs: such
cells are the same random experiment. Classes of wirings alone are in `topology.py`.
"""

from __future__ import annotations

from functools import lru_cache

from nas_core.cells.genotype import CellEdges, Edge, Genotype
from nas_core.cells.topology import INPUTS


@lru_cache(maxsize=2**16)
def smallest_renaming(cell: CellEdges) -> CellEdges:
    """Return that of the cells equal up to renamed nodes whose text is the smallest."""
    return min((_renamed(cell, order) for order in cell.topology.renamings()), key=str)


def class_key(genotype: Genotype) -> str:
    """Return a text that two genotypes share exactly if both cells are equal up to renaming."""
    return f"{smallest_renaming(genotype.normal)}|{smallest_renaming(genotype.reduction)}"


def _renamed(cell: CellEdges, order: tuple[int, ...]) -> CellEdges:
    """Return the cell with its nodes in another order, see `Topology.renamed`."""
    new_name = {0: 0, 1: 1} | {old: new for new, old in enumerate(order, INPUTS)}
    nodes = []
    for old in order:
        first, second = cell.nodes[old - INPUTS]
        edges = [Edge(new_name[edge.source], edge.operation) for edge in (first, second)]
        nodes.append((edges[0], edges[1]))
    return CellEdges(tuple(nodes))
