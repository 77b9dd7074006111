"""Random cells beside searches are never chosen as what a search found."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_core.errors import InputError
from tests.topo_sweep.analysis.inference.random_beside import searched_with_random_cells
from tests.topo_sweep.runs.search_run import FOUND, OTHER
from topo_sweep.analysis.selection import above, found_by, winner
from topo_sweep.store.opened import open_sweep


def test_the_winner_of_searches_was_found_though_a_random_cell_is_better(tmp_path: Path) -> None:
    sweep = open_sweep(searched_with_random_cells(tmp_path))

    for choice in (winner(sweep), found_by(tmp_path, sweep.manifest.sweep, "digits")):
        assert choice.genotypes == (FOUND,)
        assert choice.seeds == (0,)


def test_only_found_cells_go_on_to_the_final_evaluation(tmp_path: Path) -> None:
    sweep = open_sweep(searched_with_random_cells(tmp_path))

    assert above(sweep, 0.6).genotypes == (FOUND, OTHER)
    with pytest.raises(InputError, match=r"the best has 80\.00%"):
        above(sweep, 0.85)


def test_random_cells_that_diverged_are_no_part_of_the_choice(tmp_path: Path) -> None:
    sweep = open_sweep(searched_with_random_cells(tmp_path, random_status="diverged"))

    assert not any("diverged" in remark for remark in winner(sweep).remarks)
