"""What genotypes promise: one canonical form, notations that lead back to it, and no evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.genotype import (
    KNOWN_CELLS,
    OPERATION_NAMES,
    CellEdges,
    Edge,
    Genotype,
    known_name,
)
from nas_core.cells.topology import Topology, enumerate_topologies
from nas_core.errors import InputError

FACTS = Path(__file__).resolve().parents[3] / "tests" / "facts" / "darts.json"

Pairs = list[tuple[str, int]]

# As printed by the authors of DARTS, P-DARTS and PC-DARTS: edges unsorted within a node, and three
# ways to write the concatenation.
PUBLISHED = {
    "DARTS_V1": """Genotype(
        normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0),
                ('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1),
                ('sep_conv_3x3', 0), ('skip_connect', 2)],
        normal_concat=[2, 3, 4, 5],
        reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2),
                ('max_pool_3x3', 0), ('max_pool_3x3', 0), ('skip_connect', 2),
                ('skip_connect', 2), ('avg_pool_3x3', 0)],
        reduce_concat=[2, 3, 4, 5])""",
    "DARTS_V2": "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
    "('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])\n",
    "PDARTS": "Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0),"
    "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3',0), "
    "('dil_conv_5x5', 4)], normal_concat=range(2, 6), reduce=[('avg_pool_3x3', 0), "
    "('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('dil_conv_5x5', 2), ('max_pool_3x3', 0), "
    "('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)], reduce_concat=range(2, 6))",
    "PC_DARTS": 'Genotype(normal=[["sep_conv_3x3", 1], ["skip_connect", 0], ["sep_conv_3x3", 0], '
    '["dil_conv_3x3", 1], ["sep_conv_5x5", 0], ["sep_conv_3x3", 1], ["avg_pool_3x3", 0], '
    '["dil_conv_3x3", 1]], reduce=[["sep_conv_5x5", 1], ["max_pool_3x3", 0], '
    '["sep_conv_5x5", 1], ["sep_conv_5x5", 2], ["sep_conv_3x3", 0], ["sep_conv_3x3", 3], '
    '["sep_conv_3x3", 1], ["sep_conv_3x3", 2]])',
}

INDEX_OF_NORMAL_CELL = {"DARTS_V1": 1, "DARTS_V2": 1, "PDARTS": 43, "PC_DARTS": 0}

ONE_NODE = "[('skip_connect', 0), ('skip_connect', 1)]"


@st.composite
def cell_pairs(draw: st.DrawFn, nodes: int) -> Pairs:
    """DARTS' flat list for a cell, edges in any order within a node."""
    return [
        (draw(st.sampled_from(OPERATION_NAMES)), source)
        for node in range(2, 2 + nodes)
        for source in draw(st.lists(st.integers(0, node - 1), min_size=2, max_size=2, unique=True))
    ]


@st.composite
def genotypes(draw: st.DrawFn) -> Genotype:
    nodes = draw(st.integers(1, 5))
    normal, reduction = draw(cell_pairs(nodes)), draw(cell_pairs(nodes))
    return Genotype(CellEdges.from_pairs(normal), CellEdges.from_pairs(reduction))


def both(pairs: Pairs) -> Genotype:
    return Genotype(CellEdges.from_pairs(pairs), CellEdges.from_pairs(pairs))


