"""A real cluster of two nodes, of which one has another PyTorch: it is named and gets no trial."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from nas_core.data.splits import load_dataset, split
from nas_core.errors import InputError
from nas_core.protocols.training import DataOptions
from tests.topo_sweep.conftest import FINGERPRINT, make_sweep, small_spec
from tests.topo_sweep.runs.on_ray.lean_nodes import lean
from tests.topo_sweep.runs.on_ray.other_versions import with_another_torch
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.on_ray import cluster, nodes
from topo_sweep.runs.on_ray.driver import run_on_ray
from topo_sweep.runs.on_ray.no_training import NoTraining
from topo_sweep.runs.on_ray.nodes import check_nodes, nodes_of_now, read_each_others_files
from topo_sweep.runs.on_ray.watch import Watch
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.recorder import Recorder
from topo_sweep.store.paths import StorePaths

pytestmark = pytest.mark.slow

EXECUTION = Execution(cluster=True, gpus=0)
OTHER = {"TOPO_SWEEP_TEST_NODE": "other"}


class Noted(NoTraining):
    """Notes each trial as a file that says on which node it ran."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        where = os.environ.get("TOPO_SWEEP_TEST_NODE", "first")
        paths = self._runner._paths
        assert paths is not None
        (paths.folder / f"{where}-{new_config['trial'].trial_id}").touch()
        return super().reset_config(new_config)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bool]]:
    """Be connected to the cluster; say of each node whether it is the other one."""
    packages = tmp_path_factory.mktemp("packages")
    both = Cluster(initialize_head=True, head_node_args={"num_cpus": 1} | lean())
    try:
        both.add_node(num_cpus=3, **lean(**OTHER, **with_another_torch(packages)))
        with cluster.connected(cluster=True, address=both.address, verbose=False, insecure=True):
            yield {node["NodeID"]: node["Resources"]["CPU"] == 3 for node in ray.nodes()}
    finally:
        both.shutdown()


def test_each_node_says_what_it_has(others: dict[str, bool]) -> None:
    found = nodes_of_now()

    assert sorted(node.cpus for node in found) == [1, 3]
    for node in found:
        assert node.is_alive
        assert node.versions is not None
        assert (node.versions["torch"] == "0.1") == others[node.node_id]
        assert node.versions["ray"] == ray.__version__


def test_the_node_that_differs_is_named_before_anything_runs(
    others: dict[str, bool], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError) as refused:
        check_nodes(EXECUTION)

    line = str(refused.value)
    assert line.count("node ") == 1, "the first node has what the driver has"
    assert " has torch 0.1; this driver has Python" in line
    assert "install the same there" in line
    (table,) = (record.message for record in caplog.records)
    assert len(table.splitlines()) == 1 + len(others)
    assert sum(" 0.1 " in row for row in table.splitlines()) == 1
    check_nodes(Execution(cluster=True, gpus=1))  # no node could hold such a worker


def test_a_node_that_does_not_answer_is_named_in_time(
    others: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent() -> Any:
        def asleep() -> None:
            import time

            time.sleep(20)

        return asleep

    here = nodes.versions_here()
    monkeypatch.setattr(nodes, "versions_function", silent)
    monkeypatch.setattr(nodes, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(nodes, "versions_here", lambda: here)

    with pytest.raises(InputError) as refused:
        check_nodes(EXECUTION)
    assert str(refused.value).count("does not answer in 20 s") == len(others)


def test_nodes_of_one_machine_read_each_others_files(
    others: dict[str, bool], tmp_path: Path
) -> None:
    assert read_each_others_files(tmp_path) == []
    assert list(tmp_path.iterdir()) == []

    wrong = read_each_others_files(tmp_path / "none")
    assert len(wrong) == len(others)
    assert all("cannot write there" in line for line in wrong)


def test_it_gets_no_trial_though_it_has_more_room(
    others: dict[str, bool], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    spec = small_spec(topologies=(0,), seeds=tuple(range(6)))
    store = make_sweep(tmp_path / "results", spec)
    plan = make_plan(spec, tmp_path / "results")
    agenda = Agenda(plan.left, plan.cells_found)
    recorder = Recorder(plan, agenda, Progress.of(plan, images=1), fingerprint=FINGERPRINT)
    run_on_ray(
        agenda,
        recorder,
        Interrupts(),
        execution=EXECUTION,
        images=split(load_dataset("digits"), DataOptions(dataset="digits")),
        paths=StorePaths(store.paths.folder),
        trainable=Noted,
    )
    recorder.close()

    ended = store.trials()[["status", "error"]].fillna("").to_numpy().tolist()
    assert ended == [["ok", ""]] * len(plan.trials)
    where = [path.name.partition("-") for path in store.paths.folder.glob("*-*")]
    assert sorted(trial for name, _, trial in where if name == "first") == sorted(plan.trials)
    assert not [trial for name, _, trial in where if name == "other"]
    (record,) = caplog.records
    assert "has torch 0.1; it gets no trial, since this driver has Python" in record.message
    assert len(others) == 2


def test_a_folder_that_a_node_does_not_see_is_a_remark(
    others: dict[str, bool], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = tmp_path / "sweep.json"
    manifest.write_text("{}", encoding="utf-8")
    (first,) = (node_id for node_id, is_other in others.items() if not is_other)

    seen = Watch(EXECUTION, manifest)
    assert (list(seen.passed), len(seen.refused)) == ([first], 1)
    assert "not visible" not in caplog.text
    caplog.clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("topo_sweep.runs.on_ray.watch.digest_of_file", lambda _: "another")
        unseen = Watch(EXECUTION, manifest)
    assert list(unseen.passed) == [first]
    assert "the results folder is not visible there, so checkpoints are not kept" in caplog.text
    caplog.clear()
    unseen.look()
    assert caplog.text == "", "each node is named once"
