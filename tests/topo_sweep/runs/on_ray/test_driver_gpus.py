"""Packs that share a GPU of which Ray is told: how many are there at once, and what each sees.

And workers that have one to themselves, which die or raise.

There need be no GPU: its part is Ray's, and workers train on the CPU once they have it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import ray
import torch

from nas_core.errors import InputError, TopoSweepError
from nas_core.training.pack import PackTraining
from nas_core.training.training import Training
from tests.conftest import comparable
from tests.topo_sweep.runs.pack_run import manifest_of, spec, swept
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.on_ray import cluster, driver
from topo_sweep.runs.on_ray.worker import TrialTrainable
from topo_sweep.runs.packing.gpu_share import Memory
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.sweep import RunResult, run
from topo_sweep.spec.networks import TopologySweep
from topo_sweep.store.opened import load_results

pytestmark = pytest.mark.slow

CPUS, GPUS = 4, 1
NO_ROOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


class OnItsPart(TrialTrainable):
    """Has a part of a GPU and trains on the CPU; notes the devices that it sees as a file.

    Of those that a run begins with, none trains before all are there. What has less than `needs` of
    its GPU runs out of memory in its second epoch, or before, when images are moved there.
    """

    at_once = 1
    needs = 0.0
    has_room_for_images = True

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        part = ray.get_runtime_context().get_assigned_resources()["GPU"]
        devices = os.environ["CUDA_VISIBLE_DEVICES"]
        folder = given["paths"].folder
        (folder / f"part-{part:g}-of-{devices}-{os.getpid()}").touch()
        deadline = time.monotonic() + 300
        while len(list(folder.glob("part-*"))) < self.at_once:
            assert time.monotonic() < deadline, "the others did not start beside this one"
            time.sleep(0.05)
        if not self.has_room_for_images and part < self.needs:
            raise NO_ROOM
        for kind in (Training, PackTraining):
            self._limit(kind, part)
        super().setup(config, **given | {"execution": replace(given["execution"], gpus=0.0)})

    def _limit(self, kind: Any, part: float) -> None:
        run_epoch, needs = kind.run_epoch, self.needs

        def limited(training: Any, epoch: int) -> object:
            if epoch == 1 and part < needs:
                raise NO_ROOM
            return run_epoch(training, epoch)

        kind.run_epoch = limited


@pytest.fixture(scope="module", autouse=True)
def _declared() -> Iterator[None]:
    """Let all runs be on one Ray, which has processors and a GPU that nobody looks for."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray, "init", partial(ray.init, num_cpus=CPUS, num_gpus=GPUS))
        patch.setattr(cluster, "check_nodes", lambda *_: None)
        with cluster.connected(cluster=False, address=None, verbose=False) as where:
            patch.setattr(cluster, "connected", lambda **_: contextlib.nullcontext(where))
            yield


@pytest.mark.long
def test_a_question_is_answered_by_a_process_that_has_what_workers_have() -> None:
    def asked(number: int) -> tuple[int, int, float]:
        return number, os.getpid(), ray.get_runtime_context().get_assigned_resources()["GPU"]

    number, process, gpu = cluster.on_worker(Execution(gpus=0.5), asked, 5)

    assert (number, gpu) == (5, 0.5)
    assert process != os.getpid()


