"""Which sweeps of searches share a store, and which have one of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas_core.protocols.search import SEARCH_PRESETS
from tests.topo_sweep.spec.search_sweeps import sweep
from topo_sweep.spec.load import spec_from_json_value
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.store.paths import StorePaths


def folder(spec: SearchSweep) -> Path:
    return StorePaths.of(
        Path("results"), sweep="s", protocol=spec.protocol, data=spec.data, more=spec.store_key
    ).folder


@pytest.mark.parametrize("values", [{"search": {"epochs": 3}}, {"search": {"topology": 3}}])
def test_searches_with_other_settings_have_a_store_of_their_own(values: dict[str, Any]) -> None:
    assert sweep(**values).store_key != sweep().store_key
    assert folder(sweep(**values)) != folder(sweep())


@pytest.mark.parametrize(
    "values",
    [
        {"spaces": ["SS2"]},
        {"cells": [16]},
        {"seeds": "5-9"},
        {"evaluation_seeds": "0-3"},
        {"attention": "once"},
        {"methods": ["search_subset_sparse"]},
    ],
)
def test_more_of_a_grid_goes_into_the_same_store(values: dict[str, Any]) -> None:
    assert sweep(**values).store_key == sweep().store_key
    assert folder(sweep(**values)) == folder(sweep())


def recorded(**alpha: str) -> SearchSweep:
    """Return the sweep as a store holds it whose preset had these settings of alpha steps."""
    preset = SEARCH_PRESETS["search_subspace"].with_values(alpha).model_dump(mode="json")
    spec = spec_from_json_value(sweep().to_json_value() | {"presets": {"search_subspace": preset}})
    assert isinstance(spec, SearchSweep)
    return spec


def test_searches_that_look_ahead_on_another_batch_never_share_a_store() -> None:
    before = recorded(alpha_at="last")
    assert before.store_key == ""
    assert folder(before) != folder(sweep())
    assert json.loads(sweep().store_key) == {"alpha_at": "last_full"}
    both = {"methods": ["search_darts_2nd", "search_sparse"]}
    assert json.loads(sweep(**both).store_key) == {"alpha_at": "last_full"}
    assert sweep(methods=["search_darts_2nd"]).store_key == ""


def test_what_an_older_store_searched_is_asked_for_again_in_its_folder() -> None:
    assert folder(sweep(search={"alpha_at": "last"})) == folder(recorded(alpha_at="last"))


def test_the_order_of_settings_names_no_other_store() -> None:
    first, second = {"epochs": 3, "images": 50}, {"images": 50, "epochs": 3}

    assert sweep(search=first).store_key == sweep(search=second).store_key
