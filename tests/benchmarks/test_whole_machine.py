"""Packs in a process a core beside plain networks, at a tiny size."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from tests.benchmarks.conftest import RunScript
from topo_sweep.bench.record import figures_of


@pytest.mark.long
@pytest.mark.usefixtures("one_thread")
def test_ratios_are_medians_over_the_repeats_of_packs_and_each_plain_side(
    run_script: RunScript, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "whole.json"

    run_script(
        "whole_machine", "--pack", "2", "--repeats", "3", "--cores", "2", "--json", str(file)
    )

    figures = figures_of(file)
    rates = {row["name"]: row["of_every_repeat"] for row in figures["rows"]}
    packs = rates.pop("packs, a process a core")
    assert len(packs) == 3
    for name, plain in rates.items():
        assert figures["ratios"][name] == median(
            packed / own for packed, own in zip(packs, plain, strict=True)
        )
    assert "packs are" in capsys.readouterr().out
