"""Ray and one process search and train to the same rows, whatever a worker did before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nas_core.cells.genotype import KNOWN_CELLS, CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.data.splits import load_dataset, split
from nas_core.protocols.training import PRESETS, DataOptions, Protocol
from nas_core.training import loop
from nas_core.training.epochs import EpochMetrics, Steps
from tests.conftest import Run
from tests.integration.small_searches import SWEEP, assert_same_rows
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.on_ray.worker import TrialTrainable
from topo_sweep.runs.runner import Outcome, TrialRunner
from topo_sweep.spec.trials import Trial
from topo_sweep.store.paths import StorePaths


@pytest.mark.long
def test_ray_gives_the_rows_of_one_process_and_says_what_it_does_and_nothing_else(
    run: Run, here: Path, whole: Path
) -> None:
    ray = run(*SWEEP, "--test-every", "2", RAY_OVERRIDE_RESOURCES='{"CPU": 1}')

    assert (ray.returncode, ray.stdout) == (0, ""), ray.stderr
    assert_same_rows(here / "results", whole)
    data, where, remark, results, *progress, end = ray.stderr.splitlines()
    assert data.startswith("data: digits, ")
    assert where.startswith("Ray here, ")
    assert remark.startswith("an epoch of a search is a single step here")
    assert results.startswith("results: results/small-digits-")
    assert all(" done · " in line for line in progress)
    assert end.startswith("done: 12 of 12 trials are kept in ")


def test_a_worker_of_ray_passes_on_the_first_steps_between_its_epochs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    protocol = PRESETS["demo"].with_values(
        {"init_channels": 2, "cells": 2, "epochs": 2, "batch_size": 8}
    )
    data = DataOptions(dataset="digits", train_limit=40)
    trial = Trial(KNOWN_CELLS["DARTS_V2"], protocol, data, seed=0)
    monkeypatch.setattr(loop, "STEPS_SECONDS", 0.0)
    worker = TrialTrainable.__new__(TrialTrainable)  # Ray's own part needs a cluster
    worker.setup(
        {"trial": trial},
        execution=Execution(test_every=2),
        paths=StorePaths(tmp_path),
        arrays=split(load_dataset("digits"), data).to_arrays(),
    )

    *results, last = (worker.step() for _ in range(4))

    kinds = [type(result["report"]) for result in results]
    assert kinds == [Steps, EpochMetrics, EpochMetrics]
    measured = [result["report"].test_accuracy is not None for result in results[1:]]
    assert measured == [False, True]
    assert (last["report"].status, last["done"]) == ("ok", True)


def test_rows_do_not_depend_on_what_a_worker_trained_before() -> None:
    protocol = PRESETS["demo"].with_values({"init_channels": 2, "cells": 2, "epochs": 2})
    digits = split(load_dataset("digits"), DataOptions(dataset="digits", train_limit=64))

    def histories(order: list[int]) -> dict[int, tuple[float, ...]]:
        runner = TrialRunner(digits, execution=Execution())
        return {index: _accuracies(runner, protocol, index) for index in order}

    first = histories([0, 90, 179])
    assert histories([179, 90, 0]) == first
    assert len(set(first.values())) == 3


def _accuracies(runner: TrialRunner, protocol: Protocol, index: int) -> tuple[float, ...]:
    topology = Topology.from_index(index)
    genotype = Genotype(
        CellEdges.uniform(topology, "sep_conv_3x3"), CellEdges.uniform(topology, "max_pool_3x3")
    )
    *epochs, outcome = runner.run(Trial(genotype, protocol, DataOptions(), 3))
    assert isinstance(outcome, Outcome)
    assert outcome.status == "ok"
    assert torch.get_num_threads() == 1
    losses = [metrics.train_loss for metrics in epochs if isinstance(metrics, EpochMetrics)]
    return tuple(losses)
