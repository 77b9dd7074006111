"""`topo-sweep cluster` as its reader sees it; real clusters are in tests/integration."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.program import done, refused
from topo_sweep.runs.on_ray import cluster, local_nodes, nodes
from topo_sweep.runs.on_ray.local_nodes import Node, NodeRequest
from topo_sweep.runs.on_ray.nodes import NodeFacts

VERSIONS = {"Python": "3.11", "ray": "2.60.0", "torch": "2.14.1", "topo-sweep": "0.1.0"}


def starts(monkeypatch: pytest.MonkeyPatch, place: str | None) -> list[NodeRequest]:
    """Let nodes start at once; return what was asked for."""
    requests: list[NodeRequest] = []

    def start_node(request: NodeRequest) -> Node:
        requests.append(request)
        is_head = request.joins is None
        address = request.joins or f"127.0.0.1:{request.port}"
        return Node(address=address, is_head=is_head, token=place, processes=())

    monkeypatch.setattr(local_nodes, "start_node", start_node)
    return requests


def test_a_head_says_where_it_is_and_where_its_token_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = starts(monkeypatch, place="kept/there")

    ended = done(tmp_path, "cluster", "start", "--head", "--port", "7", "--num-cpus", "2")

    assert ended.output == "head at 127.0.0.1:7\n"
    assert ended.errors == "token: kept/there; whoever has it can run code as you\n"
    assert requests == [NodeRequest(port=7, cpus=2)]
    said = done(tmp_path, "cluster", "start", "--head", "--host", "10.0.0.1").errors
    assert "Ray listens on every interface of this machine" in said


def test_who_joins_a_cluster_that_lets_anybody_in_is_warned_unless_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts(monkeypatch, place=None)
    joins = ("cluster", "start", "--join", "10.0.0.1:6379")

    ended = done(tmp_path, *joins)

    assert ended.output == "node of the cluster at 10.0.0.1:6379\n"
    (warning,) = ended.errors.splitlines()
    assert warning.startswith("warning: the cluster at 10.0.0.1:6379 asks for no token: anybody")
    assert "run any code as you" in warning
    assert done(tmp_path, *joins, "--insecure").errors == ""


@pytest.mark.parametrize("options", [(), ("--head", "--join", "10.0.0.1:6379")])
def test_a_node_either_begins_a_cluster_or_joins_one(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    line = refused(tmp_path, "cluster", "start", *options)
    assert line.endswith("give --head to begin a cluster, or --join HOST:PORT to join one")


def test_what_was_stopped_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = [Node(address="10.0.0.1:6379", is_head=True, token=None, processes=())]
    monkeypatch.setattr(local_nodes, "stop_nodes", lambda: stopped)
    assert done(tmp_path, "cluster", "stop").output == "stopped: head 10.0.0.1:6379\n"

    stopped.clear()
    ended = done(tmp_path, "cluster", "stop")
    assert (ended.output, ended.errors.count("\n")) == ("", 1)


def test_each_node_is_a_line_or_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def connected(**_: object) -> Iterator[str]:
        yield "there"

    common: dict[str, Any] = {"cpus": 8.0, "gpus": 1.0, "memory_bytes": 2.0**34}
    dead: dict[str, Any] = {"cpus": 0.0, "gpus": 0.0, "memory_bytes": 0.0}
    facts = [
        NodeFacts(node_id="a", address="10.0.0.1", is_alive=True, versions=VERSIONS, **common),
        NodeFacts(node_id="b", address="10.0.0.2", is_alive=True, problem="is silent", **common),
        NodeFacts(node_id="c", address="10.0.0.3", is_alive=False, **dead),
    ]
    monkeypatch.setattr(cluster, "connected", connected)
    monkeypatch.setattr(cluster, "asks_for_token", lambda: True)
    monkeypatch.setattr(nodes, "nodes_of_now", lambda: facts)

    head, *lines, last = done(tmp_path, "cluster", "info").output.splitlines()
    assert head.split()[:5] == ["node", "state", "CPUs", "GPUs", "memory"]
    assert lines[0].split()[:6] == ["10.0.0.1", "alive", "8", "1", "16.0", "GiB"]
    assert lines[0].split()[6:] == list(VERSIONS.values())
    assert lines[1].endswith("is silent")
    assert lines[2].split()[:2] == ["10.0.0.3", "dead"]
    assert last == "token: the cluster asks for one"

    record = json.loads(done(tmp_path, "cluster", "info", "--format", "json").output)
    assert record["token"] is True
    assert [node["address"] for node in record["nodes"]] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert record["nodes"][0]["versions"] == VERSIONS
