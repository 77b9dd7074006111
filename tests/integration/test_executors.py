"""Ray and one process search and train to the same rows, whatever a worker did before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.data.splits import load_dataset, split
from nas_core.protocols.training import PRESETS, DataOptions, Protocol
from nas_core.training.epochs import EpochMetrics
from tests.conftest import Run
from tests.integration.small_searches import SWEEP, assert_same_rows
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.runner import Outcome, TrialRunner
from topo_sweep.spec.trials import Trial


@pytest.mark.slow
def test_ray_gives_the_rows_of_one_process_and_says_what_it_does_and_nothing_else(
    run: Run, here: Path, whole: Path
) -> None:
    ray = run(*SWEEP)

    assert (ray.returncode, ray.stdout) == (0, ""), ray.stderr
    assert_same_rows(here / "results", whole)
    data, where, remark, results, *progress, end = ray.stderr.splitlines()
    assert data.startswith("data: digits, ")
    assert where.startswith("Ray here, ")
    assert remark.startswith("an epoch of a search is a single step here")
    assert results.startswith("results: results/small-digits-")
    assert all(" done · " in line for line in progress)
    assert end.startswith("done: 12 of 12 trials are kept in ")


def test_a_float32_protocol_is_not_rounded_to_tf32_on_gpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    digits = split(load_dataset("digits"), DataOptions(dataset="digits", train_limit=64))
    TrialRunner(digits, execution=Execution())
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


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
