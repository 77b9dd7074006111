"""A short campaign of faults; `make chaos` runs long ones."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from unittest.mock import Mock

import pytest

from tests.chaos.campaign import REQUESTS, campaign, disturbed
from tests.chaos.outcome import Outcome, Tally

OF_A_CLUSTER = ("worker killed", "worker stopped", "node killed", "clock jumped", "disk full")
"""Those after which no driver starts again, which takes as long as all the others."""
OF_S3 = ("s3 down", "s3 answers lost", "s3 silent")
FEW = ("--topologies", "0-3")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("kinds", "name", "more"),
    [
        pytest.param(OF_A_CLUSTER, "packs", ("--pack", "2"), marks=pytest.mark.slow),
        pytest.param((*OF_A_CLUSTER, *OF_S3), "trainings on S3", (), marks=pytest.mark.long),
    ],
)
def test_five_faults_lose_repeat_and_change_nothing(
    kinds: tuple[str, ...], name: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    told: list[str] = []
    tally = campaign(
        tmp_path,
        faults=5,
        seed=289,
        kinds=kinds,
        requests={name: (*REQUESTS[name], *FEW, *more)},
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
