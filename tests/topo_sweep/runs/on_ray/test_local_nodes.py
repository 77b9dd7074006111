"""What is started here is noted and ended, and nothing else is."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ray._common import utils
from ray._private import services

from nas_core.errors import InputError, TopoSweepError
from topo_sweep.runs.on_ray import local_nodes
from topo_sweep.runs.on_ray.local_nodes import (
    LOOPBACK,
    NodeRequest,
    is_loopback_only,
    start_node,
    state_folder,
    stop_nodes,
)
from topo_sweep.runs.processes import Process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

Call = tuple[list[str], dict[str, str]]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(utils, "get_ray_address_file", lambda _: tmp_path / "ray_current_cluster")


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that stand for those of Ray."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def calls(sleepers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """What Ray was told; instead of its node a process sleeps."""
    told: list[Call] = []

    def left_by(arguments: list[str], environment: dict[str, str]) -> set[Process]:
        told.append((arguments, environment))
        sleepers.append(subprocess.Popen(["sleep", "60"]))
        process = Process.of(sleepers[-1].pid)
        assert process is not None
        return {process}

    monkeypatch.setattr(local_nodes, "_left_by", left_by)
    return told


def the_note() -> Path:
    return state_folder() / "nodes.json"


def test_a_head_has_a_token_and_is_for_this_machine_alone(calls: list[Call]) -> None:
    node = start_node(NodeRequest(port=0, cpus=2, gpus=0))

    ((arguments, environment),) = calls
    assert environment == {
        "RAY_AUTH_MODE": "token",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    assert arguments[:3] == ["start", "--head", f"--node-ip-address={LOOPBACK}"]
    assert {"--include-dashboard=false", "--num-cpus=2", "--num-gpus=0"} <= set(arguments)
    assert node.address.startswith(f"{LOOPBACK}:")
    assert node.token is not None
    token = Path(node.token).read_text(encoding="ascii")
    assert token not in f"{arguments} {environment} {node} {the_note().read_text(encoding='utf-8')}"
    assert state_folder().stat().st_mode & 0o777 == 0o700


def test_only_who_asks_for_it_gets_a_head_without_a_token_or_on_a_network(
    calls: list[Call], tmp_path: Path
) -> None:
    node = start_node(NodeRequest(port=0, host="127.0.0.2", insecure=True))

    ((arguments, environment),) = calls
    assert environment == {"RAY_AUTH_MODE": "disabled"}
    assert "--node-ip-address=127.0.0.2" in arguments
    assert node.token is None
    assert not (tmp_path / "token").exists()


@pytest.mark.parametrize("mode", ["token", "disabled"])
def test_a_node_joins_in_the_mode_of_its_cluster(
    mode: str, calls: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_nodes, "mode_for", lambda _: {"RAY_AUTH_MODE": mode})
    monkeypatch.setattr(local_nodes, "is_loopback_only", lambda _: False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        node = start_node(NodeRequest(joins=address, host="127.0.0.3"))

    arguments = ["start", f"--address={address}", "--node-ip-address=127.0.0.3"]
    assert calls == [(arguments, {"RAY_AUTH_MODE": mode})]
    assert (node.address, node.is_head, node.token is None) == (address, False, mode == "disabled")


def test_what_cannot_be_started_is_refused_before_ray_is_called(calls: list[Call]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for request, why in (
            (NodeRequest(port=port), f"something listens at 127.0.0.1:{port} already"),
            (NodeRequest(joins="nowhere"), "--join has the form HOST:PORT, got 'nowhere'"),
            (NodeRequest(joins="127.0.0.1:9"), "nothing listens at 127.0.0.1:9"),
            (NodeRequest(port=0, host="192.0.2.99"), "--host 192.0.2.99 is no address of this"),
        ):
            with pytest.raises(InputError, match=why):
                start_node(request)
    assert calls == []
    assert stop_nodes() == []


def test_nothing_joins_a_head_that_only_its_own_machine_reaches(
    calls: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "resolve_ip_for_localhost", lambda _: "127.0.0.2")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(InputError, match="start it with --host"):
            start_node(NodeRequest(joins=address))
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104 - that is the point
        assert not is_loopback_only(f"127.0.0.1:{listener.getsockname()[1]}")
    assert calls == []


def test_what_was_started_is_ended_with_what_it_started_and_nobody_elses(
    calls: list[Call], sleepers: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    record = tmp_path / "ray_current_cluster"
    nobodys = subprocess.Popen(["sleep", "60"])
    sleepers.append(nobodys)
    first = start_node(NodeRequest(port=0))
    record.write_text(first.address, encoding="utf-8")

    assert stop_nodes() == [first]
    assert sleepers[1].wait() == -15
    assert nobodys.poll() is None
    assert not record.exists(), "Ray would look for it for minutes"
    assert stop_nodes() == []
    assert len(calls) == 1


@pytest.mark.parametrize("changed", ["start", "boot"])
def test_a_number_that_is_another_processs_by_now_is_not_ended(
    changed: str, calls: list[Call], sleepers: list[subprocess.Popen[bytes]]
) -> None:
    start_node(NodeRequest(port=0))
    note = json.loads(the_note().read_text(encoding="utf-8"))
    if changed == "boot":
        note["boot"] = "another"
    else:
        note["nodes"][0]["processes"][0]["start"] += 1
    the_note().write_text(json.dumps(note), encoding="utf-8")

    assert stop_nodes() == []
    assert sleepers[0].poll() is None
    assert len(calls) == 1


def test_a_damaged_note_is_refused_by_name(calls: list[Call]) -> None:
    start_node(NodeRequest(port=0))
    for text in ("{", "[]", '{"nodes": []}', "7"):
        the_note().write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=r"nodes\.json is damaged"):
            stop_nodes()
    assert len(calls) == 1


def test_where_ray_fails_its_last_line_is_told_and_nothing_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    left = tmp_path / "left"
    program.write_text(
        f"#!/bin/sh\necho much\necho no room\n(sleep 60 & echo $! > {left})\nexit 3\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    with pytest.raises(TopoSweepError, match=r"^Ray could not start a node: no room$"):
        start_node(NodeRequest(port=0))

    assert Process.of(int(left.read_text(encoding="utf-8"))) is None
    assert json.loads(the_note().read_text(encoding="utf-8"))["nodes"] == []


def test_what_cannot_be_noted_does_not_stay(
    calls: list[Call], sleepers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local_nodes, "write_durably", full)
    with pytest.raises(TopoSweepError, match=r"cannot write .*: No space left on device; XDG_"):
        start_node(NodeRequest(port=0))

    assert sleepers[0].wait() == -15
    assert len(calls) == 1


def test_ctrl_c_leaves_nothing_of_a_node_that_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    before = iter([set(), {Process.of(left.pid)}])
    monkeypatch.setattr(local_nodes, "below", lambda _: next(before))
    monkeypatch.setattr(subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start_node(NodeRequest(port=0))

    assert left.wait() == -15
    assert json.loads(the_note().read_text(encoding="utf-8"))["nodes"] == []
    assert (tmp_path / "token").is_file()


def test_what_a_command_leaves_running_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\n(sleep 60 &)\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    node = start_node(NodeRequest(port=0))

    (process,) = node.processes
    assert process.is_running
    assert replace(node, processes=(process,)) == node
    assert stop_nodes() == [node]
    os.waitpid(process.pid, 0)
