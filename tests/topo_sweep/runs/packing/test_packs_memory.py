"""A pack that does not fit into memory goes on as its halves, and loses and repeats nothing."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import ray
import torch

from nas_core.training.pack import PackTraining
from tests.conftest import comparable
from tests.topo_sweep.runs.pack_run import (
    curves,
    interrupt,
    limit_memory,
    manifest_of,
    spec,
    swept,
)
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.sweep import run
from topo_sweep.store.opened import load_results, open_sweep

IDS = list(spec().trials())


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of packs that were planned to be of two; only to be looked at."""
    results = tmp_path_factory.mktemp("by_two")
    swept(results, pack_size=2)
    return results


def assert_rows_of(results: Path, planned: Path) -> None:
    pd.testing.assert_frame_equal(comparable(results), comparable(planned), check_exact=True)
    pd.testing.assert_frame_equal(curves(results), curves(planned), check_exact=True)
    assert not list(open_sweep(results).store.paths.checkpoints.iterdir())


@pytest.mark.long
@pytest.mark.parametrize(
    ("error", "from_epoch"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), 0),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), 2),
    ],
)
def test_halves_give_the_rows_of_packs_that_were_planned_to_be_so_small(
    error: Exception,
    from_epoch: int,
    by_two: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING):
        limit_memory(patch, fits=2, error=error, from_epoch=from_epoch)
        result = swept(tmp_path, pack_size=4)

    assert (result.progress.ok, result.progress.failed) == (4, 0)
    assert_rows_of(tmp_path, by_two)
    manifest = manifest_of(tmp_path)
    assert manifest.split_packs == (tuple(IDS),)
    assert manifest.packs == (tuple(IDS[:2]), tuple(IDS[2:]))
    assert "4 trainings do not fit into memory as one network" in caplog.text


@pytest.mark.slow
def test_packs_are_halved_until_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    too_large = limit_memory(monkeypatch, fits=1)

    assert swept(tmp_path, pack_size=3).progress.ok == 4

    assert sorted(too_large) == [2, 2]
    how = [json.loads(text) for text in load_results(tmp_path)["execution"]]
    assert [(each["pack_size"], each["packed"]) for each in how] == [(1, True)] * 4


@pytest.mark.long
def test_a_single_network_that_does_not_fit_fails_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_memory(monkeypatch, fits=0)

    result = swept(tmp_path, pack_size=4)

    assert (result.progress.ok, result.progress.failed) == (0, 4)
    (error,) = set(load_results(tmp_path)["error"])
    reason = "MemoryError: no room for so many"
    assert error == f"one network alone does not fit into the memory of its worker: {reason}"


@pytest.mark.long
@pytest.mark.parametrize("after", [0, 1, 3, 4])
def test_a_run_that_ends_amid_a_split_goes_on_to_the_same_rows_with_more_memory_too(
    after: int, by_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, after=after)
        limit_memory(patch, fits=2)
        first = swept(tmp_path, pack_size=4)
    assert first.interrupted
    epoch = after % 3
    goes_on = f"goes on from epoch {epoch + 1} of 3" if epoch else "starts over: no checkpoint"
    assert all(goes_on in text for text in first.unfinished), first.unfinished

    assert not swept(tmp_path, pack_size=4).interrupted

    assert_rows_of(tmp_path, by_two)


@pytest.mark.slow
def test_a_member_that_ended_before_the_split_keeps_its_row(
    by_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = PackTraining.build

    def lost(self: PackTraining, epoch: int) -> None:
        """Let the first of four diverge in its first epoch."""
        build(self, epoch)
        if len(self.members) == 4:
            self.network.extract(0)["classifier.bias"].fill_(float("inf"))

    monkeypatch.setattr(PackTraining, "build", lost)
    limit_memory(monkeypatch, fits=2, from_epoch=1)

    result = swept(tmp_path, pack_size=4)

    assert (result.progress.ok, result.progress.diverged) == (3, 1)
    rows = comparable(tmp_path).set_index("trial_id")
    assert json.loads(str(rows.loc[IDS[0], "execution"]))["pack_size"] == 4
    others = comparable(by_two).set_index("trial_id").drop(IDS[0])
    pd.testing.assert_frame_equal(rows.loc[others.index], others, check_exact=True)


@pytest.mark.long
def test_a_worker_of_ray_gets_the_halves_of_what_did_not_fit(
    by_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from topo_sweep.runs.on_ray import driver
    from topo_sweep.runs.on_ray.worker import TrialTrainable

    run_on_ray = driver.run_on_ray

    class SmallWorker(TrialTrainable):
        """Runs out of memory with more than two trainings."""

        def setup(self, *arguments: object, **values: object) -> None:
            from nas_core.training.pack import PackTraining as Pack

            run_epoch = Pack.run_epoch

            def limited(self: Pack, epoch: int) -> object:
                if len(self.members) > 2:
                    raise MemoryError("no room for so many")
                return run_epoch(self, epoch)

            Pack.run_epoch = limited  # type: ignore[method-assign,assignment]
            super().setup(*arguments, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(ray, "init", partial(ray.init, num_cpus=1))  # a worker is enough
    monkeypatch.setattr(
        driver, "run_on_ray", lambda *a, **k: run_on_ray(*a, **k, trainable=SmallWorker)
    )

    result = run(make_plan(spec(), tmp_path), Execution(pack_size=4, checkpoint_seconds=0))

    assert (result.progress.ok, result.progress.failed) == (4, 0)
    assert_rows_of(tmp_path, by_two)
