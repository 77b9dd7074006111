"""What nodes answered, in words; a real cluster is asked in `test_watch_cluster.py`."""

from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import replace

import pytest

from topo_sweep.runs.execution import Execution
from topo_sweep.runs.on_ray.nodes import (
    NOT_READ,
    NodeFacts,
    fault,
    images_fault,
    nodes_table,
    places,
    versions_here,
)

HERE = versions_here()


def test_the_versions_that_matter_are_those_installed() -> None:
    assert HERE["Python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {name: HERE[name] for name in ("ray", "torch", "topo-sweep")} == {
        name: importlib.metadata.version(name) for name in ("ray", "torch", "topo-sweep")
    }


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (HERE, None),
        ({**HERE, "torch": "0.1"}, "has torch 0.1"),
        ({**HERE, "torch": "0.1", "topo-sweep": "none"}, "has torch 0.1, topo-sweep none"),
        (TimeoutError("does not answer in 20 s"), "does not answer in 20 s"),
        (ValueError("bad\nand more"), "cannot say which versions it has (bad)"),
    ],
)
def test_what_differs_is_named_and_nothing_else(
    answer: dict[str, str] | Exception, why: str | None
) -> None:
    assert fault(answer) == why


def test_why_a_node_does_not_read_the_images_is_said_in_words() -> None:
    assert images_fault(None) is None
    assert images_fault("finds no cifar10 there") == "finds no cifar10 there"
    assert images_fault(NOT_READ) == "has not read the images in 60 s"
    assert images_fault(ValueError("bad\nand more")) == "cannot read images (bad)"


def test_a_table_has_a_line_a_node() -> None:
    alive = NodeFacts(
        node_id="a",
        address="10.0.0.1",
        is_alive=True,
        cpus=8,
        gpus=0.5,
        memory_bytes=2**33,
        versions=HERE,
    )
    silent = replace(alive, versions=None, problem="does not answer in 20 s")
    dead = replace(alive, versions=None, is_alive=False)

    _, first, second, third = nodes_table([alive, silent, dead]).splitlines()
    assert first.split() == ["10.0.0.1", "alive", "8", "0.5", "8.0", "GiB", *HERE.values()]
    assert second.endswith("does not answer in 20 s")
    assert third.split() == ["10.0.0.1", "dead", "8", "0.5", "8.0", "GiB"]

    header, line = nodes_table([alive], {"a": "finds no cifar10 there"}).splitlines()
    assert header.endswith(" images")
    assert line.endswith(" finds no cifar10 there")


def test_a_node_holds_workers_by_what_it_has_least_of() -> None:
    node = {"Resources": {"CPU": 8.0, "GPU": 1.0}}
    assert places(Execution(gpus=0, cpus=3), node) == 2
    assert places(Execution(gpus=0.25, cpus=1), node) == 4
    assert places(Execution(gpus=0, cpus=1), {"Resources": {}}) == 0