@given(cell_pairs(4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_order_inside_a_node_does_not_matter(pairs: Pairs, swaps: list[bool]) -> None:
    swapped = [
        edge
        for node, swap in enumerate(swaps)
        for edge in (pairs[2 * node : 2 * node + 2][::-1] if swap else pairs[2 * node :][:2])
    ]

    assert both(swapped) == both(pairs)
    assert hash(both(swapped)) == hash(both(pairs))
    assert str(both(swapped)) == str(both(pairs))


@given(cell_pairs(4))
def test_canonical_form_sorts_edges_and_never_renames_nodes(pairs: Pairs) -> None:
    cell = CellEdges.from_pairs(pairs)

    for node, (first, second) in enumerate(cell.nodes):
        assert first.source < second.source
        given_edges = {(source, name) for name, source in pairs[2 * node : 2 * node + 2]}
        kept_edges = {(edge.source, edge.operation) for edge in (first, second)}
        assert kept_edges == given_edges


def test_isomorphic_cells_stay_different_genotypes() -> None:
    # Exchanging nodes 3 and 4 maps one onto the other: one class, two keys.
    normal = Topology(((0, 1), (0, 1), (0, 2), (0, 1)))
    renamed = normal.renamed((2, 4, 3, 5))
    one, other = (
        Genotype(CellEdges.uniform(each, "sep_conv_3x3"), CellEdges.uniform(normal, "none"))
        for each in (normal, renamed)
    )

    assert normal.class_id == renamed.class_id
    assert one != other
    assert str(one) != str(other)


def test_canonical_string_by_hand() -> None:
    pairs: Pairs = [("skip_connect", 1), ("max_pool_3x3", 0), ("none", 2), ("dil_conv_5x5", 0)]

    expected = "max_pool_3x3@0+skip_connect@1;dil_conv_5x5@0+none@2"
    assert str(both(pairs)) == f"{expected}|{expected}"


@given(genotypes())
def test_every_notation_leads_back_to_the_genotype(genotype: Genotype) -> None:
    assert Genotype.parse(str(genotype)) == Genotype.from_string(str(genotype)) == genotype
    assert Genotype.parse(genotype.to_json()) == Genotype.from_json(genotype.to_json()) == genotype
    assert Genotype.parse(genotype.to_darts()) == Genotype.from_darts(genotype.to_darts())
    assert Genotype.from_darts(genotype.to_darts()) == genotype
    assert CellEdges.from_pairs(genotype.normal.pairs()) == genotype.normal


def test_different_genotypes_have_different_strings() -> None:
    one_node = [
        CellEdges.from_pairs([(first, 0), (second, 1)])
        for first, second in product(OPERATION_NAMES, repeat=2)
    ]
    four_nodes = [CellEdges.uniform(wiring, "none") for wiring in enumerate_topologies()]
    strings = {
        str(Genotype(*cells))
        for many in (one_node, four_nodes)
        for cells in product(many, repeat=2)
    }

    assert len(strings) == 64**2 + 180**2


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_notation_is_the_known_cell(name: str) -> None:
    genotype = Genotype.parse(PUBLISHED[name])

    assert genotype == KNOWN_CELLS[name] == Genotype.parse(f" {name}\n")
    assert known_name(genotype) == name
    assert genotype.normal.topology.index == INDEX_OF_NORMAL_CELL[name]


def test_known_name_of_another_cell_is_none() -> None:
    assert known_name(both([("none", 0), ("none", 1)])) is None


def test_known_cells_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        KNOWN_CELLS["DARTS_V1"] = KNOWN_CELLS["DARTS_V2"]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        KNOWN_CELLS["DARTS_V1"].normal = KNOWN_CELLS["PDARTS"].normal  # type: ignore[misc]


@pytest.mark.parametrize("concat", ["[2, 3, 4, 5]", "range(2, 6)", "(5, 4, 3, 2)"])
def test_concatenation_of_all_nodes_is_read_however_it_is_written(concat: str) -> None:
    text = PUBLISHED["DARTS_V2"].replace("[2, 3, 4, 5]", concat)

    assert Genotype.parse(text) == KNOWN_CELLS["DARTS_V2"]


@pytest.mark.parametrize("field", ["normal_concat", "reduce_concat"])
@pytest.mark.parametrize("concat", ["[4, 5]", "range(3, 6)", "[2, 3, 4, 5, 6]", "[2, 2, 3, 4, 5]"])
def test_concatenation_of_other_nodes_is_refused(field: str, concat: str) -> None:
    text = PUBLISHED["DARTS_V2"].replace(f"{field}=[2, 3, 4, 5]", f"{field}={concat}")

    with pytest.raises(InputError, match=rf"{field} is \[.*here \[2, 3, 4, 5\]"):
        Genotype.parse(text)


@pytest.mark.parametrize("concat", ["5", "None", "[2, 'a']", "[[2]]", "'2345'"])
def test_concatenation_that_is_no_list_of_nodes_is_refused(concat: str) -> None:
    text = f"Genotype(normal={ONE_NODE}, normal_concat={concat}, reduce={ONE_NODE})"

    with pytest.raises(InputError):
        Genotype.parse(text)


HOSTILE: dict[str, Callable[[str], str]] = {
    "an edge": lambda call: f"Genotype(normal=[({call}, 0), ('none', 1)], reduce={ONE_NODE})",
    "a cell": lambda call: f"Genotype(normal={call}, reduce={ONE_NODE})",
    "another field": lambda call: f"Genotype(normal={ONE_NODE}, reduce={ONE_NODE}, x={call})",
    "a range": lambda call: (
        f"Genotype(normal={ONE_NODE}, reduce={ONE_NODE}, normal_concat=range(2, {call}))"
    ),
    "a positional argument": lambda call: f"Genotype({call}, normal={ONE_NODE}, reduce={ONE_NODE})",
    "the call": lambda call: f"Genotype.__class__({call})",
    "before": lambda call: f"Genotype(normal={ONE_NODE}, reduce={ONE_NODE}) if {call} else 0",
    "after": lambda call: f"Genotype(normal={ONE_NODE}, reduce={ONE_NODE})\n{call}",
    "a comprehension": lambda call: f"Genotype(normal=[{call} for _ in '1'], reduce={ONE_NODE})",
    "unpacking": lambda call: f"Genotype(**{call}, normal={ONE_NODE}, reduce={ONE_NODE})",
    "a format string": lambda call: f"Genotype(normal=[(f'{{{call}}}', 0)], reduce={ONE_NODE})",
}


@pytest.mark.parametrize("position", HOSTILE)
def test_code_in_a_genotype_is_refused_and_never_runs(position: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    text = HOSTILE[position](f"__import__('os').system('touch {trace}')")

    with pytest.raises(InputError):
        Genotype.parse(text)
    assert not trace.exists()


def test_a_long_range_costs_nothing() -> None:
    text = f"Genotype(normal={ONE_NODE}, reduce={ONE_NODE}, normal_concat=range(2, 10**12))"

    with pytest.raises(InputError):
        Genotype.parse(text.replace("10**12", "1000000000000"))
    with pytest.raises(InputError):
        Genotype.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "Genotype(normal=" + "[" * 100_000,
        "Genotype(normal=" + "[" * 150 + "]" * 150 + f", reduce={ONE_NODE})",
        "Genotype(normal=" + "-" * 100_000 + "1)",
        "Genotype" + "()" * 50_000,
        "Genotype(normal=" + "+".join("1" * 100_000) + ")",
        '{"normal": ' + "[" * 100_000 + "]" * 100_000 + ', "reduction": []}',
        '{"normal": ' + '{"a": ' * 100_000,
    ],
    ids=["lists", "few lists", "signs", "calls", "sums", "JSON lists", "JSON objects"],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        Genotype.parse(text)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "DARTS_V3",
        "Genotype",
        "Genotype(",
        "Genotype()",
        f"Genotype(normal={ONE_NODE})",
        f"Genotype(reduce={ONE_NODE})",
        "Genotype(normal=7, reduce=8)",
        "Genotype(normal=['ab', 'cd'], reduce=['ab', 'cd'])",
        "Genotype(normal=[('none', '0'), ('none', 1)], reduce=[])",
        "Genotype(normal=[('none', True), ('none', 1)], reduce=[])",
        "Genotype(normal=[('none', 0.0), ('none', 1)], reduce=[])",
        "Genotype(normal=[('none', 0, 1), ('none', 1)], reduce=[])",
        "Genotype(normal=[(0, 'none'), (1, 'none')], reduce=[])",
        "Genotype(normal=[], reduce=[])",
        "Genotype(\0)",
        "none@0+none@1",
        "none@0+none@1|",
        "none@0+none@1|none@0",
        "none@0+none@1|none@0+none@1|none@0+none@1",
        "none@0+none@0|none@0+none@1",
        "none@0+none@2|none@0+none@1",
        "none@0+none@-1|none@0+none@1",
        "none@0+none@1.0|none@0+none@1",
        "none@0+none@\N{SUPERSCRIPT ONE}|none@0+none@1",
        "{}",
        "{",
        '{"normal": [], "reduction": []}',
        '{"normal": [["none", 0], ["none", 1]], "reduce": [["none", 0], ["none", 1]]}',
        '{"normal": [["none", 0], ["none", true]], "reduction": []}',
        '{"normal": "none", "reduction": []}',
        '{"normal": [["none", 0], ["none", 1]], "reduction": null}',
    ],
)
def test_what_is_no_genotype_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError):
        Genotype.parse(text)


