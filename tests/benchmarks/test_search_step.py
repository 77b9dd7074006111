"""Steps of a search beside those of the authors' supernet, at a tiny size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.conftest import RunScript
from topo_sweep.bench.record import figures_of


@pytest.mark.long
@pytest.mark.slow  # three cells of all edges and operations, twice
@pytest.mark.usefixtures("one_thread")
def test_all_three_steps_of_both_sides_are_measured(
    run_script: RunScript, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "search.json"
    size = ("--cells", "3", "--channels", "2", "--batch", "2", "--side", "8")

    run_script("search_step", *size, "--threads", "1", "--repeats", "1", "--json", str(file))

    figures = figures_of(file)
    for step in ("weights", "alphas, first order", "alphas, second order"):
        assert figures[step]["seconds"] > 0
        assert len(figures[step]["ratios"]) == 1
    assert figures["threads"] == 1
    assert len(capsys.readouterr().out.splitlines()) == 4
