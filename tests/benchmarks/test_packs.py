"""Steps of packs beside those of a plain network, at a tiny size."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from tests.benchmarks.conftest import RunScript
from topo_sweep.bench.record import figures_of


@pytest.mark.usefixtures("one_thread")
def test_seconds_of_every_repeat_are_kept_and_ratios_are_medians_of_them(
    run_script: RunScript, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "packs.json"

    run_script("packs", "--packs", "2", "--repeats", "3", "--json", str(file))

    plain, pack = figures_of(file)["rows"]
    assert (plain["name"], pack["name"]) == ("plain", "pack of 2")
    pairs = list(zip(plain["seconds_a_model"], pack["seconds_a_model"], strict=True))
    assert len(pairs) == 3
    assert pack["ratio"] == median(alone / packed for alone, packed in pairs)
    assert 0 < pack["operations_per_model"] < plain["operations_per_model"]
    assert "pack of 2" in capsys.readouterr().out
