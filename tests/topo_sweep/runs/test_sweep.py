"""Whole sweeps of searches in this process: what they leave, and how they go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nas_core.training.search
from nas_core.cells.genotype import Genotype
from nas_core.networks.evaluation import EvalNetwork, multiply_adds, parameter_count
from nas_core.protocols.training import PRESETS, DataOptions, Protocol
from nas_core.training.epochs import SearchEpoch
from nas_core.training.training import Training
from tests.topo_sweep.conftest import small_spec
from tests.topo_sweep.runs.interruptions import epochs_taken
from tests.topo_sweep.runs.search_run import search_of, search_spec
from tests.topo_sweep.store.local_store import parts
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.sweep import RunResult, run
from topo_sweep.spec.load import SweepSpec
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.store.parquet import ResultStore

SPEC = search_spec(seeds=(0, 1), evaluation_seeds=(0, 1))
LONGER = search_spec(search=SPEC.search | {"epochs": 3}, evaluation_seeds=(0,))
TIMES = ("seconds", "finished_at", "node", "peak_memory_bytes")


def swept(spec: SweepSpec, results: Path, **options: Any) -> tuple[RunResult, list[str]]:
    """Run a sweep in this process; return its result and what it said."""
    said: list[str] = []
    fail_fast = options.pop("fail_fast", False)
    choices = Execution(executor="inline", checkpoint_seconds=0.0, retries=0, fail_fast=fail_fast)
    return run(make_plan(spec, results, **options), choices, said.append), said


def store_of(spec: SearchSweep, results: Path) -> ResultStore:
    return make_plan(spec, results).store


def without_times(frame: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return what must not differ between equal runs, ordered by key."""
    columns = [name for name in frame.columns if not name.endswith(TIMES)]
    order = [key, "epoch"] if "epoch" in columns else [key]
    return frame[columns].sort_values(order, ignore_index=True)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the sweep has run to its end; only to be looked at."""
    folder = tmp_path_factory.mktemp("results")
    result, said = swept(SPEC, folder)
    assert not result.errors
    assert not result.interrupted
    assert said[-1] == f"results: {store_of(SPEC, folder).paths.folder}"
    return folder


def test_a_sweep_of_searches_leaves_every_row_with_its_curve(results: Path) -> None:
    store = store_of(SPEC, results)
    searches, trials = store.searches(), store.trials()

    assert set(searches["search_id"]) | set(trials["trial_id"]) == set(SPEC.trials())
    assert (len(searches), len(trials)) == (2, 4)
    assert set(searches["status"]) | set(trials["status"]) == {"ok"}
    assert set(store.search_epochs()["search_id"]) == set(searches["search_id"])
    assert set(store.epochs()["trial_id"]) == set(trials["trial_id"])
    assert not list(store.paths.checkpoints.iterdir())
    assert make_plan(SPEC, results).left == {}


def test_evaluations_train_the_cell_that_their_search_found(results: Path) -> None:
    store = store_of(SPEC, results)
    genotypes = store.searches().set_index("search_id")["genotype"]

    for _, row in store.trials().iterrows():
        genotype = genotypes[row["search_id"]]
        assert row["genotype"] == genotype
        protocol = SPEC.protocol
        network = EvalNetwork(
            Genotype.from_string(genotype),
            cells=protocol.cells,
            init_channels=protocol.init_channels,
            num_classes=10,
        )
        assert row["parameters"] == parameter_count(network)
        assert row["multiply_adds"] == multiply_adds(network, 8, 8)


def test_the_alphas_of_every_epoch_are_kept_and_are_weights_after_softmax(results: Path) -> None:
    for text in store_of(SPEC, results).search_epochs()["alphas"]:
        alphas = json.loads(text)
        assert set(alphas) == {"normal", "reduction"}
        for edges in alphas.values():
            assert len(edges) == 14
            for edge in edges:
                assert sum(edge["weights"].values()) == pytest.approx(1)


def test_a_second_run_does_nothing_and_writes_no_parquet(results: Path) -> None:
    folder = store_of(SPEC, results).paths.folder
    before = {part: part.stat().st_mtime_ns for part in parts(folder)}

    result, _ = swept(SPEC, results)

    assert (result.progress.done, result.progress.left) == (6, 0)
    assert {part: part.stat().st_mtime_ns for part in parts(folder)} == before


@pytest.mark.slow
def test_seeds_of_searches_and_of_evaluations_can_be_added(tmp_path: Path) -> None:
    few = search_spec(seeds=(0,), evaluation_seeds=(0,))
    swept(few, tmp_path)
    store = store_of(few, tmp_path)
    first = store.searches(), store.trials()

    result, _ = swept(SPEC, tmp_path)

    assert (result.progress.planned, result.progress.ok) == (6, 6)
    searches, trials = store.searches(), store.trials()
    assert set(searches["search_id"]) | set(trials["trial_id"]) == set(SPEC.trials())
    for before, now, key in zip(first, (searches, trials), ("search_id", "trial_id"), strict=True):
        kept = now[now[key].isin(before[key])].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, before)


@pytest.mark.slow
def test_a_sweep_without_evaluations_only_searches(tmp_path: Path) -> None:
    spec = search_spec(evaluation_seeds=())

    swept(spec, tmp_path)

    assert len(store_of(spec, tmp_path).searches()) == 1
    assert store_of(spec, tmp_path).trials().empty


@pytest.mark.slow
def test_a_failed_search_is_a_row_and_a_retry_runs_it_and_its_evaluations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: object) -> SearchEpoch:
        raise ValueError("bad")

    spec = search_spec(evaluation_seeds=(0,))
    with monkeypatch.context() as patch:
        patch.setattr(nas_core.training.search.Search, "run_epoch", raising)
        result, _ = swept(spec, tmp_path)
    assert len(result.errors) == 1
    assert list(store_of(spec, tmp_path).searches()["status"]) == ["failed"]
    assert store_of(spec, tmp_path).trials().empty

    result, _ = swept(spec, tmp_path)
    assert result.progress.failed == 1, "not run again unasked"
    result, _ = swept(spec, tmp_path, retry_failed=True)

    searches = store_of(spec, tmp_path).searches()
    assert list(zip(searches["status"], searches["attempt"], strict=True)) == [("ok", 2)]
    assert len(store_of(spec, tmp_path).trials()) == 1


@pytest.mark.slow
def test_the_run_stops_at_the_first_failure_where_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: object) -> SearchEpoch:
        raise ValueError("bad")

    monkeypatch.setattr(nas_core.training.search.Search, "run_epoch", raising)
    spec = search_spec(seeds=(0, 1), evaluation_seeds=())

    result, _ = swept(spec, tmp_path, fail_fast=True)

    assert (result.interrupted, len(result.errors)) == (True, 1)
    assert len(store_of(spec, tmp_path).searches()) == 1


@pytest.mark.slow
def test_half_and_half_is_used_and_said_where_there_are_fewer_images(tmp_path: Path) -> None:
    spec = search_spec(search=SPEC.search | {"images": 2500}, evaluation_seeds=())

    _, said = swept(spec, tmp_path)

    assert (
        "searches ask for 2,500 + 2,500 images and digits has 64 here: half and half, 32 + 32, "
        "is used"
    ) in said
    assert list(store_of(spec, tmp_path).searches()["images"]) == [32]


@pytest.mark.slow
@pytest.mark.parametrize(("cells", "is_said"), [(1, True), (2, True), (3, False)])
def test_networks_without_a_normal_cell_are_warned_of(
    cells: int, is_said: bool, tmp_path: Path
) -> None:
    tiny = PRESETS["demo"].with_values({"cells": cells, "init_channels": 2, "epochs": 1})
    images = DataOptions(dataset="digits", train_limit=16)
    _, said = swept(small_spec(protocol=tiny, data=images, seeds=(0,)), tmp_path)
    assert any("have reduction cells alone" in line for line in said) == is_said


@pytest.mark.parametrize(("batch_size", "is_said"), [(32, True), (16, False)])
def test_an_epoch_of_one_step_is_said_to_update_alphas_in_every_step(
    tmp_path: Path, batch_size: int, is_said: bool
) -> None:
    search = SPEC.search | {"images": 32, "batch_size": batch_size}
    _, said = swept(search_spec(search=search, evaluation_seeds=()), tmp_path)

    remark = "an alpha step each step and one each epoch are the same"
    assert any(remark in line for line in said) == is_said


# Interrupted


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> ResultStore:
    folder = tmp_path_factory.mktemp("uninterrupted")
    swept(LONGER, folder)
    return store_of(LONGER, folder)


def test_what_is_saved_of_what_has_ended_goes_when_a_run_begins_and_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol, data = (
        Protocol(cells=2, init_channels=2, epochs=1),
        DataOptions(dataset="digits", train_limit=48),
    )
    tiny = {"protocol": protocol, "data": data, "topologies": (0,)}
    swept(small_spec(**tiny, seeds=(0,)), tmp_path)
    spec = small_spec(**tiny)
    paths, (ended, _) = make_plan(spec, tmp_path).store.paths, spec.trials()
    left, unfinished = paths.checkpoint(ended), paths.checkpoint("of another request")
    for path in (left, unfinished):
        path.touch()
    run_epoch, there = Training.run_epoch, []

    def run_epoch_beside_a_late_worker(self: Training, epoch: int) -> object:
        there.append(left.exists())
        left.touch()
        return run_epoch(self, epoch)

    monkeypatch.setattr(Training, "run_epoch", run_epoch_beside_a_late_worker)
    swept(spec, tmp_path)

    assert there == [False]
    assert list(paths.checkpoints.iterdir()) == [unfinished]


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 3])
def test_an_interrupted_search_goes_on_from_its_checkpoint_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uninterrupted: ResultStore, epochs: int
) -> None:
    with monkeypatch.context() as patch:
        epochs_taken(patch, interrupt_after=epochs)
        result, _ = swept(LONGER, tmp_path)
    store = store_of(LONGER, tmp_path)
    assert result.interrupted
    assert store.searches().empty
    assert store.paths.checkpoint(search_of(LONGER).search_id).exists()
    taken = epochs_taken(monkeypatch)
    result, _ = swept(LONGER, tmp_path)

    assert not result.interrupted
    search_id, evaluation_id = LONGER.trials()
    assert taken == [*((search_id, e) for e in range(epochs, 3)), (evaluation_id, 0)]
    for read, key in (
        (ResultStore.searches, "search_id"),
        (ResultStore.search_epochs, "search_id"),
        (ResultStore.trials, "trial_id"),
        (ResultStore.epochs, "trial_id"),
    ):
        pd.testing.assert_frame_equal(
            without_times(read(store), key),
            without_times(read(uninterrupted), key),
            check_exact=True,
        )
    assert not list(store.paths.checkpoints.iterdir())


@pytest.mark.slow
def test_a_run_interrupted_between_search_and_evaluation_evaluates_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uninterrupted: ResultStore
) -> None:
    with monkeypatch.context() as patch:
        epochs_taken(patch, interrupt_after=4)
        swept(LONGER, tmp_path)
    store = store_of(LONGER, tmp_path)
    searches = store.searches()
    assert len(searches) == 1
    assert store.trials().empty

    swept(LONGER, tmp_path)

    pd.testing.assert_frame_equal(store.searches(), searches)
    assert list(store.trials()["genotype"]) == list(searches["genotype"])
    assert list(store.trials()["test_accuracy"]) == list(uninterrupted.trials()["test_accuracy"])
