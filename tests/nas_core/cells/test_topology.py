"""What topologies promise: which there are, their order, and which are one experiment.

Expected numbers are hand-computed, counted by independent code here, or taken from the facts that
the project keeps (`tests/facts/darts.json`); nothing here needs that file but one test.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import FrozenInstanceError
from itertools import pairwise, permutations
from math import factorial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.topology import (
    MAX_NODES,
    Topology,
    enumerate_topologies,
    isomorphism_classes,
    topology_count,
)
from nas_core.errors import InputError, TopoSweepError

FACTS = Path(__file__).resolve().parents[3] / "tests" / "facts" / "darts.json"

CLASSES_BY_NODES = {1: 1, 2: 3, 3: 13, 4: 79, 5: 633}
TOPOLOGIES_BY_NODES = {1: 1, 2: 3, 3: 18, 4: 180, 5: 2700, 6: 56_700}
LONGEST_PATH_COUNTS = {1: 1, 2: 63, 3: 92, 4: 24}

ALL_INPUTS = Topology(((0, 1), (0, 1), (0, 1), (0, 1)))
CHAIN = Topology(((0, 1), (1, 2), (2, 3), (3, 4)))


@st.composite
def wirings(draw: st.DrawFn, *, min_nodes: int = 1, max_nodes: int = 5) -> list[list[int]]:
    """Two different earlier predecessors for each node, in any order."""
    nodes = draw(st.integers(min_nodes, max_nodes))
    return [
        draw(st.lists(st.integers(0, node - 1), min_size=2, max_size=2, unique=True))
        for node in range(2, 2 + nodes)
    ]


def topology(wiring: list[list[int]]) -> Topology:
    return Topology(tuple((first, second) for first, second in wiring))


def graph_shape(pairs: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The smallest sorted edge list over all bijections of the intermediate nodes.

    Equal exactly for graphs that some renaming of intermediate nodes makes equal; unlike the code
    under test it tries every bijection, whether or not nodes stay after what they read.
    """
    nodes = range(2, 2 + len(pairs))
    shapes = []
    for names in permutations(nodes):
        name = {0: 0, 1: 1, **dict(zip(nodes, names, strict=True))}
        edges = [(name[s], name[n]) for n, pair in zip(nodes, pairs, strict=True) for s in pair]
        shapes.append(tuple(sorted(edges)))
    return min(shapes)


@pytest.mark.parametrize(("nodes", "count"), TOPOLOGIES_BY_NODES.items())
def test_count_is_the_product_of_pair_choices(nodes: int, count: int) -> None:
    assert topology_count(nodes) == count
    if nodes < MAX_NODES:
        assert len(enumerate_topologies(nodes)) == len(set(enumerate_topologies(nodes))) == count


def test_four_nodes_have_180_topologies_in_79_classes() -> None:
    assert len(enumerate_topologies()) == 180
    assert len(isomorphism_classes()) == 79


def test_indices_known_by_hand() -> None:
    # The last node's pair moves fastest: (0,1) (0,2) (0,3) (0,4) (1,2) ... (3,4).
    assert ALL_INPUTS.index == 0
    assert Topology(((0, 1), (0, 1), (0, 1), (0, 2))).index == 1
    assert Topology(((0, 1), (0, 1), (0, 1), (3, 4))).index == 9
    assert Topology(((0, 1), (0, 1), (0, 2), (0, 1))).index == 10
    assert Topology(((0, 1), (0, 2), (0, 1), (0, 1))).index == 60
    assert CHAIN.index == 179


@pytest.mark.parametrize("nodes", range(1, 6))
def test_enumeration_is_lexicographic_and_a_place_is_an_index(nodes: int) -> None:
    topologies = enumerate_topologies(nodes)

    assert all(before.pairs < after.pairs for before, after in pairwise(topologies))
    assert [each.index for each in topologies] == list(range(topology_count(nodes)))


@given(wirings())
def test_index_leads_back_to_the_topology(wiring: list[list[int]]) -> None:
    wired = topology(wiring)

    assert Topology.from_index(wired.index, wired.nodes) == wired


@given(wirings(min_nodes=4, max_nodes=4), wirings(min_nodes=4, max_nodes=4))
def test_order_of_indices_is_order_of_topologies(a: list[list[int]], b: list[list[int]]) -> None:
    assert (topology(a).index < topology(b).index) == (topology(a) < topology(b))


@given(wirings())
def test_edges_inside_a_node_have_no_order(wiring: list[list[int]]) -> None:
    swapped = [pair[::-1] for pair in wiring]

    assert topology(wiring) == topology(swapped)
    assert hash(topology(wiring)) == hash(topology(swapped))
    assert all(first < second for first, second in topology(swapped).pairs)


def test_topologies_cannot_change() -> None:
    with pytest.raises(FrozenInstanceError):
        CHAIN.pairs = ALL_INPUTS.pairs  # type: ignore[misc]


def test_topology_prints_its_predecessors() -> None:
    assert str(CHAIN) == "0,1 1,2 2,3 3,4"


def test_longest_paths_of_the_180_topologies() -> None:
    counts = Counter(each.longest_path for each in enumerate_topologies())

    assert dict(counts) == LONGEST_PATH_COUNTS


