"""Searches side by side and one by one, at a tiny size."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_core.networks.kernels import switch
from tests.benchmarks.conftest import RunScript
from topo_sweep.bench.record import figures_of


@pytest.mark.long
@pytest.mark.slow  # five cells of all edges and operations, of four searches
@pytest.mark.usefixtures("one_thread")
def test_both_kinds_of_steps_are_compared(
    run_script: RunScript, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(switch, "MODELS_UP_TO", switch.MODELS_UP_TO)  # as before in the end
    file = tmp_path / "searches.json"

    size = ("--seeds", "2", "--channels", "2", "--batch", "2", "--side", "8")
    run_script("search_packs", *size, "--repeats", "2", "--json", str(file))

    (steps,) = figures_of(file).values()
    assert set(steps) == {"weights", "alphas"}
    assert all(len(each["ratios"]) == 2 and each["ratio"] > 0 for each in steps.values())
