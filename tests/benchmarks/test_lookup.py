"""The script that asks a made-up sweep, at a tiny size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.conftest import RunScript
from topo_sweep.bench.record import figures_of


def test_every_kind_of_query_is_measured_and_kept(
    run_script: RunScript, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "lookup.json"

    size = ("--wirings", "4", "--seeds", "2", "--epochs", "3", "--queries", "5", "--repeats", "1")
    run_script("lookup", *size, "--json", str(file))

    figures = figures_of(file)
    assert len(figures) == 9
    assert all(figure["seconds"] > 0 for figure in figures.values())
    assert "topology by class, mean" in capsys.readouterr().out
