"""What drawings of cells promise: every edge with its operation, and nothing on top of another."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.transforms import Affine2D

from nas_core.cells.genotype import KNOWN_CELLS, OPERATION_NAMES, CellEdges, Edge, Genotype
from nas_core.cells.spaces import SPACES
from nas_core.cells.topology import Topology
from tests.topo_sweep.plots.figure_checks import unreadable, words
from topo_sweep.plots.cell_drawing import OUTPUT, Drawing
from topo_sweep.plots.cells import cell, place_cell, place_supernet, supernet
from topo_sweep.plots.operations import STYLES

FULL = [(source, node) for node in range(2, 6) for source in range(node)]


@st.composite
def cells(draw: st.DrawFn) -> CellEdges:
    """Any cell of one to six nodes."""
    operations = st.sampled_from(OPERATION_NAMES[1:])
    nodes = []
    for node in range(2, 3 + draw(st.integers(0, 5))):
        first, second = draw(st.sampled_from(list(itertools.combinations(range(node), 2))))
        nodes.append((Edge(first, draw(operations)), Edge(second, draw(operations))))
    return CellEdges(tuple(nodes))


def collisions(drawing: Drawing) -> list[tuple[Any, Any]]:
    """Return parts that touch each other, and links that run through a part not their own."""
    boxes = {}
    for part, (width, height) in drawing.sizes.items():
        x, y = drawing.centre(part)
        boxes[part] = (x - width / 2, x + width / 2, y - height / 2, y + height / 2)
    colliding: list[tuple[Any, Any]] = [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(boxes.items(), 2)
        if a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]
    ]
    enlarged = Affine2D().scale(200)  # so that curves become many short lines
    for link in drawing.routes:
        polygons: Any = drawing.path(link).transformed(enlarged).to_polygons(closed_only=False)
        (line,) = polygons
        for part, (left, right, low, high) in boxes.items():
            if part not in link and any(
                left < x / 200 < right and low < y / 200 < high for x, y in line
            ):
                colliding.append((link, part))
    return colliding


def drawn_links(axes: Axes) -> dict[str, PathPatch]:
    return {str(p.get_gid()): p for p in axes.patches if isinstance(p, PathPatch)}


def box_labels(axes: Axes) -> Counter[str]:
    return Counter(text.get_text() for text in axes.texts)


# The layout


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(cells())
def test_no_part_touches_another_and_no_edge_runs_through_a_part(edges: CellEdges) -> None:
    assert collisions(place_cell(edges)) == []


def test_a_collision_would_be_noticed() -> None:
    drawing = place_cell(KNOWN_CELLS["DARTS_V2"].normal)
    drawing.y[3] = drawing.y[2]
    assert (2, 3) in collisions(drawing)


def test_sources_stand_left_of_what_they_feed() -> None:
    drawing = place_cell(KNOWN_CELLS["PDARTS"].normal)
    for source, target in drawing.routes:
        assert drawing.layers[source] < drawing.layers[target]
    assert list(drawing.x) == sorted(drawing.x)


# A cell


@pytest.mark.parametrize("name", KNOWN_CELLS)
def test_every_edge_is_drawn_in_the_colour_of_its_operation_and_labelled(name: str) -> None:
    genotype = KNOWN_CELLS[name]
    figure = cell(genotype, name=name)

    for axes, edges in zip(figure.axes, (genotype.normal, genotype.reduction), strict=True):
        links = drawn_links(axes)
        for node, pair in enumerate(edges.nodes, 2):
            for edge in pair:
                label = (edge.source, node)
                for part in (f"{edge.source} to {label}", f"{label} to {node}"):
                    assert to_hex(links.pop(part).get_edgecolor()) == STYLES[edge.operation].colour
        assert set(links) == {f"{node} to {OUTPUT}" for node in range(2, 6)}
        expected = Counter(STYLES[edge.operation].label for edge in edges.edges)
        expected += Counter(["0: $c_{k-2}$", "1: $c_{k-1}$", "2", "3", "4", "5", "output"])
        assert box_labels(axes) == expected


def test_a_label_stands_on_the_edge_that_it_names() -> None:
    edges = KNOWN_CELLS["DARTS_V2"].normal
    (axes, _) = cell(KNOWN_CELLS["DARTS_V2"]).axes
    drawing = place_cell(edges)

    for node, pair in enumerate(edges.nodes, 2):
        for edge in pair:
            label = (edge.source, node)
            centre = pytest.approx(drawing.centre(label))
            (text,) = [t for t in axes.texts if t.get_position() == centre]
            assert text.get_text() == STYLES[edge.operation].label


def test_the_title_names_the_cell_and_counts_its_operations() -> None:
    said = words(cell(KNOWN_CELLS["DARTS_V2"], name="DARTS_V2"))
    assert "DARTS_V2" in said
    assert "normal cell: 5 sep 3x3, 2 skip, 1 dil 3x3" in said
    assert "reduction cell: 5 max 3x3, 3 skip" in said


@pytest.mark.slow
@settings(deadline=None, max_examples=4)
@given(cells())
def test_all_texts_of_any_cell_can_be_read(edges: CellEdges) -> None:
    assert unreadable(cell(Genotype(edges, edges), name="any")) == []


# The search cell


def bundles(axes: Axes) -> dict[str, list[str]]:
    """Return the operations drawn on each edge, from top to bottom; 'None' is an edge gone."""
    operations: dict[str, list[str]] = {}
    for gid in drawn_links(axes):
        link, _, name = gid.partition(": ")
        operations.setdefault(link, []).append(name)
    return operations


def test_before_all_edges_carry_all_operations_and_after_only_those_that_stay() -> None:
    topology = Topology.from_index(93)
    figure = supernet(topology=topology, operations=SPACES["SS3"])
    before, after = (bundles(axes) for axes in figure.axes)

    assert before == {f"{a} to {b}": list(OPERATION_NAMES) for a, b in FULL}
    stay = {f"{a} to {node}" for node, pair in enumerate(topology.pairs, 2) for a in pair}
    assert {link for link, names in after.items() if names == list(SPACES["SS3"])} == stay
    assert {link for link, names in after.items() if names == ["None"]} == set(before) - stay


def test_edges_operations_and_candidates_are_counted() -> None:
    said = words(supernet(topology=Topology.from_index(93), operations=SPACES["SS3"]))
    assert "14 edges x 8 operations = 112 candidate operations" in said
    assert "after: topology 93 (0,1 0,2 1,2 0,4)" in said
    assert "8 edges x 5 operations = 40 candidate operations" in said


def test_without_a_topology_all_edges_stay() -> None:
    figure = supernet(topology=None, operations=SPACES["SS1"])
    assert set(bundles(figure.axes[1])) == set(bundles(figure.axes[0]))
    assert "14 edges x 5 operations = 70" in words(figure)
    assert "edge taken away" not in words(figure)


def test_the_curves_of_a_bundle_are_parallel_and_bundles_apart() -> None:
    drawing = place_supernet(8)
    assert collisions(drawing) == []
    for part, end in itertools.product(drawing.layers, (0, 1)):
        ports = sorted(drawing.port(part, link) for link in FULL if link[end] == part)
        assert all(b - a >= drawing.through for a, b in itertools.pairwise(ports))


def test_each_curve_has_the_colour_of_its_operation_and_the_legend_says_which() -> None:
    figure = supernet(topology=Topology.from_index(0), operations=OPERATION_NAMES)
    for gid, patch in drawn_links(figure.axes[0]).items():
        assert to_hex(patch.get_edgecolor()) == STYLES[gid.partition(": ")[2]].colour
    assert legend_colours(figure) == {
        STYLES[name].label: STYLES[name].colour for name in OPERATION_NAMES
    }


def legend_colours(figure: Figure) -> dict[str, str]:
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    colours = [to_hex(line.get_color()) for line in legend.get_lines()]
    shown = dict(zip(names, colours, strict=True))
    del shown["edge taken away"]
    return shown


@pytest.mark.slow
@pytest.mark.parametrize("index", [None, 0, 179])
def test_all_texts_can_be_read(index: int | None) -> None:
    topology = None if index is None else Topology.from_index(index)
    assert unreadable(supernet(topology=topology, operations=OPERATION_NAMES)) == []
