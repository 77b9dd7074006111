"""Of an adaptive sweep those seeds count that no result chose, and it is said."""

from __future__ import annotations

from pathlib import Path

from tests.topo_sweep.analysis.adaptive.races import FIRST, RACED, stored_race
from tests.topo_sweep.analysis.choice_rows import topologies
from topo_sweep.analysis.adaptive.beforehand import adaptive_remarks, asked_beforehand


def test_seeds_that_results_asked_for_do_not_count_and_it_is_said(tmp_path: Path) -> None:
    raced = stored_race(tmp_path / "raced")
    fixed = topologies(tmp_path / "fixed", dict.fromkeys(RACED, [0.5] * 5))

    kept = asked_beforehand(raced, raced.trials())

    assert set(kept["seed"]) == set(FIRST) < set(raced.trials()["seed"])
    assert len(kept) == len(RACED) * len(FIRST)
    assert len(asked_beforehand(fixed, fixed.trials())) == len(fixed.trials())
    (remark,) = adaptive_remarks(raced)
    assert remark.endswith("all sections but the last are on seeds 0-2, asked for beforehand.")
    (about,) = adaptive_remarks(fixed, [raced, fixed])
    assert about.startswith(f"Of {raced.folder.name} only seeds 0-2 count, which were asked for")
    assert adaptive_remarks(fixed) == []
