"""How operations and search spaces are called and drawn."""

from __future__ import annotations

import pytest

from nas_core.cells.genotype import OPERATION_NAMES, CellEdges
from nas_core.cells.topology import Topology
from topo_sweep.plots.operations import STYLES, edge_operations, space_label


def test_every_operation_has_a_name_and_a_look_of_its_own() -> None:
    assert set(STYLES) == set(OPERATION_NAMES)
    assert len({style.label for style in STYLES.values()}) == len(STYLES)
    assert len({style.colour for style in STYLES.values()}) == len(STYLES)


def test_edges_are_named_by_source_and_node() -> None:
    cell = CellEdges.uniform(Topology(((0, 1), (1, 2))), "skip_connect")

    assert edge_operations(cell) == dict.fromkeys([(0, 2), (1, 2), (1, 3), (2, 3)], "skip_connect")


@pytest.mark.parametrize(
    ("operations", "short"),
    [
        ("none,max_pool_3x3,skip_connect,sep_conv_3x3,dil_conv_5x5", "sep3 dil5"),
        ("none,avg_pool_3x3,skip_connect,sep_conv_5x5", "sep5 avg"),
        ("none,max_pool_3x3,avg_pool_3x3,skip_connect,dil_conv_3x3", "dil3"),
    ],
)
def test_of_a_space_what_is_learnt_is_said_and_average_pooling_where_max_is_not(
    operations: str, short: str
) -> None:
    assert space_label("SS9", operations) == f"SS9 {short}"
    assert space_label("SS9", operations, between="\n") == f"SS9\n{short}"
    assert space_label("none+skip_connect", operations) == short
    assert space_label("all", operations) == "all eight operations"
