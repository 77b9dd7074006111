"""Joining a Ray cluster: one that runs, one that does not, one whose GPUs are not there."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.conftest import TINY, Run, comparable
from tests.integration.program import comparable_alphas, comparable_searches
from tests.integration.test_crash import children

TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "5" * 64}
SWEEP = ("run", "demo", *TINY, "--topologies", "0,179")
HOST = "127.0.0.2"  # Ray turns 127.0.0.1 into the address of a network card


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A one-node Ray cluster that says it has a GPU; its address."""
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    ray = shutil.which("ray", path=str(Path(sys.executable).parent))
    assert ray is not None
    process = subprocess.Popen(
        [
            *(ray, "start", "--head", f"--port={port}", "--block", "--disable-usage-stats"),
            *("--num-cpus=2", "--num-gpus=1", "--include-dashboard=false"),
            f"--node-ip-address={HOST}",
        ],
        env=environment | TOKEN,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_listening(port, process)
        yield f"{HOST}:{port}"
    finally:
        below = children(process.pid)
        process.terminate()
        process.wait(timeout=60)
        for pid in below:
            subprocess.run(["kill", str(pid)], stderr=subprocess.DEVNULL, check=False)


def wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "ray start ended"
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            time.sleep(3)  # the node registers after its first port listens
            return
    pytest.fail("the cluster did not come up")


@pytest.mark.slow
def test_cluster_joins_a_running_cluster_and_gives_the_same_rows(
    run: Run, cluster: str, tmp_path: Path
) -> None:
    joined = run(
        *SWEEP,
        "--cluster",
        "--gpus-per-pack",
        "0",
        "--results",
        "ray",
        RAY_ADDRESS=cluster,
        **TOKEN,
    )
    alone = run(*SWEEP, "--executor", "inline", "--results", "inline")

    assert (joined.returncode, alone.returncode) == (0, 0), joined.stderr + alone.stderr
    assert "Ray cluster with 1 node, 2 CPUs, 1 GPUs; 1 CPU a trial, no GPU" in joined.stderr
    assert comparable(tmp_path / "ray").equals(comparable(tmp_path / "inline"))


@pytest.mark.slow
def test_searches_and_their_evaluations_run_on_a_cluster_and_give_the_same_rows(
    run: Run, cluster: str, tmp_path: Path
) -> None:
    sweep = (
        *("run", "table2", *TINY, "--seeds", "0", "--set", "search.init_channels=2"),
        *("--set", "search.cells=2", "--set", "search.epochs=1", "--set", "search.alpha_order=1"),
    )
    joined = run(
        *(*sweep, "--cluster", "--gpus-per-pack", "0", "--results", "ray"),
        **{"RAY_ADDRESS": cluster, **TOKEN},
    )
    alone = run(*sweep, "--executor", "inline", "--results", "inline")

    assert (joined.returncode, alone.returncode) == (0, 0), joined.stderr + alone.stderr
    assert "Ray cluster with 1 node, 2 CPUs, 1 GPUs; 1 CPU a trial, no GPU" in joined.stderr
    for frame in (comparable_searches, comparable_alphas, comparable):
        rows = frame(tmp_path / "ray")
        pd.testing.assert_frame_equal(rows, frame(tmp_path / "inline"), check_exact=True)
        assert len(rows) == 4, "four methods, an epoch and an evaluation each"


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("option", [(), ("--gpus-per-pack", "0.5")])
def test_a_declared_gpu_that_pytorch_cannot_use_is_an_error_before_anything_is_written(
    option: tuple[str, ...], run: Run, cluster: str, tmp_path: Path
) -> None:
    result = run(*SWEEP, "--address", cluster, *option, **TOKEN)

    assert result.returncode == 2
    last = result.stderr.splitlines()[-1]
    assert "finds no CUDA device" in last
    assert last.endswith("use --gpus-per-pack 0 to train on CPUs")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("options", "environment", "where"),
    [
        (("--address", "127.0.0.1:9"), {}, "127.0.0.1:9 (--address)"),
        (("--cluster",), {"RAY_ADDRESS": "127.0.0.1:9"}, "127.0.0.1:9 (RAY_ADDRESS)"),
    ],
)
def test_where_no_cluster_answers_one_line_says_where_it_looked_and_how_to_start_one(
    options: tuple[str, ...], environment: dict[str, str], where: str, run: Run, tmp_path: Path
) -> None:
    result = run(*SWEEP, *options, **environment)

    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"topo-sweep: no Ray cluster answers at {where}")
    assert "ray start --head" in line
    assert not (tmp_path / "results").exists()
