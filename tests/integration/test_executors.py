"""Ray and one process train the same trials to the same rows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.data.splits import load_dataset, split
from nas_core.protocols.training import PRESETS, DataOptions, Protocol
from nas_core.training.epochs import EpochMetrics
from tests.conftest import TINY, Run, comparable
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.runner import Outcome, TrialRunner
from topo_sweep.spec.trials import Trial

SWEEP = ("run", "demo", *TINY, "--topologies", "0,100,179", "--seeds", "0-1")


@pytest.mark.slow
def test_ray_and_inline_give_equal_rows(run: Run, tmp_path: Path) -> None:
    ray = run(*SWEEP, "--results", "ray")
    inline = run(*SWEEP, "--results", "inline", "--executor", "inline")

    assert (ray.returncode, inline.returncode) == (0, 0), ray.stderr + inline.stderr
    assert ray.stdout == inline.stdout == ""
    rows = comparable(tmp_path / "ray")
    assert len(rows) == 6
    pd.testing.assert_frame_equal(rows, comparable(tmp_path / "inline"), check_exact=True)


@pytest.mark.slow
def test_ray_says_what_it_does_and_nothing_else(run: Run) -> None:
    result = run(*SWEEP, "--topologies", "5")

    lines = [line for line in result.stderr.splitlines() if not line.startswith(("data:", "Ray "))]
    assert lines[0].startswith("results: ")
    assert lines[-1].startswith("done: 2 of 2 trials are kept in ")
    assert all(" done · " in line for line in lines[1:-1])


def test_a_second_run_trains_nothing_and_writes_no_parquet(run: Run, tmp_path: Path) -> None:
    inline = ("--executor", "inline")
    run(*SWEEP, *inline)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")}

    again = run(*SWEEP, *inline)

    assert again.returncode == 0
    assert again.stderr.startswith("nothing to do: all 6 trials are in ")
    assert before
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")} == before


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
