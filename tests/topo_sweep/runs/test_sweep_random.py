"""Random cells beside searches, trained for real: in packs, once, told apart from found ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topo_sweep.runs.pack_run import manifest_of, swept
from tests.topo_sweep.runs.search_run import search_spec
from topo_sweep.analysis.control_rows import found_cells, random_cells
from topo_sweep.analysis.inference.controls import controls_finding
from topo_sweep.runs.reports.status import sweep_status
from topo_sweep.store.opened import open_sweep

FEW, MORE = (search_spec(random_cells=count) for count in (1, 2))


@pytest.mark.slow
def test_cells_may_be_asked_for_later_and_are_trained_once_with_the_evaluation_seeds(
    tmp_path: Path,
) -> None:
    swept(tmp_path, pack_size=2, sweep=FEW)
    sweep = open_sweep(tmp_path)
    before = random_cells(sweep.trials(), sweep.populations())
    swept(tmp_path, pack_size=2, sweep=MORE)

    sweep = open_sweep(tmp_path)
    found = found_cells(sweep.trials(), sweep.searches())
    random = random_cells(sweep.trials(), sweep.populations())
    assert sorted(random["seed"]) == [0, 0, 1, 1]
    assert set(before["finished_at"]) < set(random["finished_at"])
    assert [len(pack) for pack in manifest_of(tmp_path).packs] == [2, 2, 2]
    status = sweep_status(sweep)
    assert (status["planned"], status["ok"], status["left"]) == (7, 7, 0)
    (row,) = controls_finding(found, random).tables["comparisons"].to_dict("records")
    assert (row["found"], row["random"], row["seeds"]) == (1, 2, 2)
