"""From weights to a genotype, checked by trying every pair of predecessors and operations."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_core.cells.discretisation import (
    EdgeWeights,
    discretise_cell,
    discretise_edges,
    narrowed,
    skip_count,
)
from nas_core.cells.genotype import OPERATION_NAMES, CellEdges, Edge
from nas_core.cells.topology import Topology
from nas_core.errors import InputError

SKIP, SEP, MAX = "skip_connect", "sep_conv_3x3", "max_pool_3x3"
PRIMES = (113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191)
"""More than the 112 weights of a cell, so that no two products of both are equal."""
# A cell has 112 weights to draw, which is slow.
few = settings(max_examples=30)
WIRES = [(source, node) for node in range(2, 6) for source in range(node)]


@st.composite
def cells(draw: st.DrawFn, *, normalised: bool = False) -> list[EdgeWeights]:
    """Return the 14 edges of a cell, all weights different, in any order."""
    count = len(WIRES) * len(OPERATION_NAMES)
    numbers = draw(st.permutations(range(1, count + 1)))
    rows = [numbers[8 * row : 8 * row + 8] for row in range(len(WIRES))]
    shares = draw(st.permutations(PRIMES)) if normalised else PRIMES
    edges = [
        EdgeWeights(
            source,
            node,
            {name: n / 1000 for name, n in zip(OPERATION_NAMES, row, strict=True)},
            share / 200 if normalised else 1.0,
        )
        for (source, node), row, share in zip(WIRES, rows, shares, strict=True)
    ]
    return draw(st.permutations(edges))


def heaviest(edges: list[EdgeWeights]) -> tuple[tuple[Edge, Edge], ...]:
    """Try everything: the heaviest pair of operations but none on two edges of each node."""
    nodes = []
    for node in range(2, 6):
        single = [
            (weight * edge.edge_weight, Edge(edge.source, name))
            for edge in edges
            if edge.node == node
            for name, weight in edge.weights.items()
            if name != "none"
        ]
        pairs = [
            (one[0] + two[0], tuple(sorted((one[1], two[1]))))
            for one, two in itertools.combinations(single, 2)
            if one[1].source != two[1].source
        ]
        first, second = max(pairs)[1]
        nodes.append((first, second))
    return tuple(nodes)


@few
@given(cells())
def test_each_node_gets_its_heaviest_pair_of_edges_and_operations(edges: list[EdgeWeights]) -> None:
    assert discretise_cell(edges).nodes == heaviest(edges)


@few
@given(cells(normalised=True))
def test_where_edges_are_normalised_their_weights_count(edges: list[EdgeWeights]) -> None:
    assert discretise_cell(edges).nodes == heaviest(edges)


def test_an_edges_weight_can_decide() -> None:
    weights = {SKIP: 0.4, SEP: 0.6}
    shares = {0: 0.5, 1: 0.1, 2: 0.4, 3: 0.3}
    edges = [EdgeWeights(source, node, weights, shares.get(source, 0.2)) for source, node in WIRES]
    assert discretise_cell(edges).topology.pairs == ((0, 1), (0, 2), (0, 2), (0, 2))


@few
@given(cells())
def test_none_is_never_chosen_though_it_is_the_strongest(edges: list[EdgeWeights]) -> None:
    dominated = [
        EdgeWeights(edge.source, edge.node, dict(edge.weights) | {"none": 0.99}) for edge in edges
    ]
    assert discretise_cell(dominated) == discretise_cell(edges)
    assert all(edge.operation != "none" for edge in discretise_cell(dominated).edges)


def test_none_does_not_make_an_edge_strong() -> None:
    strong = {"none": 0.1, SEP: 0.9}
    edges = [
        EdgeWeights(source, node, {"none": 0.8, SEP: 0.2} if source == 0 else strong)
        for source, node in WIRES
    ]
    assert discretise_cell(edges).topology.pairs == ((0, 1), (1, 2), (1, 2), (1, 2))


def test_ties_go_to_lower_sources_and_to_the_first_operation() -> None:
    equal = dict.fromkeys(OPERATION_NAMES, 0.125)
    edges = [EdgeWeights(source, node, equal) for source, node in reversed(WIRES)]
    assert discretise_cell(edges) == CellEdges.uniform(Topology.from_index(0), MAX)


@few
@given(cells(), st.integers(0, 179))
def test_a_fixed_topology_keeps_its_edges_and_only_operations_are_chosen(
    edges: list[EdgeWeights], index: int
) -> None:
    topology = Topology.from_index(index)
    along = [edge for edge in edges if edge.source in topology.pairs[edge.node - 2]]
    cell = discretise_cell(along)
    assert cell.topology == topology
    weights = {(edge.source, edge.node): edge.weights for edge in along}
    for node, pair in enumerate(cell.nodes, 2):
        for edge in pair:
            learnt = {n: w for n, w in weights[edge.source, node].items() if n != "none"}
            assert learnt[edge.operation] == max(learnt.values())


@few
@given(cells(), st.integers(0, 8))
def test_there_are_never_more_skips_than_the_limit(edges: list[EdgeWeights], limit: int) -> None:
    skippy = [
        EdgeWeights(e.source, e.node, dict(e.weights) | {SKIP: e.weights[SKIP] + 0.09})
        for e in edges
    ]  # mostly stronger than the others, not always
    free, limited = discretise_cell(skippy), discretise_cell(skippy, max_skips=limit)
    assert skip_count(limited) <= limit
    if skip_count(free) <= limit:
        assert limited == free


@few
@given(cells(), st.integers(0, 179), st.integers(0, 8))
def test_along_a_fixed_topology_the_strongest_skips_stay_and_others_get_their_second_choice(
    edges: list[EdgeWeights], index: int, limit: int
) -> None:
    topology = Topology.from_index(index)
    along = [
        EdgeWeights(e.source, e.node, dict(e.weights) | {SKIP: e.weights[SKIP] + 1.0})
        for e in edges
        if e.source in topology.pairs[e.node - 2]
    ]
    assert skip_count(discretise_cell(along)) == 8
    cell = discretise_cell(along, max_skips=limit)

    by_strength = sorted(along, key=lambda edge: -edge.weights[SKIP])
    expected = {}
    for rank, edge in enumerate(by_strength):
        others = {n: w for n, w in edge.weights.items() if n not in ("none", SKIP)}
        second = max(others, key=lambda name: others[name])
        expected[edge.source, edge.node] = SKIP if rank < limit else second
    operations = {
        (edge.source, node): edge.operation
        for node, pair in enumerate(cell.nodes, 2)
        for edge in pair
    }
    assert operations == expected


def test_an_edge_that_loses_its_skip_may_lose_its_place() -> None:
    # Node 5 prefers a skip from 4; without it, the edge from 3 is stronger.
    weights = {edge: {SKIP: 0.1, SEP: 0.2} for edge in WIRES}
    weights |= {(0, 5): {SKIP: 0.1, SEP: 0.5}, (3, 5): {SKIP: 0.1, SEP: 0.4}}
    weights |= {(4, 5): {SKIP: 0.6, SEP: 0.3}, (0, 2): {SKIP: 0.7, SEP: 0.2}}
    edges = [EdgeWeights(*edge, weights[edge]) for edge in WIRES]

    free, limited = discretise_cell(edges), discretise_cell(edges, max_skips=1)
    assert free.nodes[3] == (Edge(0, SEP), Edge(4, SKIP))
    assert limited.nodes[3] == (Edge(0, SEP), Edge(3, SEP))
    assert limited.nodes[0] == (Edge(0, SKIP), Edge(1, SEP)), "the stronger skip stays"


def test_a_skip_that_nothing_can_replace_is_an_error() -> None:
    topology = Topology.from_index(17)
    along = [
        EdgeWeights(source, node, {"none": 0.5, SKIP: 0.5})
        for node, pair in enumerate(topology.pairs, 2)
        for source in pair
    ]
    assert skip_count(discretise_cell(along, max_skips=8)) == 8
    with pytest.raises(InputError, match="node 2 needs two edges to choose from, got 1"):
        discretise_cell(along, max_skips=7)


def test_the_limit_holds_for_the_normal_cell_alone() -> None:
    edges = [EdgeWeights(source, node, {SKIP: 0.6, SEP: 0.4}) for source, node in WIRES]
    genotype = discretise_edges(edges, edges, max_skips=2)
    assert skip_count(genotype.normal) == 2
    assert skip_count(genotype.reduction) == 8


@few
@given(cells(), st.integers(1, 8))
def test_narrowing_keeps_the_strongest_operations_and_none_competes(
    edges: list[EdgeWeights], keep: int
) -> None:
    kept = narrowed(edges, keep)
    assert set(kept) == set(WIRES)
    for edge in edges:
        names = kept[edge.source, edge.node]
        assert len(names) == keep
        assert list(names) == sorted(names, key=OPERATION_NAMES.index)
        dropped = set(OPERATION_NAMES) - set(names)
        weakest_kept = min(edge.weights[name] for name in names)
        assert all(edge.weights[name] < weakest_kept for name in dropped)


def test_narrowing_can_keep_and_can_drop_none() -> None:
    strong = EdgeWeights(0, 2, {"none": 0.6, MAX: 0.1, SKIP: 0.3})
    weak = EdgeWeights(1, 2, {"none": 0.1, MAX: 0.3, SKIP: 0.6})
    assert narrowed([strong, weak], 2) == {(0, 2): ("none", SKIP), (1, 2): (MAX, SKIP)}


@few
@given(cells(normalised=True))
def test_weights_survive_json(edges: list[EdgeWeights]) -> None:
    assert [EdgeWeights.from_json_value(edge.to_json_value()) for edge in edges] == edges
    assert "edge_weight" not in EdgeWeights(0, 2, {SKIP: 1.0}).to_json_value()
