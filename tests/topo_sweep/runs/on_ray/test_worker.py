"""What a worker tells Tune, a report a step, of a trial and of a pack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nas_core.data.splits import load_dataset, split
from nas_core.protocols.training import PRESETS, DataOptions
from nas_core.training.epochs import EpochMetrics
from tests.topo_sweep.conftest import small_spec
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.images import ImagesByPath, OtherImagesError
from topo_sweep.runs.on_ray.worker import TrialTrainable
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.runner import Outcome, Together, TrialRunner
from topo_sweep.store.paths import StorePaths

SPEC = small_spec(
    protocol=PRESETS["demo"].with_values({"init_channels": 2, "cells": 1, "epochs": 2}),
    data=DataOptions(dataset="digits", train_limit=20),
)
TRIALS = list(SPEC.trials().values())


@pytest.fixture
def worker(tmp_path: Path) -> TrialTrainable:
    arrays = split(load_dataset("digits"), SPEC.data).to_arrays()
    worker = object.__new__(TrialTrainable)  # Tune's own constructor starts its loggers
    paths = StorePaths(tmp_path)
    worker.setup({"trial": TRIALS[0]}, execution=Execution(), paths=paths, arrays=arrays)
    return worker


def test_a_trial_is_an_epoch_a_step_and_ends_with_its_outcome(worker: TrialTrainable) -> None:
    steps = [worker.step() for _ in range(3)]

    assert [isinstance(step["report"], EpochMetrics) for step in steps] == [True, True, False]
    assert isinstance(steps[-1]["report"], Outcome)
    assert [step.get("done", False) for step in steps] == [False, False, True]


def test_a_worker_reads_the_images_itself_where_they_are_not_sent(tmp_path: Path) -> None:
    worker = object.__new__(TrialTrainable)
    here = ImagesByPath.of(load_dataset("digits"), SPEC.data, tmp_path)
    config = {"trial": TRIALS[0]}
    worker.setup(config, execution=Execution(), paths=StorePaths(tmp_path), arrays=here)

    sent, read = split(load_dataset("digits"), SPEC.data), worker._runner._split
    for one, other in ((sent.train, read.train), (sent.test, read.test)):
        assert torch.equal(one.pixels, other.pixels)
        assert torch.equal(one.labels, other.labels)
    with pytest.raises(OtherImagesError, match=r"holds others, fingerprint .*, not another"):
        worker.setup(
            {"trial": TRIALS[0]},
            execution=Execution(),
            paths=StorePaths(tmp_path),
            arrays=replace(here, fingerprint="another"),
        )


def test_reports_do_not_carry_the_trial_back(worker: TrialTrainable) -> None:
    assert worker.config == {}
    worker.config = {"trial": TRIALS[1]}  # as Tune does

    worker.reset_config(worker.config)

    assert worker.config == {}


def test_a_pack_is_an_epoch_of_all_members_a_step(worker: TrialTrainable) -> None:
    worker.reset_config({"trial": Pack(tuple(TRIALS[:2]))})

    steps = [worker.step() for _ in range(3)]

    assert all(isinstance(step["report"], Together) for step in steps)
    assert [[number for number, _ in step["report"].reports] for step in steps] == [[0, 1]] * 3
    outcomes = [outcome for _, outcome in steps[-1]["report"].reports]
    assert [(outcome.status, outcome.error) for outcome in outcomes] == [("ok", None)] * 2
    assert [step.get("done", False) for step in steps] == [False, False, True]


@pytest.mark.parametrize("together", [False, True])
def test_an_error_on_a_gpu_ends_the_worker_and_elsewhere_the_trial(
    together: bool, worker: TrialTrainable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise ValueError("bad")

    monkeypatch.setattr(TrialRunner, "_pack" if together else "_begun", broken)
    trial = Pack(tuple(TRIALS[:2])) if together else TRIALS[0]

    worker.reset_config({"trial": trial})
    assert worker.step()["done"]
    worker.reset_config({"trial": trial})
    worker._on_gpu = True
    with pytest.raises(RuntimeError, match="ValueError: bad"):
        worker.step()
