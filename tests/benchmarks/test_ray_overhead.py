"""What trials that train nothing cost, at a tiny size."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.benchmarks.conftest import RunScript, Script
from topo_sweep.bench.ray_cost import without_ray
from topo_sweep.bench.record import figures_of


def test_trials_are_measured_from_begin_to_end(script: Script) -> None:
    figures = script("ray_overhead").measured(without_ray, 9)

    assert figures["seconds_a_trial"] > 0
    assert figures["last_to_first"] > 0
    assert figures["files"] == 2


def test_both_ways_are_measured_and_kept(
    script: Script, run_script: RunScript, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # tests/topo_sweep/bench/test_ray_cost.py has the same trials with Ray.
    ray_overhead = script("ray_overhead")
    monkeypatch.setattr(ray_overhead, "with_ray", without_ray)
    monkeypatch.setattr(ray_overhead.cluster, "connected", lambda **_: nullcontext("no Ray"))
    file = tmp_path / "ray.json"

    run_script("ray_overhead", "--trials", "9", "--json", str(file))

    figures = figures_of(file)
    assert figures["seconds_a_trial"] > 0
    assert figures["seconds_a_trial_without_ray"] > 0
    assert figures["seconds_to_shut_ray_down"] > 0
