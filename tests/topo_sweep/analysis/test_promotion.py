"""From what was chosen to the sweep that comes next."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.errors import InputError
from nas_core.protocols.training import PRESETS
from tests.topo_sweep.analysis.adaptive.races import FIRST, stored_race
from tests.topo_sweep.analysis.choice_rows import topologies
from tests.topo_sweep.analysis.ranking_rows import uniform
from tests.topo_sweep.conftest import new_manifest, small_spec
from tests.topo_sweep.runs.search_run import search_spec
from topo_sweep.analysis.promotion import final_evaluation, fresh_seeds, phase_two
from topo_sweep.analysis.selection import Choice, above, best_topologies
from topo_sweep.spec.load import spec_from_json_value

SPEC = small_spec(name="shallow", seeds=(0, 1, 2))
CHOICE = Choice((uniform(42), uniform(3)), (0, 1, 2), "the best 2 of 180", ())
CELLS = Choice((KNOWN_CELLS["PDARTS"], uniform(3)), (20, 21), "those above 93%", ())


# Phase 2


def test_phase_two_wires_both_cells_as_chosen_with_the_normal_cells_operation() -> None:
    spec = phase_two(new_manifest(SPEC), CHOICE, None)

    assert spec.topologies == (3, 42)
    for genotype, index in zip(spec.genotype_list(), spec.topologies, strict=True):
        assert genotype == uniform(index, reduction=index, reduction_operation="sep_conv_3x3")
    assert spec.trial_count == len(spec.trials()) == 2 * 3


def test_phase_two_keeps_protocol_and_data_and_says_where_it_came_from() -> None:
    spec = phase_two(new_manifest(SPEC), CHOICE, None)

    assert (spec.name, spec.protocol, spec.data) == ("shallow-top2", SPEC.protocol, SPEC.data)
    assert spec.origin == CHOICE.origin
    assert spec_from_json_value(spec.to_json_value()) == spec, "the record keeps it"


def test_phase_two_has_the_operation_of_the_sweep_that_chose() -> None:
    chosen = Choice((uniform(42, operation="dil_conv_5x5"),), (0,), "the best", ())

    (genotype,) = phase_two(new_manifest(SPEC), chosen, None).genotype_list()

    assert genotype.normal.uniform_operation == "dil_conv_5x5"
    assert genotype.reduction.uniform_operation == "dil_conv_5x5"


def test_phase_two_trains_on_as_many_other_seeds_or_on_those_given() -> None:
    assert phase_two(new_manifest(SPEC), CHOICE, None).seeds == (3, 4, 5)
    assert phase_two(new_manifest(SPEC), CHOICE, (100, 101)).seeds == (100, 101)


def test_phase_two_of_a_race_has_as_many_seeds_as_it_began_with(tmp_path: Path) -> None:
    sweep = stored_race(tmp_path)
    used = set(sweep.trials()["seed"])
    assert len(used) > len(FIRST)

    spec = phase_two(sweep.manifest, best_topologies(sweep, 2), None)
    assert (spec.topologies, len(spec.seeds)) == ((1, 7), len(FIRST))
    assert not used.intersection(spec.seeds)

    final = final_evaluation(sweep.manifest, above(sweep, 0.7), None)
    assert final.seeds == spec.seeds


def test_single_settings_of_phase_two_can_be_replaced() -> None:
    spec = phase_two(new_manifest(SPEC), CHOICE, None, {"epochs": 7})

    assert spec.protocol == SPEC.protocol.with_values({"epochs": 7})
    with pytest.raises(InputError, match="did you mean epochs"):
        phase_two(new_manifest(SPEC), CHOICE, None, {"epohcs": 7})


def test_the_best_of_a_sweep_go_on_as_chosen(tmp_path: Path) -> None:
    sweep = topologies(tmp_path, {0: [0.5, 0.4], 1: [0.6, 0.7], 17: [0.9, 0.8]}, name="shallow")

    spec = phase_two(sweep.manifest, best_topologies(sweep, 2), None)

    assert spec.topologies == (1, 17)
    assert spec.seeds == (2, 3)
    assert spec.origin == (
        f"the best 2 of 3 classes of {sweep.folder.name} by last-epoch test accuracy (optimistic)"
    )


# The final evaluation


def test_the_final_evaluation_trains_the_chosen_cells_by_the_final_protocol() -> None:
    spec = final_evaluation(new_manifest(SPEC), CELLS, None)

    assert spec.name == "shallow-final"
    assert spec.genotype_list() == CELLS.genotypes
    assert spec.protocol == PRESETS["final"]
    assert (spec.data, spec.origin) == (SPEC.data, CELLS.origin)
    assert spec.seeds == (22, 23)


def test_the_final_evaluation_of_what_searches_found_is_on_their_data() -> None:
    searches = search_spec()

    spec = final_evaluation(new_manifest(searches), CELLS, (5,))

    assert (spec.name, spec.data) == ("searches-final", searches.data)
    assert spec.seeds == (5,)


def test_settings_replace_those_of_the_final_protocol() -> None:
    protocol = PRESETS["final"].with_values({"epochs": 1})

    spec = final_evaluation(new_manifest(SPEC), CELLS, None, {"epochs": 1})

    assert spec.protocol == protocol != PRESETS["final"]


def test_seeds_that_selected_cannot_judge() -> None:
    with pytest.raises(InputError) as refusal:
        final_evaluation(new_manifest(SPEC), CELLS, (19, 20, 21))
    assert str(refusal.value) == (
        "seeds 20-21 selected these networks and cannot judge them as well: use others, such as "
        "--seeds 22-23"
    )


# Seeds


@given(used=st.lists(st.integers(0, 1000), min_size=1, unique=True), first=st.integers(1, 9))
def test_fresh_seeds_are_as_many_and_none_of_those_used(used: list[int], first: int) -> None:
    for expected, begun in ((len(used), None), (first, first)):
        fresh = fresh_seeds(Choice((), tuple(used), "", first_seeds=begun))

        assert len(set(fresh)) == len(fresh) == expected
        assert not set(fresh) & set(used)
        assert min(fresh) >= 0