@given(st.text(max_size=60), st.sampled_from(["", "Genotype(", "{", "none@0"]))
def test_any_text_is_read_or_refused(text: str, start: str) -> None:
    try:
        genotype = Genotype.parse(start + text)
    except InputError:
        return
    assert Genotype.parse(str(genotype)) == genotype


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(OPERATION_NAMES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
))  # fmt: skip
def test_any_json_value_is_read_or_refused(value: object) -> None:
    text = json.dumps({"normal": value, "reduction": [["none", 0], ["none", 1]]})
    try:
        genotype = Genotype.parse(text)
    except InputError:
        return
    assert Genotype.parse(str(genotype)) == genotype


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("sep_conv_3X3", "sep_conv_3x3"),
        ("skip_conect", "skip_connect"),
        ("max_pool", "max_pool_3x3"),
        ("dil_conv_5", "dil_conv_5x5"),
    ],
)
def test_an_unknown_operation_names_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(InputError, match=f"unknown operation '{wrong}': use {nearest}"):
        Genotype.parse(f"{wrong}@0+none@1|none@0+none@1")


def test_an_operation_like_none_of_ours_names_all() -> None:
    with pytest.raises(InputError) as refused:
        Edge(0, "zzzz")
    assert all(name in str(refused.value) for name in OPERATION_NAMES)


