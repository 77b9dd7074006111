"""A short campaign of faults; `make chaos` runs long ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.chaos.campaign import campaign


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_five_faults_lose_repeat_and_change_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    tally = campaign(tmp_path, faults=5, seed=7, requests=["packs"], say=told.append)

    assert sum(tally.injected.values()) == 5, told
    assert tally.is_clean, f"{told}\n{tally.text()}"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_faults_of_s3_and_of_a_driver_lose_repeat_and_change_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    kinds = ("s3 down", "s3 answers lost", "s3 silent", "driver killed", "ctrl c")
    requests = ["trainings on S3"]
    tally = campaign(tmp_path, faults=2, seed=3, kinds=kinds, requests=requests, say=told.append)

    assert sum(tally.injected.values()) == 2, told
    assert tally.is_clean, f"{told}\n{tally.text()}"
