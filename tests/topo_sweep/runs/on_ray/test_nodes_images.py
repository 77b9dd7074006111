"""A real cluster of two nodes, of which one cannot read the folder of the images."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ray.cluster_utils import Cluster

from nas_core.errors import InputError
from nas_core.protocols.training import DataOptions
from tests.conftest import comparable
from tests.nas_core.data.cifar_files import write_cifar10_batches
from tests.topo_sweep.runs.on_ray.lean_nodes import lean
from tests.topo_sweep.runs.pack_run import curves, spec
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.sweep import RunResult, run

SWEEP = spec(batch_size=4).model_copy(
    update={"data": DataOptions(dataset="cifar10"), "topologies": (0, 17)}
)

BLIND = """
import os, sys
def refuse(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith({folder!r}):
        raise PermissionError(13, "Permission denied", str(arguments[0]))
sys.addaudithook(refuse)
"""


def blind(packages: Path, folder: Path) -> dict[str, str]:
    """Return the variables of a node whose processes may read nothing in this folder."""
    packages.mkdir()
    hook = BLIND.format(folder=str(folder))
    (packages / "sitecustomize.py").write_text(hook, encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(packages), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.long
def test_a_node_that_cannot_read_the_images_is_named_in_a_table_and_others_read_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data"
    write_cifar10_batches(folder)
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1} | lean())

    def run_of(results: str, **how: Any) -> RunResult:
        execution = Execution(gpus=0, checkpoint_seconds=0, data_dir=folder, partial_data=True)
        return run(make_plan(SWEEP, tmp_path / results), replace(execution, **how))

    def run_there(results: str) -> RunResult:
        there = {"cluster": True, "address": nodes.address, "insecure": True}
        return run_of(results, ship_data=False, **there)

    try:
        other = nodes.add_node(num_cpus=1, **lean(**blind(tmp_path / "packages", folder)))
        with pytest.raises(InputError) as refused:
            run_there("none")
        nodes.remove_node(other)
        assert run_there("read").progress.ok == 2
    finally:
        nodes.shutdown()

    assert not (tmp_path / "none").exists()
    (table,) = (r.message for r in caplog.records if r.message.startswith("node "))
    header, *lines = table.splitlines()
    assert header.split()[-1] == "images"
    assert sorted(line.endswith(" as here") for line in lines) == [False, True]
    assert sum(f" cannot read cifar10 there (cannot read {folder}" in line for line in lines) == 1
    line = str(refused.value)
    assert line.count("node ") - line.count("each node ") == 1
    assert f"with --no-ship-data each node reads {folder}, where this driver found cifar10" in line
    run_of("given", executor="inline")
    for rows in (comparable, curves):
        pd.testing.assert_frame_equal(
            rows(tmp_path / "given"), rows(tmp_path / "read"), check_exact=True
        )
