"""Who trains, who answers what is measured, and how many train at the same time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from nas_core.data.splits import load_dataset, split
from nas_core.protocols.training import DataOptions
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.executor import connected_executor
from topo_sweep.runs.on_ray import cluster
from topo_sweep.runs.packing.size import ask_here
from topo_sweep.store.paths import StorePaths

IMAGES = split(load_dataset("digits"), DataOptions(dataset="digits", train_limit=20))


@contextlib.contextmanager
def connected(**_: object) -> Iterator[str]:
    yield "there"


@pytest.fixture(autouse=True)
def _ray_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that a cluster has room for three workers."""
    monkeypatch.setattr(cluster, "connected", connected)
    monkeypatch.setattr(cluster, "settle", lambda execution, _: (execution, "settled"))
    monkeypatch.setattr(cluster, "most_on_a_gpu", lambda _: 5)
    monkeypatch.setattr(cluster, "workers_that_fit", lambda _: 3)


@pytest.mark.parametrize(
    ("execution", "is_asked_elsewhere", "workers"),
    [
        (Execution(executor="inline", gpus=0.0), False, 1),
        (Execution(gpus=0.0), False, 3),
        (Execution(gpus=1.0), True, 3),
        (Execution(gpus=0.0, cluster=True), True, 3),
    ],
)
def test_what_is_measured_is_asked_of_a_worker_where_the_driver_may_be_another_machine(
    execution: Execution, is_asked_elsewhere: bool, workers: int, tmp_path: Path
) -> None:
    with connected_executor(execution, IMAGES, StorePaths(tmp_path)) as executor:
        assert executor.workers() == workers
        assert executor.most_on_a_gpu() == (1 if execution.executor == "inline" else 5)
        assert (executor.ask is not ask_here) is is_asked_elsewhere
        if isinstance(executor.ask, partial):
            assert executor.ask.args == (execution,)


def test_a_cluster_that_has_no_room_yet_counts_as_one_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "workers_that_fit", lambda _: 0)

    with connected_executor(
        replace(Execution(), gpus=0.0), IMAGES, StorePaths(tmp_path)
    ) as executor:
        assert executor.workers() == 1
