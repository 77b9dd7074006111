"""A short campaign of faults; `make chaos` runs long ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.chaos.campaign import REQUESTS, campaign

KINDS = (
    *("worker killed", "worker stopped", "node killed", "clock jumped", "disk full"),
    *("s3 down", "s3 answers lost", "s3 silent"),
)
"""Those after which no driver starts again, which takes as long as all the others."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_five_faults_of_a_cluster_and_of_s3_lose_repeat_and_change_nothing(tmp_path: Path) -> None:
    few = ("--topologies", "0-3")
    requests = {
        "packs": (*REQUESTS["packs"], *few, "--pack", "2"),
        "trainings on S3": (*REQUESTS["trainings on S3"], *few),
    }
    told: list[str] = []
    tally = campaign(
        tmp_path,
        faults=5,
        seed=289,
        kinds=KINDS,
        requests=requests,
        most_in_a_sweep=3,
        say=told.append,
    )

    assert tally.faults == 5, told
    assert tally.total.is_clean, f"{told}\n{tally.text()}"
