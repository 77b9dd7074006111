"""A short campaign of faults; `make chaos` runs long ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.chaos.campaign import REQUESTS, campaign

KINDS = (
    *("worker killed", "worker stopped", "node killed", "node stopped", "driver killed"),
    *("clock jumped", "disk full", "s3 down", "s3 answers lost", "s3 silent"),
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_five_faults_of_a_cluster_and_of_s3_lose_repeat_and_change_nothing(tmp_path: Path) -> None:
    requests = {
        name: (*REQUESTS[name], "--topologies", "0-3") for name in ("packs", "trainings on S3")
    }
    told: list[str] = []
    tally = campaign(
        tmp_path,
        faults=5,
        seed=3,
        kinds=KINDS,
        requests=requests,
        most_in_a_sweep=3,
        say=told.append,
    )

    assert sum(tally.injected.values()) == 5, told
    assert tally.is_clean, f"{told}\n{tally.text()}"
