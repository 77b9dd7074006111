"""The searches of the paper that are installed with the package."""

from __future__ import annotations

import re

import pytest

from nas_core.cells.spaces import LEARNABLE
from nas_core.errors import InputError
from nas_core.protocols.search import SEARCH_PRESETS
from nas_core.protocols.training import PRESETS
from tests.integration.shipped import (
    ALONG_A_TOPOLOGY,
    IMAGES,
    SEARCHES,
    first_lines,
    of_searches,
    training_cost,
)
from topo_sweep.spec.load import load_spec
from topo_sweep.spec.searches import SearchSweep


def trainings(spec: SearchSweep) -> int:
    """Return how many cells are trained, found and random ones, with all their seeds."""
    return (len(spec.searches()) + spec.random_cells) * len(spec.evaluation_seeds)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_shipped_search_loads_with_its_name_its_searches_and_their_evaluations(name: str) -> None:
    spec = of_searches(name)

    assert spec.name == name
    assert len(spec.searches()) == SEARCHES[name]
    assert spec.trial_count == SEARCHES[name] + trainings(spec)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_shipped_search_begins_with_what_it_repeats_and_what_it_costs(name: str) -> None:
    spec, count = of_searches(name), SEARCHES[name]
    repeats, cost = first_lines(name)

    assert re.search(r"\bpaper\b|\beDARTS\b", repeats)
    (epochs,) = {entry.protocol.total_epochs for entry in spec.searches()}
    images = {entry.protocol.images for entry in spec.searches()}
    searches = f"{count} search{'' if count == 1 else 'es'} x {epochs} epochs"
    searches += f" x {images.pop():,} images" if len(images) == 1 else ""
    assert cost == f"# Cost: {searches} and {trainings(spec)} trainings{training_cost(spec)}."


def test_searches_along_a_topology_ask_for_it() -> None:
    for name in ALONG_A_TOPOLOGY:
        with pytest.raises(InputError, match=r"add --topology 17, or --topology-from RESULTS"):
            load_spec(name)


def test_table_ii_is_four_methods_on_the_same_five_seeds() -> None:
    spec = of_searches("table2")

    assert spec.methods == (
        "search_darts_2nd",
        "search_subset",
        "search_sparse",
        "search_subset_sparse",
    )
    assert {entry.protocol for entry in spec.searches()} == {
        SEARCH_PRESETS[method] for method in spec.methods
    }
    assert len(spec.seeds) == 5


def test_edarts_is_the_papers_preset_along_one_topology_on_either_data_set() -> None:
    for name, dataset in (("edarts", "cifar10"), ("edarts_c100", "cifar100")):
        spec = of_searches(name)
        expected = SEARCH_PRESETS["search_edarts"].with_values({"topology": 17})
        assert {entry.protocol for entry in spec.searches()} == {expected}
        assert spec.data.dataset == dataset
        assert spec.protocol == PRESETS["shallow"]


def test_the_deep_ablation_is_all_separable_with_16_cells_and_all_edges() -> None:
    (protocol,) = {entry.protocol for entry in of_searches("ablation_deep").searches()}

    assert protocol.cells == 16
    assert protocol.topology is None
    assert set(protocol.operations) & set(LEARNABLE) == {"sep_conv_3x3", "sep_conv_5x5"}


def test_the_ablation_of_attention_compares_the_same_seeds_with_and_without() -> None:
    entries = of_searches("ablation_equal").searches()

    assert {(e.seed, e.protocol.attention) for e in entries} == {
        (seed, attention) for seed in range(10) for attention in ("none", "once")
    }
    assert {e.protocol.topology for e in entries} == {(17, 17)}


def test_edarts_with_controls_has_as_many_random_cells_as_let_one_of_two_stand_out() -> None:
    spec = of_searches("edarts_controls")

    assert [entry.protocol.attention for entry in spec.searches()] == ["once", "none"]
    assert {entry.protocol.topology for entry in spec.searches()} == {(1, 1)}
    assert 2 / (spec.random_cells + 1) <= 0.05  # Holm halves the level for the better of two


@pytest.mark.parametrize("name", SEARCHES)
def test_a_shipped_search_has_all_the_images_that_it_asks_for(name: str) -> None:
    spec = of_searches(name)
    training = spec.data.train_limit or IMAGES[spec.data.dataset] - spec.data.holdout

    assert all(2 * entry.protocol.images <= training for entry in spec.searches())
