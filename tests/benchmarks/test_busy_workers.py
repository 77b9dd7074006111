"""How many workers are busy: from noted times, and once on a Ray cluster of this machine."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.benchmarks.conftest import RunScript, Script
from topo_sweep.bench.ray_cost import without_ray
from topo_sweep.bench.record import figures_of
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.recorder import Recorder


def measured(
    script: Script,
    starts: list[tuple[float, int]],
    ends: list[float],
    *,
    joined_at: float | None = None,
) -> dict[str, Any]:
    """Return figures of two workers and trials of 10 s that began at 0; one may join."""
    timeline = SimpleNamespace(
        starts=starts, ends=[(end, 0.0) for end in ends], joined_at=joined_at
    )
    here = 2 if joined_at is None else 1
    figures: dict[str, Any] = script("busy_workers").measured(
        timeline, began=0.0, workers=2, here=here, members=1, seconds=10.0
    )
    return figures


def test_busy_after_a_minute_counts_workers_that_have_not_started_yet(script: Script) -> None:
    starts = [(50.0, 1), (60.0, 1), (70.0, 1), (80.0, 2), (80.0, 2), (90.0, 2), (90.0, 2)]
    figures = measured(script, starts, [60.0, 70.0, 80.0, 90.0, 90.0, 100.0, 100.0])

    assert figures["seconds_until_first_works"] == 50
    assert figures["seconds_until_all_work"] == 80
    assert figures["busy_from_then_on"] == 2
    assert figures["busy_after_a_minute"] == pytest.approx((1 + 1 + 2) / 3)


def test_what_was_not_to_be_measured_is_no_figure(script: Script) -> None:
    figures = measured(script, [(5.0, 1), (15.0, 1)], [15.0, 25.0])

    assert figures == {"seconds_until_first_works": 5.0}


def test_a_node_works_when_more_run_than_were_here(script: Script) -> None:
    starts = [(5.0, 1), (15.0, 1), (23.0, 2)]
    assert measured(script, starts, [15.0], joined_at=20.0)["seconds_until_the_node_works"] == 3

    never = measured(script, [(5.0, 1), (15.0, 1)], [15.0], joined_at=20.0)
    assert never == {"seconds_until_first_works": 5.0}


def test_figures_of_a_run_are_kept(
    script: Script, run_script: RunScript, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # tests/topo_sweep/runs/on_ray/test_driver_workers.py has sleeping trials on a cluster.
    busy_workers = script("busy_workers")
    nodes = SimpleNamespace(address="127.0.0.1:0", shutdown=lambda: None)
    monkeypatch.setattr(busy_workers, "Cluster", lambda **_: nodes)
    monkeypatch.setattr(busy_workers.cluster, "connected", lambda **_: nullcontext("no Ray"))

    def with_ray(agenda: Agenda, timeline: Recorder, _: object, *, joined: bool) -> None:
        assert joined, "nodes of a cluster are asked before they train"
        without_ray(agenda, timeline)

    monkeypatch.setattr(busy_workers, "with_ray", with_ray)
    file = tmp_path / "busy.json"

    options = ("--cpus", "2", "--seconds", "0.1", "--minutes", "0.02", "--pack", "2")
    run_script("busy_workers", *options, "--json", str(file))

    assert figures_of(file)["seconds_until_first_works"] > 0
