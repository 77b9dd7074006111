"""How many workers a node holds, and what is said of nodes that hold none or too many."""

from __future__ import annotations

from typing import Any

import pytest

from topo_sweep.runs.execution import Execution
from topo_sweep.runs.on_ray.room import places, remarks


def node(gib: float = 64.0, *, is_alive: bool = True, **resources: float) -> dict[str, Any]:
    return {
        "NodeManagerAddress": "10.0.0.1",
        "Alive": is_alive,
        "Resources": {"memory": gib * 2**30, **resources},
    }


def test_a_node_holds_workers_by_what_it_has_least_of() -> None:
    there = node(CPU=8.0, GPU=1.0)

    assert places(Execution(gpus=0, cpus=3), there) == 2
    assert places(Execution(gpus=0.25, cpus=1), there) == 4
    assert places(Execution(gpus=0, cpus=1), node()) == 0


def test_a_node_whose_gpus_are_missing_is_named() -> None:
    nodes = [node(CPU=8.0), node(CPU=8.0, GPU=2.0)]

    (remark,) = remarks(Execution(gpus=1.0, cpus=2), nodes)

    assert remark == (
        "node 10.0.0.1 gets no worker: it lends 8 CPU and 0 GPU, and one takes 2 CPU and 1 GPU"
    )


def test_a_node_with_too_little_memory_for_its_workers_is_named() -> None:
    (remark,) = remarks(Execution(gpus=0, cpus=1), [node(3.5, CPU=4.0), node(4.0, CPU=4.0)])

    assert remark.startswith("node 10.0.0.1 lends 3.5 GiB of memory to 4 workers, of which each")
    assert remark.endswith("start it with fewer CPUs (--num-cpus)")


@pytest.mark.parametrize("there", [node(CPU=2.0), node(0.1), node(0.1, is_alive=False, CPU=8.0)])
def test_nothing_is_said_of_a_node_that_holds_workers_or_is_not_to_train(
    there: dict[str, Any],
) -> None:
    assert not list(remarks(Execution(gpus=0, cpus=1), [there]))
