"""What Ray adds to trials that train nothing; all of them are on disk in the end."""

from __future__ import annotations

import pytest

from nas_core.errors import TopoSweepError
from topo_sweep.bench import ray_cost


@pytest.mark.slow
def test_both_ways_are_measured_by_the_trial() -> None:
    figures = ray_cost.ray_figures(trials=3, repeats=1, tell=lambda _: None)

    ray, alone = figures["sides"]
    assert (ray["side"], alone["side"]) == ("with Ray", "without Ray")
    assert ray["start_seconds"] > 0
    assert alone["of_without_ray"] == 1.0
    assert len(ray_cost.ray_text(figures).splitlines()) == 3


def test_lost_trials_are_no_fast_ones() -> None:
    with pytest.raises(TopoSweepError, match="trials were lost"):
        ray_cost._timed(lambda _agenda, _recorder: None, 2)
