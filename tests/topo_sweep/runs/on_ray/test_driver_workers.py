"""Workers of a real cluster: none that starts is given up, and a node that joins trains too."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from nas_core.data.splits import load_dataset, split
from nas_core.protocols.training import DataOptions
from nas_core.training.epochs import EpochMetrics
from tests.topo_sweep.conftest import FINGERPRINT, make_sweep, small_spec
from tests.topo_sweep.runs.on_ray.lean_nodes import lean
from tests.topo_sweep.runs.on_ray.other_versions import with_another_torch
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.on_ray import cluster
from topo_sweep.runs.on_ray.driver import run_on_ray
from topo_sweep.runs.on_ray.worker import TrialTrainable
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Outcome, Report, Together
from topo_sweep.spec.trials import Runnable
from topo_sweep.store.paths import StorePaths

CPUS = 2
"""Of the first node; the one that joins has one."""


class Noted(TrialTrainable):
    """Notes each worker that starts and each trial that it ends as a file; trains nothing."""

    def setup(  # type: ignore[override] # tune.with_parameters adds the keywords
        self,
        config: dict[str, Any],
        *,
        execution: Execution,
        paths: StorePaths,
        arrays: Mapping[str, Any],
    ) -> None:
        self._folder = paths.folder
        (self._folder / f"worker-{os.getpid()}").touch()
        super().setup(config, execution=execution, paths=paths, arrays=arrays)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._reports = self._noted(new_config.pop("trial"))
        return True

    def _noted(self, trial: Runnable) -> Iterator[Report]:
        """End the first trials at once, while workers start, others once all have started."""
        while trial.seed >= CPUS and len(list(self._folder.glob("worker-*"))) < CPUS + 1:
            time.sleep(0.05)
        time.sleep(0.1)
        (self._folder / f"trial-{trial.trial_id}-{os.getpid()}").touch()
        yield EpochMetrics(
            epoch=0,
            learning_rate=0.1,
            train_loss=1.0,
            train_accuracy=0.5,
            val_accuracy=None,
            test_accuracy=0.5,
            seconds=0.1,
        )
        yield Outcome(status="ok")


class Joined(Recorder):
    """Lets a node join when the first trial has ended."""

    join: Callable[[], object] | None

    def take(self, trial: Runnable | Pack, report: Report | Together) -> bool:
        has_ended = super().take(trial, report)
        if has_ended and self.join:
            self.join()
            self.join = None
        return has_ended


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    """A cluster of one node, on this machine."""
    head = Cluster(initialize_head=True, head_node_args={"num_cpus": CPUS} | lean())
    try:
        yield head
    finally:
        head.shutdown()


@pytest.mark.long
def test_every_worker_that_starts_trains_and_one_of_a_node_that_joins_does_too(
    nodes: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first node that joins has another PyTorch, and room for three workers that never come."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    noted = tmp_path / "noted"
    noted.mkdir()
    (noted / "sweep.json").touch()
    (tmp_path / "packages").mkdir()
    spec = small_spec(topologies=(0,), seeds=tuple(range(24)))
    store = make_sweep(tmp_path / "results", spec)
    plan = make_plan(spec, tmp_path / "results")
    agenda = Agenda(plan.left, plan.cells_found)
    recorder = Joined(plan, agenda, Progress.of(plan, images=1), fingerprint=FINGERPRINT)
    other = with_another_torch(tmp_path / "packages")

    def join() -> None:
        nodes.add_node(num_cpus=3, **lean(**other))
        nodes.add_node(num_cpus=1, **lean())

    recorder.join = join
    with cluster.connected(cluster=True, address=nodes.address, verbose=False, insecure=True):
        run_on_ray(
            agenda,
            recorder,
            Interrupts(),
            execution=Execution(cluster=True, gpus=0),
            images=split(load_dataset("digits"), DataOptions(dataset="digits")),
            paths=StorePaths(noted),
            trainable=Noted,
        )
    recorder.close()

    workers = {path.name.partition("-")[2] for path in noted.glob("worker-*")}
    ended = [path.name.split("-") for path in noted.glob("trial-*")]
    assert len(workers) == CPUS + 1
    assert {worker for _, _, worker in ended} == workers
    assert sorted(trial_id for _, trial_id, _ in ended) == sorted(plan.trials)
    assert set(store.trials()["status"]) == {"ok"}
    assert not recorder.errors
    assert sum("has torch 0.1; it gets no trial" in each.message for each in caplog.records) == 1
