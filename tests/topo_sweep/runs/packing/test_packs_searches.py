"""Searches of several seeds as one, and evaluations of one search: the rows of each alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from nas_core.training.search import Search
from nas_core.training.search_pack import PackSearch
from tests.conftest import comparable
from tests.topo_sweep.runs.pack_run import interrupt, limit_memory, manifest_of, swept
from tests.topo_sweep.runs.search_run import search_spec
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.store.opened import load_results, open_sweep

SEARCHES: dict[str, Any] = {"init_channels": 2, "epochs": 2, "batch_size": 16, "images": 24}
SEARCHES |= {"flip": False, "crop_padding": 0, "precision": "float64"}
VARYING = ["search_seconds", "weight_step_seconds", "alpha_step_seconds", "peak_memory_bytes"]
VARYING += ["node", "execution", "finished_at"]


def spec() -> SearchSweep:
    """Return two searches whose cells are trained with three seeds."""
    small = search_spec(seeds=(0, 1), cells=(1,), evaluation_seeds=(0, 1, 2), search=SEARCHES)
    exact = small.protocol.with_values({"precision": "float64", "epochs": 2, "cells": 3})
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
    assert [len(pack) for pack in manifest_of(together).packs] == [3, 3, 2]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run that was stopped between the searches and the first pack; to be copied."""
    results = tmp_path_factory.mktemp("found")
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, after=0)
        assert swept(results, pack_size=8, sweep=spec()).interrupted
    return results


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_pack_of_evaluations_that_was_stopped_goes_on_to_the_same_rows(
    after: int, found: Path, together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = shutil.copytree(found, tmp_path / "results")
    if after:
        with monkeypatch.context() as patch:
            interrupt(patch, after=after)
            assert swept(results, pack_size=8, sweep=spec()).interrupted

    assert not swept(results, pack_size=8, sweep=spec()).interrupted

    pd.testing.assert_frame_equal(comparable(results), comparable(together), check_exact=True)


def searches(**values: Any) -> SearchSweep:
    """Return searches with three seeds alone; `values` replace some of their settings."""
    return search_spec(seeds=(0, 1, 2), cells=(1,), evaluation_seeds=(), search=SEARCHES | values)


def rows(results: Path) -> pd.DataFrame:
    """Return the rows of searches without what may differ between equal runs."""
    kept = open_sweep(results).store.searches().drop(columns=VARYING)
    return kept.sort_values("seed", ignore_index=True)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Results of a pack of three searches, only to be looked at, and what the run said."""
    results, said = tmp_path_factory.mktemp("searched"), list[str]()
    swept(results, pack_size=8, sweep=searches(), say=said.append)
    return results, said


@pytest.fixture(scope="module")
def searched(told: tuple[Path, list[str]]) -> Path:
    """Return the results of `told`."""
    return told[0]


@pytest.mark.slow
def test_searches_of_several_seeds_are_one_pack_with_the_rows_of_each_alone(
    told: tuple[Path, list[str]], tmp_path: Path
) -> None:
    searched, said = told
    swept(tmp_path, pack_size=None, sweep=searches())

    pd.testing.assert_frame_equal(rows(searched), rows(tmp_path), rtol=1e-9)
    store = open_sweep(searched).store
    execution = [json.loads(text) for text in store.searches()["execution"]]
    assert [(how["pack_size"], how["packed"]) for how in execution] == [(3, True)] * 3
    assert manifest_of(searched).packs == (tuple(searches().trials()),)
    assert not list(store.paths.checkpoints.iterdir())
    assert "packs: 1, each up to 3 searches as one network" in said


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 1])
def test_a_pack_of_searches_that_was_stopped_goes_on_to_the_same_rows(
    after: int, searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, after=after, kind=PackSearch)
        assert swept(tmp_path, pack_size=8, sweep=searches()).interrupted

    assert not swept(tmp_path, pack_size=8, sweep=searches()).interrupted

    pd.testing.assert_frame_equal(rows(tmp_path), rows(searched), check_exact=True)


@pytest.mark.slow
def test_a_pack_of_searches_that_has_a_checkpoint_goes_on_whole_without_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, after=1, kind=PackSearch)
        swept(tmp_path, pack_size=8, sweep=searches())
    checkpoints = open_sweep(tmp_path).store.paths.checkpoints
    assert len(list(checkpoints.iterdir())) == 1

    assert swept(tmp_path, pack_size=None, sweep=searches()).progress.ok == 3

    assert not list(checkpoints.iterdir())
    execution = open_sweep(tmp_path).store.searches()["execution"]
    assert {json.loads(text)["pack_size"] for text in execution} == {3}


@pytest.mark.slow
def test_a_search_that_was_begun_alone_goes_on_alone_and_nothing_stays_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, after=1, kind=Search)
        assert swept(tmp_path, pack_size=None, sweep=searches()).interrupted

    assert swept(tmp_path, pack_size=8, sweep=searches()).progress.ok == 3

    store = open_sweep(tmp_path).store
    assert not list(store.paths.checkpoints.iterdir())
    execution = store.searches().sort_values("seed")["execution"]
    assert [json.loads(text)["pack_size"] for text in execution] == [1, 2, 2]


@pytest.mark.slow
def test_rows_of_searches_that_go_together_say_of_none_that_it_was_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topo_sweep.runs.compiling.compiler_error", lambda _: None)

    swept(tmp_path, pack_size=8, sweep=searches(epochs=1), compile="on")

    execution = [json.loads(text) for text in open_sweep(tmp_path).store.searches()["execution"]]
    assert [sorted(how) for how in execution] == [["device", "pack_size", "packed", "threads"]] * 3


@pytest.mark.slow
def test_searches_that_do_not_fit_into_memory_start_over_as_two(
    searched: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    too_large = limit_memory(monkeypatch, fits=2, kind=PackSearch)

    swept(tmp_path, pack_size=8, sweep=searches())

    assert too_large == [3]
    assert "3 searches do not fit into memory as one network" in caplog.text
    assert [len(pack) for pack in manifest_of(tmp_path).packs] == [1, 2]
    pd.testing.assert_frame_equal(rows(tmp_path), rows(searched), rtol=1e-9)


@pytest.mark.slow
def test_a_search_of_a_pack_that_diverges_or_stops_is_a_row_of_its_own(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Search.build

    def disturbed(self: Search, epoch: int) -> None:
        build(self, epoch)
        with torch.no_grad():
            if self.seed == 1:
                self.network.classifier.bias.fill_(torch.nan)
            if self.seed == 2:
                for alpha in self.alphas.tensors.values():
                    alpha[:, 1] += 9.0  # skip_connect

    monkeypatch.setattr(Search, "build", disturbed)
    stopping = searches(stop="skips", stop_skips=8)

    swept(tmp_path, pack_size=8, sweep=stopping)

    ended = open_sweep(tmp_path).store.searches().sort_values("seed")
    assert ended["status"].tolist() == ["ok", "diverged", "ok"]
    assert ended["epochs"].tolist() == [2, 1, 1]
    assert ended["stopped_early"].tolist() == [False, False, True]
    alone, whole = (each.iloc[0] for each in (ended, rows(searched).sort_values("seed")))
    assert alone["train_loss"] == pytest.approx(whole["train_loss"], rel=1e-9)