@pytest.mark.parametrize("deaths", [1, 3])
def test_where_the_process_that_is_asked_dies_another_one_is_a_few_times(
    deaths: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def asked(folder: Path) -> int:
        died = len(list(folder.iterdir()))
        if died < deaths:
            (folder / str(died)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return died

    if deaths == 1:
        assert cluster.on_worker(Execution(gpus=0.5), asked, tmp_path) == 1
    else:
        with pytest.raises(TopoSweepError, match="3 workers were lost, one after another"):
            cluster.on_worker(Execution(gpus=0.5), asked, tmp_path)
    assert len(list(tmp_path.iterdir())) == len(caplog.records) == deaths
    assert all("a worker was lost that was to measure" in line for line in caplog.messages)


def test_what_a_question_raises_is_raised_as_it_is_and_not_asked_again(tmp_path: Path) -> None:
    def asked(folder: Path) -> None:
        (folder / str(os.getpid())).touch()
        raise InputError("bad")

    with pytest.raises(InputError) as failure:
        cluster.on_worker(Execution(gpus=0.5), asked, tmp_path)
    assert str(failure.value) == "bad"
    assert len(list(tmp_path.iterdir())) == 1


def run_there(
    results: Path,
    sweep: TopologySweep,
    monkeypatch: pytest.MonkeyPatch,
    worker: dict[str, Any],
    **how: Any,
) -> tuple[RunResult, list[str]]:
    """Run the sweep by such workers; return how it ended, and what it said."""
    trainable = type("OnItsPart", (OnItsPart,), worker)
    run_on_ray = driver.run_on_ray
    monkeypatch.setattr(driver, "run_on_ray", partial(run_on_ray, trainable=trainable))
    said: list[str] = []
    execution = Execution(**{"checkpoint_seconds": 0, "retries": 0} | how)
    return run(make_plan(sweep, results), execution, said.append), said


def parts(results: Path) -> list[str]:
    """Return what part of which devices each worker had that started."""
    return sorted(path.name.rpartition("-")[0] for path in results.glob("*/part-*"))


def assert_rows_of_one_process(
    results: Path, undisturbed: Path, sweep: TopologySweep, pack_size: int | None
) -> None:
    swept(undisturbed, sweep=sweep, pack_size=pack_size, gpus=0.0)
    pd.testing.assert_frame_equal(comparable(results), comparable(undisturbed), check_exact=True)


@pytest.mark.long
def test_four_quarters_of_a_gpu_are_used_at_once_and_two_halves_where_memory_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there, four = tmp_path / "there", spec()

    result, _ = run_there(there, four, monkeypatch, {"at_once": 4, "needs": 0.5}, gpus=0.25)

    assert (result.progress.ok, result.progress.failed, result.errors) == (4, 0, ())
    quarters, halves = parts(there)[:4], parts(there)[4:]
    assert quarters == ["part-0.25-of-0"] * 4, "each sees one device"
    assert set(halves) == {"part-0.5-of-0"}
    assert_rows_of_one_process(there, tmp_path / "undisturbed", four, None)
    sharing = manifest_of(there).sharing
    assert sharing is not None
    assert (sharing.asked, sharing.packs, sharing.ran_out_at) == (0.25, 2, (4,))
    assert "memory ran out with up to 4 on a GPU; it goes on with up to 2 (" in caplog.text
    assert "goes on from epoch 2" in caplog.text


@pytest.mark.long
def test_a_pack_that_runs_out_beside_another_is_not_split_but_gets_the_whole_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, four = tmp_path / "there", spec()
    memory = Memory(device="made up", pack_bytes=10, gpu_bytes=50)
    monkeypatch.setattr(cluster, "on_worker", lambda *_: memory)

    worker = {"at_once": 2, "needs": 1.0, "has_room_for_images": False}
    result, said = run_there(there, four, monkeypatch, worker, gpus="auto", pack_size=2)

    assert (result.progress.ok, result.progress.failed) == (4, 0)
    assert any(line.endswith("2 share a GPU, as there are to train") for line in said), said
    assert set(parts(there)) == {"part-0.5-of-0", "part-1-of-0"}
    assert_rows_of_one_process(there, tmp_path / "undisturbed", four, 2)
    manifest = manifest_of(there)
    assert (len(manifest.packs), manifest.split_packs) == (2, ())
    assert manifest.sharing is not None
    assert (manifest.sharing.asked, manifest.sharing.device) == ("auto", "made up")
    assert (manifest.sharing.packs, manifest.sharing.ran_out_at) == (1, (2,))


def begin(worker: Any, config: dict[str, Any]) -> bool:
    """Begin a trial, and note whether it is the first of the sweep."""
    worker.has_the_first = config["trial"].name == "topology 0"
    return TrialTrainable.reset_config(worker, config)


def step_or_die(worker: Any) -> dict[str, Any]:
    """Die of a segmentation fault in each step of the first trial."""
    if worker.has_the_first:
        getattr(faulthandler, "_sigsegv")()  # noqa: B009 - of no stub
    return TrialTrainable.step(worker)


def step_or_raise(worker: Any) -> dict[str, Any]:
    """Raise in each step of the first trial."""
    if worker.has_the_first:
        raise ValueError("bad")
    return TrialTrainable.step(worker)


@pytest.mark.long
def test_a_trial_that_kills_its_worker_each_time_fails_with_the_signal_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    three = spec(epochs=1).model_copy(update={"topologies": (0, 17, 60)})
    worker = {"reset_config": begin, "step": step_or_die}

    result, _ = run_there(tmp_path, three, monkeypatch, worker, gpus=1.0, retries=1)

    assert (result.progress.ok, result.progress.failed, result.interrupted) == (2, 1, False)
    rows = load_results(tmp_path).set_index("topology")
    assert rows["status"].to_dict() == {0: "failed", 17: "ok", 60: "ok"}
    died = r"its worker, process \d+ on [\d.]+, died: Segmentation fault"
    assert re.fullmatch(died, str(rows.loc[0, "error"]))
    assert len(re.findall(died, caplog.text)) == 1, "it was tried again once"
    assert not list(tmp_path.glob("*/.fault-*"))


def test_a_run_ends_at_the_first_failure_where_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = {"reset_config": begin, "step": step_or_raise}

    result, _ = run_there(tmp_path, spec(), monkeypatch, worker, gpus=1.0, fail_fast=True)

    assert (result.interrupted, len(result.errors)) == (True, 1)
    rows = load_results(tmp_path)
    assert list(zip(rows["topology"], rows["error"], strict=True)) == [(0, "ValueError: bad")]
