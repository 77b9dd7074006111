"""Cells that are equal up to renamed nodes have one key, and others have not."""

from __future__ import annotations

import pytest

from nas_core.cells.genotype import KNOWN_CELLS, CellEdges, Genotype
from nas_core.cells.isomorphism import class_key, smallest_renaming
from nas_core.cells.topology import enumerate_topologies

OTHER = CellEdges.uniform(enumerate_topologies()[0], "max_pool_3x3")


def uniform_keys(nodes: int) -> dict[str, set[int]]:
    keys: dict[str, set[int]] = {}
    for topology in enumerate_topologies(nodes):
        cell = CellEdges.uniform(topology, "sep_conv_3x3")
        keys.setdefault(str(smallest_renaming(cell)), set()).add(topology.class_id)
    return keys


@pytest.mark.parametrize(("nodes", "classes"), [(1, 1), (2, 3), (3, 13), (4, 79)])
def test_cells_of_one_operation_have_the_classes_of_their_wirings(nodes: int, classes: int) -> None:
    keys = uniform_keys(nodes)

    assert len(keys) == classes
    assert all(len(class_ids) == 1 for class_ids in keys.values())


def test_operations_move_with_their_nodes() -> None:
    swapped = Genotype.from_string(
        "sep_conv_3x3@0+sep_conv_5x5@1;skip_connect@0+max_pool_3x3@1|"
        "sep_conv_3x3@0+sep_conv_3x3@1;skip_connect@2+max_pool_3x3@0"
    )
    same = Genotype.from_string(
        "skip_connect@0+max_pool_3x3@1;sep_conv_3x3@0+sep_conv_5x5@1|"
        "sep_conv_3x3@0+sep_conv_3x3@1;skip_connect@2+max_pool_3x3@0"
    )
    other = Genotype.from_string(
        "skip_connect@0+max_pool_3x3@1;sep_conv_5x5@0+sep_conv_3x3@1|"
        "sep_conv_3x3@0+sep_conv_3x3@1;skip_connect@2+max_pool_3x3@0"
    )
    assert class_key(swapped) == class_key(same) != class_key(other)


def test_the_key_of_a_cell_is_a_cell_of_its_own_class() -> None:
    for genotype in KNOWN_CELLS.values():
        key = Genotype.from_string(class_key(genotype))
        assert class_key(key) == class_key(genotype) == str(key)
        assert key.normal.topology.class_id == genotype.normal.topology.class_id
