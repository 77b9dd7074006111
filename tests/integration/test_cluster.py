"""Joining a Ray cluster: one that runs, one that does not, one whose GPUs are not there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.conftest import TINY, Run
from tests.integration.processes import children, kill
from tests.integration.small_searches import SWEEP, assert_same_rows
from tests.program import refused

# Ray reads a token once a process, so who joins is a program of its own.
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "5" * 64}
SHIPPED = ("run", "demo", *TINY, "--topologies", "0,179")
HOST = "127.0.0.2"  # Ray turns 127.0.0.1 into the address of a network card


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def alone() -> dict[str, str]:
    """Return the variables of a process that knows no cluster but the one with this token."""
    return {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | TOKEN


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A one-node Ray cluster that says it has a GPU; its address."""
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
            *(f"--port={port}", f"--node-ip-address={HOST}", "--disable-usage-stats"),
            *("--num-cpus=1", "--num-gpus=1", "--include-dashboard=false"),
        ],
        env=alone(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_answers(f"{HOST}:{port}", process)
        yield f"{HOST}:{port}"
    finally:
        below = children(process.pid)
        process.terminate()
        process.wait(timeout=60)
        kill(*below)


def wait_until_it_answers(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a client gets in, which under load takes longer than until a port listens."""
    program = f"import ray; ray.init({address!r}); assert ray.cluster_resources()['GPU'] == 1"
    client = (sys.executable, "-c", program)
    for _ in range(20):
        time.sleep(1)
        assert process.poll() is None, "ray start ended"
        if not subprocess.run(client, env=alone(), capture_output=True, check=False).returncode:
            return
    pytest.fail("the cluster did not come up")


@pytest.mark.slow
def test_searches_and_their_evaluations_join_a_running_cluster_and_give_the_same_rows(
    cluster: str, here: Path, whole: Path, run: Run
) -> None:
    request = (*SWEEP, "--seeds", "20", "--cluster", "--gpus-per-pack", "0")
    joined = run(*request, RAY_ADDRESS=cluster, **TOKEN)

    assert joined.returncode == 0, joined.stderr
    assert "Ray cluster with 1 node, 1 CPUs, 1 GPUs; 1 CPU a trial, no GPU" in joined.stderr
    assert_same_rows(here / "results", whole, seeds=(20,))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("option", [(), ("--gpus-per-pack", "0.5")])
def test_a_declared_gpu_that_pytorch_cannot_use_is_an_error_before_anything_is_written(
    option: tuple[str, ...], cluster: str, tmp_path: Path, run: Run
) -> None:
    ended = run(*SHIPPED, "--address", cluster, *option, **TOKEN)

    assert (ended.returncode, ended.stdout, list(tmp_path.iterdir())) == (2, "", [])
    (line,) = ended.stderr.splitlines()
    assert "finds no CUDA device" in line
    assert line.endswith("use --gpus-per-pack 0 to train on CPUs")


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