@pytest.mark.parametrize(
    ("pairs", "longest_path", "input_edges"),
    [
        (ALL_INPUTS.pairs, 1, 8),
        (CHAIN.pairs, 4, 3),  # node 2 reads both inputs, node 3 reads input 1
        (((0, 1), (0, 1), (0, 2), (0, 3)), 2, 6),
        (((0, 1), (0, 2), (1, 3), (0, 1)), 3, 6),
    ],
)
def test_longest_path_and_input_edges_by_hand(
    pairs: tuple[tuple[int, int], ...], longest_path: int, input_edges: int
) -> None:
    assert Topology(pairs).longest_path == longest_path
    assert Topology(pairs).input_edges == input_edges


@pytest.mark.parametrize(
    ("nodes", "classes"),
    [
        pytest.param(nodes, classes, marks=pytest.mark.slow if nodes > 4 else ())
        for nodes, classes in CLASSES_BY_NODES.items()
    ],
)
def test_classes_are_those_of_brute_force_over_all_renamings(nodes: int, classes: int) -> None:
    by_shape: defaultdict[object, list[Topology]] = defaultdict(list)
    for each in enumerate_topologies(nodes):  # in order of index, so classes come out ordered
        by_shape[graph_shape(each.pairs)].append(each)

    assert len(by_shape) == classes
    assert isomorphism_classes(nodes) == tuple(tuple(members) for members in by_shape.values())


def test_class_ids_are_ordered_by_the_smallest_member() -> None:
    smallest = [min(member.index for member in members) for members in isomorphism_classes()]

    assert smallest == sorted(smallest)
    for class_id, members in enumerate(isomorphism_classes()):
        assert {member.class_id for member in members} == {class_id}


def test_members_of_a_class_agree_in_what_renaming_cannot_change() -> None:
    for members in isomorphism_classes():
        assert len({(each.longest_path, each.input_edges) for each in members}) == 1


def test_inputs_stay_distinct() -> None:
    # Exchanging inputs 0 and 1 maps these onto each other; renaming nodes cannot.
    reads_0_twice = Topology(((0, 1), (0, 2)))
    reads_1_twice = Topology(((0, 1), (1, 2)))

    assert reads_0_twice.class_id != reads_1_twice.class_id


@given(wirings(max_nodes=4), st.data())
def test_renaming_stays_in_the_class(wiring: list[list[int]], data: st.DataObject) -> None:
    wired = topology(wiring)
    order = data.draw(st.sampled_from(sorted(wired.renamings())))

    assert wired.renamed(order).class_id == wired.class_id


def test_renaming_by_hand() -> None:
    # Old node 3 becomes node 2 and old node 2 becomes node 3; node 4 read 0 and old 3.
    wired = Topology(((0, 1), (0, 1), (0, 3), (2, 4)))

    assert wired.renamed((3, 2, 4, 5)) == Topology(((0, 1), (0, 1), (0, 2), (3, 4)))


def test_free_nodes_have_every_order_and_a_chain_has_one() -> None:
    assert sorted(ALL_INPUTS.renamings()) == sorted(permutations((2, 3, 4, 5)))
    assert len(set(ALL_INPUTS.renamings())) == factorial(4)
    assert list(CHAIN.renamings()) == [(2, 3, 4, 5)]


@pytest.mark.parametrize("order", [(2, 3, 4), (2, 3, 4, 4), (0, 1, 2, 3), (3, 2, 4, 5)])
def test_renaming_refuses_what_is_no_order_of_the_nodes(order: tuple[int, ...]) -> None:
    with pytest.raises(InputError):  # in the last, node 3 would come before node 2, which it reads
        CHAIN.renamed(order)


@pytest.mark.parametrize(
    ("pairs", "node"),
    [
        (((0, 0),), 2),
        (((0, 2),), 2),
        (((0, 1), (1, 3)), 3),
        (((-1, 1),), 2),
        (((0, 1), (0, 1), (0,)), 4),
        (((0, 1), (0, 1, 2)), 3),
        (((0, 1), (0, 1, 1)), 3),
    ],
)
def test_a_bad_pair_is_refused_with_its_node(pairs: tuple[tuple[int, int], ...], node: int) -> None:
    with pytest.raises(InputError, match=rf"node {node} .* 0\.\.{node - 1}, got \["):
        Topology(pairs)


@pytest.mark.parametrize("nodes", [0, MAX_NODES + 1])
def test_a_cell_has_one_to_six_nodes(nodes: int) -> None:
    pairs = tuple((0, 1) for _ in range(nodes))
    with pytest.raises(InputError, match=f"1 to 6 .*{nodes}"):
        Topology(pairs)
    with pytest.raises(InputError, match=f"1 to 6, got {nodes}"):
        enumerate_topologies(nodes)
    with pytest.raises(InputError, match=f"1 to 6, got {nodes}"):
        topology_count(nodes)


@pytest.mark.parametrize("index", [-1, 180])
def test_an_index_outside_the_enumeration_is_refused(index: int) -> None:
    with pytest.raises(TopoSweepError, match=rf"no topology {index}: .* 0\.\.179"):
        Topology.from_index(index)


def test_numbers_above_are_those_of_the_facts() -> None:
    facts = json.loads(FACTS.read_text())["topologies"]

    def with_int_keys(counts: dict[str, int]) -> dict[int, int]:
        return {int(key): count for key, count in counts.items()}

    assert facts["count"] == len(enumerate_topologies())
    assert facts["classes"] == len(isomorphism_classes())
    assert with_int_keys(facts["classes_by_intermediate_nodes"]) == CLASSES_BY_NODES
    assert with_int_keys(facts["longest_path_counts"]) == LONGEST_PATH_COUNTS
    assert facts["pairs"] == topology_count() ** 2
    assert facts["class_pairs"] == CLASSES_BY_NODES[4] ** 2
