"""Random cells: keyed, different, uniform over operations and wirings."""

from __future__ import annotations

from collections import Counter

import pytest

from nas_core.cells.sampling import random_genotype_count, random_genotypes
from nas_core.cells.spaces import SPACES, space_operations
from nas_core.cells.topology import Topology
from nas_core.errors import InputError

CHAIN = Topology.from_index(179)


def test_the_first_of_more_cells_are_the_same_cells() -> None:
    many = random_genotypes(SPACES["SS1"], 12, seed=3)

    assert random_genotypes(SPACES["SS1"], 5, seed=3) == many[:5]
    assert random_genotypes(SPACES["SS1"][::-1], 12, seed=3) == many


def test_cells_depend_on_seed_space_and_wiring() -> None:
    drawn = [
        random_genotypes(SPACES["SS1"], 3, seed=0),
        random_genotypes(SPACES["SS1"], 3, seed=1),
        random_genotypes(SPACES["SS2"], 3, seed=0),
        random_genotypes(SPACES["SS1"], 3, seed=0, topology=CHAIN),
    ]

    assert len({cell for cells in drawn for cell in cells}) == 12


def test_a_drawn_cell_never_changes() -> None:
    free = random_genotypes(space_operations("all"), 1, seed=0)[0]
    fixed = random_genotypes(SPACES["SS3"], 1, seed=7, topology=CHAIN)[0]

    assert str(free) == (
        "sep_conv_5x5@0+dil_conv_5x5@1;dil_conv_5x5@1+sep_conv_5x5@2;"
        "max_pool_3x3@1+dil_conv_5x5@2;dil_conv_3x3@1+sep_conv_5x5@2|"
        "skip_connect@0+dil_conv_3x3@1;sep_conv_3x3@0+sep_conv_5x5@2;"
        "avg_pool_3x3@0+sep_conv_3x3@2;dil_conv_5x5@1+sep_conv_5x5@3"
    )
    assert str(fixed) == (
        "sep_conv_5x5@0+max_pool_3x3@1;sep_conv_3x3@1+skip_connect@2;"
        "sep_conv_3x3@2+sep_conv_5x5@3;skip_connect@3+sep_conv_5x5@4|"
        "sep_conv_5x5@0+sep_conv_5x5@1;sep_conv_5x5@1+max_pool_3x3@2;"
        "skip_connect@2+max_pool_3x3@3;sep_conv_5x5@3+max_pool_3x3@4"
    )


def test_both_cells_follow_a_given_wiring_or_each_its_own() -> None:
    other = Topology.from_index(17)

    for cell in random_genotypes(SPACES["SS7"], 10, seed=0, topology=CHAIN):
        assert (cell.normal.topology, cell.reduction.topology) == (CHAIN, CHAIN)
    for cell in random_genotypes(SPACES["SS7"], 10, seed=0, topology=(CHAIN, other)):
        assert (cell.normal.topology, cell.reduction.topology) == (CHAIN, other)


def test_operations_and_wirings_are_uniform_and_none_is_left_out() -> None:
    cells = random_genotypes(space_operations("all"), 1800, seed=0)

    operations = Counter(e.operation for c in cells for e in (*c.normal.edges, *c.reduction.edges))
    assert "none" not in operations
    # 28,800 draws: each of seven has 4,114 with an SD of 59.
    assert all(abs(times - 28800 / 7) < 5 * 59 for times in operations.values())
    wirings = Counter(w for c in cells for w in (c.normal.topology, c.reduction.topology))
    assert len(wirings) == 180
    # A chi-square of 179 degrees of freedom has an SD of 19.
    assert abs(sum((times - 20) ** 2 / 20 for times in wirings.values()) - 179) < 5 * 19


def test_all_cells_of_a_small_space_can_be_asked_for_and_no_more() -> None:
    few, one_node = ["none", "sep_conv_3x3", "skip_connect"], Topology(((0, 1),))

    assert random_genotype_count(few, topology=one_node) == 16
    assert len(set(random_genotypes(few, 16, seed=0, topology=one_node))) == 16
    with pytest.raises(
        InputError, match="skip_connect, sep_conv_3x3 on that wiring make 16 different"
    ):
        random_genotypes(few, 17, seed=0, topology=one_node)
    assert random_genotype_count(["sep_conv_3x3"], nodes=2) == 9
    assert len(random_genotypes(["sep_conv_3x3"], 9, seed=0, nodes=2)) == 9


@pytest.mark.parametrize(
    ("operations", "count", "said"),
    [
        (["sep_conv_9x9"], 1, "unknown operation 'sep_conv_9x9'"),
        (["none", "skip_connect"], 1, "needs a learnable operation"),
        (
            ["sep_conv_3x3"],
            0,
            "sep_conv_3x3 on any wiring make 32,400 different cells: ask for 1 to 32,400, not 0",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(operations: list[str], count: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        random_genotypes(operations, count, seed=0)