def test_cells_of_different_size_are_refused() -> None:
    one = CellEdges.uniform(Topology(((0, 1),)), "none")
    two = CellEdges.uniform(Topology(((0, 1), (0, 1))), "none")

    with pytest.raises(InputError, match="got 1 and 2"):
        Genotype(one, two)


def test_a_node_with_one_edge_is_refused() -> None:
    with pytest.raises(InputError, match="node 2 needs two edges, got 1"):
        CellEdges(((Edge(0, "none"),),))  # type: ignore[arg-type]


@pytest.mark.parametrize("edge_number", range(8))
def test_one_other_operation_and_the_topology_says_nothing_any_more(edge_number: int) -> None:
    pairs: Pairs = [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)] * 4
    uniform = both(pairs)
    pairs[edge_number] = ("none", pairs[edge_number][1])
    mixed = both(pairs)

    assert uniform.normal.uniform_operation == "sep_conv_3x3"
    assert uniform.topology == mixed.normal.topology == Topology.from_index(0)
    assert mixed.normal.uniform_operation is None
    assert mixed.topology is None


def test_topology_is_that_of_the_normal_cell() -> None:
    normal, reduction = Topology.from_index(7), Topology.from_index(9)
    genotype = Genotype(
        CellEdges.uniform(normal, "sep_conv_3x3"), CellEdges.uniform(reduction, "max_pool_3x3")
    )

    assert genotype.topology == normal
    assert genotype.reduction.topology == reduction
    assert KNOWN_CELLS["DARTS_V1"].topology is None


def test_known_cells_are_those_of_the_facts() -> None:
    facts = json.loads(FACTS.read_text())

    assert facts["topologies"]["index_of_normal_cell"] == INDEX_OF_NORMAL_CELL
    cells = facts["known_cells_edge_lists_operation_source"]
    assert set(cells) == set(KNOWN_CELLS)
    for name, genotype in KNOWN_CELLS.items():
        for phase, cell in (("normal", genotype.normal), ("reduction", genotype.reduction)):
            edges = [(operation, source) for operation, source in cells[name][phase]]
            assert [set(edges[i : i + 2]) for i in range(0, 8, 2)] == [
                {(edge.operation, edge.source) for edge in node} for node in cell.nodes
            ]


def test_networks_that_share_a_cell_share_its_edges_in_memory() -> None:
    normal, other = str(KNOWN_CELLS["DARTS_V1"]).split("|")
    first, second = (Genotype.from_string(f"{normal}|{cell}") for cell in (normal, other))
    assert first.normal is second.normal
    assert first.reduction is second.normal
