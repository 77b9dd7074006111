"""The script for SLURM with the real Ray and the real program, on two nodes that are namespaces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.slurm_stand_ins import SCRIPT, Slurm
from tests.deploy.two_nodes import ADDRESSES, SRUN, two_nodes, why_not
from topo_sweep import load_results

DEMO = (
    *("demo", "--topologies", "0,179", "--epochs", "1", "--train-limit", "64"),
    *("--set", "init_channels=2", "--set", "cells=3"),
)
PROGRAM = f'exec {sys.executable} -m topo_sweep "$@"'
RAY = f'exec {sys.executable} -m ray.scripts.scripts "$@"'

REASON = why_not()


@pytest.mark.long
@pytest.mark.skipif(bool(REASON), reason=REASON)
def test_a_sweep_on_two_nodes_ends_with_every_row_and_given_again_has_nothing_to_do(
    tmp_path: Path,
) -> None:
    slurm = Slurm(tmp_path)
    for name, text in {"srun": SRUN, "ray": RAY, "topo-sweep": PROGRAM}.items():
        slurm.stand_in(name, text)
    environment = slurm.environment(
        SLURMD_NODENAME=ADDRESSES[0],
        SLURM_CPUS_PER_TASK="1",
        SLURM_GPUS_ON_NODE="0",
        SECOND=str(tmp_path / "nodes" / "2"),
        RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT="90",
        # How long the second node waits for a head that is gone: a minute is Ray's default.
        RAY_gcs_rpc_server_reconnect_timeout_s="5",
    )

    def job() -> str:
        ended = subprocess.run(
            [*first, "bash", str(SCRIPT), *DEMO],
            cwd=slurm.submitted,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stderr

    with two_nodes(tmp_path / "nodes") as first:
        said = job()
        slurm.stand_in("ray", 'until [[ $1 == -- ]]; do shift; done; shift; exec "$@"')
        slurm.stand_in("srun", 'while [[ $1 == --* ]]; do shift; done; exec "$@"')
        again = job()

    assert "Ray cluster with 2 nodes, 2 CPUs, 0 GPUs" in said
    assert "done: 2 of 2 trials are kept" in said
    assert "nothing to do: all 2 trials are in" in again
    (results,) = (slurm.submitted / "results").iterdir()
    rows = load_results(results)
    assert sorted(rows["topology"]) == [0, 179]
    assert set(rows["status"]) == {"ok"}
    assert list(slurm.submitted.iterdir()) == [results.parent]
