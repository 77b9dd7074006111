"""A short campaign of faults; `make chaos` runs long ones."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from unittest.mock import Mock

import pytest

from tests.chaos.campaign import REQUESTS, campaign, disturbed
from tests.chaos.outcome import Outcome, Tally

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


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (0, "done: 4 of 4 trials are kept", Outcome()),
        (1, "1 failed in all: see topo-sweep status, and run again with --retry-failed", Outcome()),
        (None, "", Outcome(unended=1)),
        (-9, "", Outcome(unended=1)),
    ],
)
def test_a_sweep_ends_where_nothing_is_left_to_do_or_is_counted_as_unended(
    code: int | None, said: str, expected: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.chaos.campaign._MOST_SECONDS", 0.1)
    scene = Mock(random=Random(0), driver=Mock(ended=code, said=said))  # noqa: S311 - no secret

    assert disturbed(scene, Tally(), 9, ["worker killed"], print) == ([], expected)
    assert scene.driver.start.called == (code == -9)
    assert scene.driver.kill.called == scene.cluster.end.called == bool(expected.unended)
