"""What Ray adds to trials that train nothing; all of them are on disk in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_core.errors import TopoSweepError
from topo_sweep.bench import ray_cost
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.recorder import Recorder
from topo_sweep.store.manifest import read_manifest


@pytest.mark.long
def test_both_ways_are_measured_by_the_trial() -> None:
    figures = ray_cost.ray_figures(trials=3, repeats=1, tell=lambda _: None)

    ray, alone = figures["sides"]
    assert (ray["side"], alone["side"]) == ("with Ray", "without Ray")
    assert ray["start_seconds"] > 0
    assert alone["of_without_ray"] == 1.0
    assert len(ray_cost.ray_text(figures).splitlines()) == 3


def test_trials_without_ray_are_recorded_like_any(tmp_path: Path) -> None:
    plan = ray_cost.plan_of(3, tmp_path)
    assert read_manifest(plan.store.paths.manifest) == plan.manifest
    agenda = Agenda(plan.left, plan.cells_found)
    recorder = Recorder(plan, agenda, Progress.of(plan, images=1), fingerprint="none")

    ray_cost.without_ray(agenda, recorder)
    recorder.close()

    ray_cost.check_all_are_there(plan.store, 3)
    with pytest.raises(TopoSweepError, match="trials were lost"):
        ray_cost.check_all_are_there(plan.store, 4)


def test_lost_trials_are_no_fast_ones() -> None:
    with pytest.raises(TopoSweepError, match="trials were lost"):
        ray_cost._timed(lambda _agenda, _recorder: None, 2)
