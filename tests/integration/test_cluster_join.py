"""A head that `topo-sweep cluster start` started, and a node of the same machine that joins it."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from tests.integration.new_user import new_user, ran
from tests.integration.processes import is_running, kill

HEAD, SECOND = "127.0.0.2", "127.0.0.3"  # Ray turns 127.0.0.1 into the address of a network card


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="nodes are started on Linux alone")
def test_a_node_joins_with_the_token_of_its_head_and_both_are_stopped() -> None:
    folder, environment = new_user()
    note = folder / "state" / "topo-sweep" / "nodes.json"
    pids: list[int] = []

    def cluster(*arguments: str, **variables: str) -> tuple[int, str, str]:
        command = ("-m", "topo_sweep", "cluster", *arguments)
        ended = ran(command, folder, environment | variables)
        return ended.returncode, ended.stdout, ended.stderr

    try:
        begun = cluster("start", "--head", "--host", HEAD, "--port", "0", "--num-cpus", "0")
        assert begun[0] == 0, begun
        address = begun[1].split()[-1]
        join = ("start", "--join", address, "--host", SECOND, "--num-cpus", "1")
        without = cluster(*join, RAY_AUTH_TOKEN_PATH=str(folder / "none"))
        joined = cluster(*join)
        nodes = json.loads(note.read_text(encoding="utf-8"))["nodes"]
        pids += [process["pid"] for node in nodes for process in node["processes"]]
        info = json.loads(cluster("info", "--address", address, "--format", "json")[1])

        assert (without[0], "wants a token: copy that of its head" in without[2]) == (2, True)
        assert (joined[0], joined[1]) == (0, f"node of the cluster at {address}\n")
        found = {node["address"]: (node["is_alive"], node["cpus"]) for node in info["nodes"]}
        assert found == {HEAD: (True, 0), SECOND: (True, 1)}
    finally:
        stopped = cluster("stop")
        left = [pid for pid in pids if is_running(pid)]
        kill(*left)
        shutil.rmtree(folder, ignore_errors=True)
    assert stopped[1].splitlines() == [
        f"stopped: node of the cluster {address}",
        f"stopped: head {address}",
    ]
    assert left == []
