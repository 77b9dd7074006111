"""Joining a Ray cluster: one that runs, one that does not, one whose GPUs are not there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from tests.conftest import TINY
from tests.integration.new_user import new_user, ran
from tests.integration.processes import is_running, kill
from tests.program import refused

HEAD, SECOND = "127.0.0.2", "127.0.0.3"  # Ray turns 127.0.0.1 into the address of a network card
SHIPPED = ("run", "demo", *TINY, "--topologies", "0,179")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="nodes are started on Linux alone")


@dataclass
class User:
    """Who starts nodes here."""

    folder: Path
    environment: dict[str, str]
    head: str = ""
    pids: list[int] = field(default_factory=list)
    """What was started."""

    def program(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `topo-sweep`."""
        command = ("-m", "topo_sweep", *arguments)
        return ran(command, self.folder, self.environment | variables)


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    """Start a head without CPUs, and a second node that says it has a GPU."""
    user = User(*new_user())
    note = user.folder / "state" / "topo-sweep" / "nodes.json"
    try:
        head = ("--head", "--host", HEAD, "--port", "0", "--num-cpus", "0")
        begun = user.program("cluster", "start", *head)
        assert begun.returncode == 0, begun.stderr
        user.head = begun.stdout.split()[-1]
        join = ("--join", user.head, "--host", SECOND, "--num-cpus", "1", "--num-gpus", "1")
        joined = user.program("cluster", "start", *join)
        assert joined.returncode == 0, joined.stderr
        assert joined.stdout == f"node of the cluster at {user.head}\n"
        nodes = json.loads(note.read_text(encoding="utf-8"))["nodes"]
        user.pids += [process["pid"] for node in nodes for process in node["processes"]]
        yield user
    finally:
        if note.exists():
            user.program("cluster", "stop")
        kill(*filter(is_running, user.pids))
        shutil.rmtree(user.folder, ignore_errors=True)


@pytest.mark.long
@ON_LINUX
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_declared_gpu_that_pytorch_cannot_use_is_an_error_before_anything_is_written(
    user: User,
) -> None:
    ended = user.program(*SHIPPED, "--cluster", RAY_ADDRESS=user.head)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert not (user.folder / "results").exists()
    *_, table, line = ended.stderr.splitlines()
    assert "finds no CUDA device there" in table
    assert "finds no CUDA device" in line
    assert line.endswith("use --gpus-per-pack 0 to train on CPUs")


@pytest.mark.long
@ON_LINUX
def test_a_node_joins_with_the_token_of_its_head_and_both_are_stopped(user: User) -> None:
    another = {"RAY_AUTH_TOKEN_PATH": str(user.folder / "none")}
    without = user.program("cluster", "start", "--join", user.head, "--host", SECOND, **another)
    told = user.program("cluster", "info", "--address", user.head, "--format", "json")
    stopped = user.program("cluster", "stop")

    assert without.returncode == 2
    assert "wants a token: copy that of its head" in without.stderr
    nodes = json.loads(told.stdout)["nodes"]
    found = {node["address"]: (node["is_alive"], node["cpus"], node["gpus"]) for node in nodes}
    assert found == {HEAD: (True, 0, 0), SECOND: (True, 1, 1)}
    assert stopped.stdout.splitlines() == [
        f"stopped: node of the cluster {user.head}",
        f"stopped: head {user.head}",
    ]
    assert user.pids
    assert not any(map(is_running, user.pids))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "environment", "where"),
    [
        (("--address", "127.0.0.1:9"), {}, "127.0.0.1:9 (--address)"),
        (("--cluster",), {"RAY_ADDRESS": "127.0.0.1:9"}, "127.0.0.1:9 (RAY_ADDRESS)"),
    ],
)
def test_where_no_cluster_answers_one_line_says_where_it_looked_and_how_to_start_one(
    options: tuple[str, ...],
    environment: dict[str, str],
    where: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    line = refused(tmp_path, *SHIPPED, *options)

    assert line.startswith(f"topo-sweep: no Ray cluster answers at {where}")
    assert "topo-sweep cluster start --head" in line
