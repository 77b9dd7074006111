"""What nodes answered, in words; a real cluster is asked in `test_watch_cluster.py`."""

from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_core.errors import InputError
from nas_core.protocols.training import DataOptions
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.images import ImagesByPath
from topo_sweep.runs.on_ray import nodes
from topo_sweep.runs.on_ray.nodes import (
    ANSWER_SECONDS,
    NOT_LOOKED,
    NOT_READ,
    NodeFacts,
    check_nodes,
    fault,
    lack,
    nodes_table,
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
    assert lack(None, "read images") is None
    assert lack("finds no cifar10 there", "read images") == "finds no cifar10 there"
    assert lack(NOT_READ, "read images") == "has not read the images in 60 s"
    assert lack(ValueError("bad\nand more"), "read images") == "cannot read images (bad)"


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

    header, line = nodes_table([alive], {"images": {"a": "finds no cifar10 there"}}).splitlines()
    assert header.endswith(" images")
    assert line.endswith(" finds no cifar10 there")


@pytest.mark.parametrize("blind", ["finds no cifar10 there", None, NOT_READ])
def test_nodes_that_do_not_read_the_images_are_named_after_a_table_of_all(
    blind: str | Exception | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    addresses = ("10.0.0.1", "10.0.0.2")
    resources = {"Alive": True, "Resources": {"CPU": 2.0}}
    there = [{"NodeID": a, "NodeManagerAddress": a, **resources} for a in addresses]
    answers: dict[str, Any] = {"10.0.0.1": None, "10.0.0.2": blind}
    asked: list[tuple[object, ...]] = []

    def ask(node_id: str, _function: object, *question: object) -> str:
        asked.append(question)
        return node_id

    def heard(_asked: object, seconds: float) -> dict[str, Any]:
        if seconds == ANSWER_SECONDS:  # of versions
            return dict.fromkeys(addresses, HERE)
        return {key: answer for key, answer in answers.items() if answer is not NOT_READ}

    monkeypatch.setattr("ray.nodes", lambda: there)
    monkeypatch.setattr(nodes, "ask", ask)
    monkeypatch.setattr(nodes, "heard", heard)
    data = DataOptions(dataset="cifar10")
    by_path = ImagesByPath(folder=Path("/data"), data=data, fingerprint="abc")
    execution = Execution(cluster=True, gpus=0, ship_data=False)

    check_nodes(execution)
    assert asked == [(), ()]
    if blind is None:
        check_nodes(execution, by_path)
    else:
        with pytest.raises(InputError) as refused:
            check_nodes(execution, by_path)
        why = lack(blind, "read images")
        assert str(refused.value).startswith(
            f"node 10.0.0.2 {why}: with --no-ship-data each node reads /data, where this driver "
            "found cifar10 with fingerprint abc; "
        )
        (record,) = caplog.records
        _, first, second = record.message.splitlines()
        assert first.endswith(" as here")
        assert second.endswith(f" {why}")
    assert asked[-1] == ("cifar10", "/data", "abc")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("finds no CUDA device there", "finds no CUDA device there"),
        (NOT_LOOKED, "has not looked for its GPUs in 60 s"),
        (OSError("no library\nand more"), "cannot look for GPUs (no library)"),
        (None, None),
    ],
)
def test_where_workers_get_gpus_a_node_whose_pytorch_finds_none_is_named(
    answer: str | Exception | None,
    why: str | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    addresses = ("10.0.0.1", "10.0.0.2")
    resources = {"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}}
    there = [{"NodeID": a, "NodeManagerAddress": a, **resources} for a in addresses]
    waited: list[float] = []

    def heard(_asked: object, seconds: float) -> dict[str, Any]:
        waited.append(seconds)
        if seconds == ANSWER_SECONDS:  # of versions
            return dict.fromkeys(addresses, HERE)
        return {"10.0.0.1": None} | ({} if answer is NOT_LOOKED else {"10.0.0.2": answer})

    monkeypatch.setattr("ray.nodes", lambda: there)
    monkeypatch.setattr(nodes, "ask", lambda node_id, _: node_id)
    monkeypatch.setattr(nodes, "heard", heard)

    check_nodes(Execution(cluster=True, gpus=0))
    assert waited == [ANSWER_SECONDS], "no GPU is looked for where none is used"
    if why is None:
        check_nodes(Execution(cluster=True, gpus=0.5))
    else:
        with pytest.raises(InputError) as refused:
            check_nodes(Execution(cluster=True, gpus=0.5))
        assert str(refused.value).startswith(f"node 10.0.0.2 {why}: install a PyTorch and")
        assert str(refused.value).endswith("or use --gpus-per-pack 0 to train on CPUs")
        (record,) = caplog.records
        header, first, second = record.message.splitlines()
        assert header.endswith(" CUDA")
        assert first.endswith(" found")
        assert second.endswith(f" {why}")


def test_nodes_of_other_versions_are_named_after_a_table_of_all(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there = [
        {"NodeID": a, "NodeManagerAddress": a, "Alive": True, "Resources": {"CPU": 2.0}}
        for a in ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    ]
    answers = {"10.0.0.1": HERE, "10.0.0.2": {**HERE, "torch": "0.1"}}
    monkeypatch.setattr("ray.nodes", lambda: there)
    monkeypatch.setattr(nodes, "ask", lambda node_id, _: node_id)
    monkeypatch.setattr(nodes, "heard", lambda _asked, _seconds: answers)

    with pytest.raises(InputError) as refused:
        check_nodes(Execution(cluster=True, gpus=0))

    assert str(refused.value).startswith(
        "node 10.0.0.2 has torch 0.1; node 10.0.0.3 does not answer in 20 s; this driver has Python"
    )
    (record,) = caplog.records
    header, *lines = record.message.splitlines()
    assert header.split()[-4:] == list(HERE)
    assert [line.split()[0] for line in lines] == [node["NodeID"] for node in there]
    for line, versions in zip(lines, answers.values(), strict=False):
        assert line.split()[-4:] == list(versions.values())
    assert lines[2].endswith(" does not answer in 20 s")
