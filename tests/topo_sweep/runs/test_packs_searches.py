"""Evaluations of one search that are trained as one network: the rows of each alone."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import comparable
from tests.topo_sweep.runs.pack_run import interrupt, manifest_of, swept
from tests.topo_sweep.runs.search_run import search_spec
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.store.opened import load_results


def spec() -> SearchSweep:
    """Return two searches whose cells are trained with three seeds."""
    small = search_spec(seeds=(0, 1), evaluation_seeds=(0, 1, 2))
    exact = small.protocol.with_values({"precision": "float64", "epochs": 2, "cells": 2})
    return small.model_copy(update={"protocol": exact})


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a pack of each search; only to be looked at."""
    results = tmp_path_factory.mktemp("together")
    swept(results, pack_size=8, sweep=spec())
    return results


@pytest.mark.slow
def test_seeds_of_a_found_cell_are_one_pack_with_the_rows_of_each_alone(
    together: Path, tmp_path: Path
) -> None:
    swept(tmp_path, pack_size=None, sweep=spec())

    ours, theirs = (comparable(path).drop(columns="execution") for path in (together, tmp_path))
    pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)
    execution = [json.loads(text) for text in load_results(together)["execution"]]
    assert [(how["pack_size"], how["packed"]) for how in execution] == [(3, True)] * 6
    assert [len(pack) for pack in manifest_of(together).packs] == [3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_pack_of_evaluations_that_was_stopped_goes_on_to_the_same_rows(
    after: int, together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, after=after)
        assert swept(tmp_path, pack_size=8, sweep=spec()).interrupted

    assert not swept(tmp_path, pack_size=8, sweep=spec()).interrupted

    pd.testing.assert_frame_equal(comparable(tmp_path), comparable(together), check_exact=True)
