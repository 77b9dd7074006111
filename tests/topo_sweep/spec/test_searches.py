"""`kind: search`: the grid that a file means, and one line for what is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.genotype import OPERATION_NAMES
from nas_core.cells.spaces import LEARNABLE, SPACES, space_operations
from nas_core.errors import InputError
from nas_core.protocols.search import SEARCH_PRESETS
from nas_core.protocols.training import PRESETS
from tests.topo_sweep.spec.refusals import refused
from tests.topo_sweep.spec.search_sweeps import sweep
from topo_sweep.spec.load import Overrides, load_spec, make_spec, spec_from_json_value
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.spec.trials import Evaluation, SearchTrial


def refusal(**values: Any) -> str:
    return refused(sweep, **values)


def points(spec: SearchSweep) -> list[tuple[int, str, str, int, str]]:
    return [
        (e.seed, e.method, e.space, e.protocol.cells, e.protocol.attention) for e in spec.searches()
    ]


# The grid


def test_the_grid_of_figure_2_is_eight_spaces_at_two_depths_for_ten_seeds() -> None:
    spec = load_spec("subspaces")
    assert isinstance(spec, SearchSweep)

    entries = spec.searches()

    assert len(entries) == 160
    assert Counter((e.space, e.protocol.cells) for e in entries) == {
        (space, cells): 10 for space in SPACES for cells in (5, 16)
    }
    assert {e.seed for e in entries} == set(range(20, 30))
    assert all(e.protocol.operations == SPACES[e.space] for e in entries)
    assert spec.trial_count == 160 * (1 + 1) == len(spec.trials())
    planned = list(spec.trials().values())
    assert sum(isinstance(trial, SearchTrial) for trial in planned) == 160
    assert sum(isinstance(trial, Evaluation) for trial in planned) == 160


def test_the_grid_of_depth_is_one_space_at_four_depths_for_ten_seeds() -> None:
    spec = load_spec("depth")
    assert isinstance(spec, SearchSweep)

    assert Counter((e.space, e.protocol.cells) for e in spec.searches()) == {
        ("SS1", cells): 10 for cells in (5, 10, 16, 20)
    }


def test_seeds_are_the_outer_loop_then_methods_spaces_depths_and_attention() -> None:
    spec = sweep(
        methods=["search_subset", "search_sparse"],
        spaces=["SS2", "SS1"],
        cells=[5, 16],
        attention=["none", "once"],
        seeds="3-4",
    )

    assert points(spec) == [
        (seed, method, space, cells, attention)
        for seed in (3, 4)
        for method in ("search_subset", "search_sparse")
        for space in ("SS2", "SS1")
        for cells in (5, 16)
        for attention in ("none", "once")
    ]


@given(
    spaces=st.lists(st.sampled_from(["SS1", "SS2", "all"]), min_size=1, max_size=4),
    attention=st.lists(st.sampled_from(["none", "once"]), min_size=1, max_size=3),
    evaluation_seeds=st.sets(st.integers(0, 9), max_size=3).map(sorted),
)
def test_each_search_comes_once_and_a_sweep_says_how_much_it_has(
    spaces: list[str], attention: list[str], evaluation_seeds: list[int]
) -> None:
    spec = sweep(spaces=spaces, attention=attention, seeds="0-1", evaluation_seeds=evaluation_seeds)

    searches = len(set(spaces)) * len(set(attention)) * 2
    assert len(set(points(spec))) == len(spec.searches()) == searches
    assert spec.trial_count == searches * (1 + len(evaluation_seeds)) == len(spec.trials())


def test_a_method_that_settings_make_equal_to_another_is_the_same_search() -> None:
    both = ["search_subset", "search_darts_2nd"]
    assert len(sweep(methods=both).searches()) == 2

    spec = sweep(methods=both, search={"images": 2500})

    assert [entry.method for entry in spec.searches()] == ["search_subset"]
    assert spec.trial_count == len(spec.trials()) == 2


def test_where_the_grid_says_nothing_each_method_keeps_its_own() -> None:
    spec = sweep(methods=["search_subset_sparse", "search_subspace"])

    assert [entry.protocol for entry in spec.searches()] == [
        SEARCH_PRESETS["search_subset_sparse"],
        SEARCH_PRESETS["search_subspace"],
    ]
    assert spec.seeds == spec.evaluation_seeds == (0,)
    assert spec.protocol == PRESETS["shallow"], "of the evaluations"


# Axes


@pytest.mark.parametrize("spaces", ["SS3", ["SS3"]])
def test_a_space_may_stand_alone(spaces: object) -> None:
    assert [entry.space for entry in sweep(spaces=spaces).searches()] == ["SS3"]


def test_a_space_may_be_a_list_of_operations_in_any_order_beside_names() -> None:
    spec = sweep(spaces=["SS3", ["sep_conv_3x3", "none", "skip_connect"], "all"])

    assert [entry.protocol.operations for entry in spec.searches()] == [
        SPACES["SS3"],
        ("none", "skip_connect", "sep_conv_3x3"),
        OPERATION_NAMES,
    ]
    assert spec.searches()[1].space == "none+skip_connect+sep_conv_3x3"


def test_a_space_listed_as_operations_is_the_one_of_that_name() -> None:
    spec = sweep(spaces=[list(SPACES["SS5"][::-1]), "SS5"])

    assert [entry.space for entry in spec.searches()] == ["SS5"]


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_the_pooling_is_that_of_every_sub_space(pooling: str) -> None:
    spec = sweep(spaces=["SS1", "SS8"], pooling=pooling)

    for entry in spec.searches():
        assert entry.protocol.operations == space_operations(entry.space, pooling)
        assert f"{pooling}_pool_3x3" in entry.protocol.operations


@pytest.mark.parametrize("cells", ["5,16", [16, 5], [5, 16, 5]])
def test_depths_are_a_set_of_numbers(cells: object) -> None:
    assert [entry.protocol.cells for entry in sweep(cells=cells).searches()] == [5, 16]


@pytest.mark.parametrize(("attention", "expected"), [("once", ["once"]), (None, ["none"])])
def test_attention_is_an_axis_or_the_methods_own(attention: object, expected: list[str]) -> None:
    spec = sweep() if attention is None else sweep(attention=attention)

    assert [entry.protocol.attention for entry in spec.searches()] == expected


def test_settings_of_search_hold_for_every_method_beside_the_axes() -> None:
    spec = sweep(
        methods=["search_edarts", "search_subset"],
        cells=[7],
        search={"epochs": 3, "topology": 17, "alpha_order": 1},
    )

    for entry in spec.searches():
        protocol = entry.protocol
        assert (protocol.epochs, protocol.topology, protocol.alpha_order) == (3, (17, 17), 1)
        assert protocol.cells == 7


@pytest.mark.parametrize("none", [[], ""])
def test_without_evaluation_seeds_cells_are_found_and_not_evaluated(none: object) -> None:
    spec = sweep(evaluation_seeds=none, seeds="0-2")

    assert (spec.evaluation_seeds, spec.trial_count) == ((), 3)
    assert all(isinstance(trial, SearchTrial) for trial in spec.trials().values())


def test_evaluation_seeds_are_written_as_seeds_are() -> None:
    assert sweep(evaluation_seeds="0-2,7").evaluation_seeds == (0, 1, 2, 7)


# Reading back


@given(
    spaces=st.none()
    | st.lists(
        st.sampled_from(["SS1", "all", ["sep_conv_3x3", "none"], ["dil_conv_5x5"]]), min_size=1
    ),
    cells=st.none() | st.sets(st.integers(1, 100), min_size=1).map(sorted),
    attention=st.none() | st.lists(st.sampled_from(["none", "once"]), min_size=1),
    pooling=st.sampled_from(["max", "avg"]),
    search=st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.integers(1, 9),
            "topology": st.lists(st.integers(0, 179), min_size=2, max_size=2),
            "alpha_every": st.sampled_from(["step", "epoch", 3]),
        },
    ),
    evaluation_seeds=st.sets(st.integers(0, 9)).map(sorted),
)
def test_a_sweep_survives_its_manifest(**values: Any) -> None:
    spec = sweep(**values)

    again = spec_from_json_value(json.loads(json.dumps(spec.to_json_value())))

    assert again.trials() == spec.trials()
    assert again.to_json_value() == spec.to_json_value()
    assert set(spec.to_json_value()["presets"]) == set(spec.methods)


# What is wrong


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"methods": ["search_edart"]},
            "unknown method 'search_edart': write search_edarts or",
        ),
        ({"methods": ["zzz"]}, "unknown method 'zzz': write " + ", ".join(SEARCH_PRESETS)),
        ({"methods": []}, "methods = []: list searches, as in methods: [search_edarts]"),
        ({"spaces": ["SS9"]}, "spaces[0] = 'SS9': unknown space 'SS9': use SS8 or"),
        ({"spaces": ["huge"]}, "unknown space 'huge': use SS1 to SS8, or all"),
        (
            {"spaces": [["none", "sep_conv_3x4"]]},
            "unknown operation 'sep_conv_3x4': use sep_conv_3x3 or",
        ),
        (
            {"spaces": [["none", "skip_connect"]]},
            f"a space needs a learnable operation ({', '.join(LEARNABLE)}), got none, skip_connect",
        ),
        ({"search": {"operations": ["none"]}}, "a space needs a learnable operation"),
        (
            {"methods": ["search_edarts"]},
            "search_edarts searches along a fixed topology, and none is given: add --topology 17",
        ),
        ({"search": {"topology": 180}}, "topology.0 = 180: input should be less than 180"),
        ({"search": {"max_skips": 9}}, "max_skips=9 is more than the 8 edges of a cell"),
        *(
            (
                {"search": {name: 3}, axis: value},
                f"search.{name} = 3 and {axis} both set the {name}: ",
            )
            for name, axis, value in (
                ("operations", "spaces", ["SS1"]),
                ("cells", "cells", [5]),
                ("attention", "attention", ["once"]),
            )
        ),
        ({"search": {"epohcs": 9}}, "unknown key 'epohcs' (did you mean epochs"),
        ({"search": {"epochs": 0}}, "epochs = 0: input should be greater than or equal to 1"),
        ({"search": 3}, "search = 3: write settings of every search, as in {epochs: 50, topolog"),
        ({"pooling": "min"}, "pooling = 'min': must be 'max' or 'avg'"),
        ({"cells": 101}, "cells = 101: 101 is too large: write numbers 0 to 100"),
        ({"attention": ["onec"]}, "attention[0] = 'onec': must be 'none', 'once' or 'per_update'"),
        ({"evaluation_seeds": "x"}, "evaluation_seeds = 'x': 'x' is no number or range"),
        ({"topologies": 0}, "topologies = 0: belongs to kind: topologies, this is kind: search"),
    ],
)
def test_what_is_wrong_is_one_line_that_says_what_to_write(
    values: dict[str, Any], expected: str
) -> None:
    message = refusal(**values)

    assert expected in message
    assert message.startswith("s: ")
    assert "; s: " not in message, "one mistake, one sentence"


def test_a_search_along_a_topology_needs_one_even_as_one_of_several_methods() -> None:
    message = refusal(methods=["search_subset", "search_demo"])

    assert "search_demo searches along a fixed topology" in message


@pytest.mark.parametrize("kind", ["topologies", "genotypes"])
def test_settings_of_searches_belong_to_searches_alone(kind: str) -> None:
    listed = {"topologies": "0"} if kind == "topologies" else {"genotypes": ["DARTS_V1"]}
    with pytest.raises(InputError) as caught:
        make_spec({"name": "s", "kind": kind, "search": {"epochs": 3}} | listed)

    expected = f"s: search = {{'epochs': 3}}: belongs to kind: search, this is kind: {kind}"
    assert str(caught.value) == expected


# By option


def test_options_set_searches_and_trainings_apart() -> None:
    spec = load_spec(
        "subspaces", Overrides(epochs=2, protocol={"search.epochs": "3", "search.flip": "false"})
    )
    assert isinstance(spec, SearchSweep)

    assert spec.protocol.epochs == 2
    assert {(e.protocol.epochs, e.protocol.flip) for e in spec.searches()} == {(3, False)}
    assert spec.protocol.flip


def test_a_topology_by_option_is_that_of_every_search() -> None:
    spec = load_spec("edarts", Overrides(search={"topology": (17, 3)}))
    assert isinstance(spec, SearchSweep)

    assert {entry.protocol.topology for entry in spec.searches()} == {(17, 3)}


@pytest.mark.parametrize(
    ("source", "overrides", "expected"),
    [
        (
            "demo",
            Overrides(protocol={"search.epochs": "3"}),
            "--set search.epochs=3: belongs to kind: search, this is kind: topologies",
        ),
        (
            "demo",
            Overrides(search={"topology": 17}),
            "--topology 17: belongs to kind: search, this is kind: topologies",
        ),
        (
            "subspaces",
            Overrides(protocol={"search.epohcs": "3"}),
            "subspaces.yaml (shipped): unknown key 'epohcs' (did you mean epochs",
        ),
        (
            "subspaces",
            Overrides(protocol={"search.topology": "[1,2]"}),
            "--set 'search.topology=[1,2]': write a single value",
        ),
        ("edarts", Overrides(), "edarts.yaml (shipped): search_edarts searches along a fixed"),
    ],
)
def test_a_bad_option_of_searches_is_one_line(
    source: str, overrides: Overrides, expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_spec(source, overrides)

    assert str(caught.value).startswith(expected)
    assert str(caught.value).isprintable()
