"""The estimate for a GPU, at a tiny size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.conftest import RunScript, Script
from topo_sweep.bench.record import figures_of


def test_hours_of_training_steps_are_estimated_and_said_to_be_of_them_alone(
    run_script: RunScript, script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "roofline.json"

    run_script("roofline", "--models", "2", "--batch", "2", "--images", "4", "--json", str(file))

    single, half = figures_of(file)["rows"]
    assert (single["precision"], half["precision"]) == ("float32", "bfloat16")
    assert half["gigabytes_a_step"] == single["gigabytes_a_step"] / 2
    assert single["hours"]["one by one"] > single["hours"]["as a graph"] > 0
    assert "of training steps alone, not measured" in capsys.readouterr().out
    assert "Training steps alone are counted: evaluation" in script("roofline").__doc__
