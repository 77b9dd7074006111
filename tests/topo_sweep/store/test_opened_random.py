"""Random cells beside searches: read with everything, and left out where found cells are meant."""

from __future__ import annotations

from pathlib import Path

from tests.topo_sweep.analysis.inference.random_beside import searched_with_random_cells
from tests.topo_sweep.conftest import make_sweep
from tests.topo_sweep.runs.search_run import search_spec
from topo_sweep.store.opened import load_results, open_sweep


def test_all_trainings_are_read_and_random_cells_can_be_left_out(tmp_path: Path) -> None:
    sweep = open_sweep(searched_with_random_cells(tmp_path))

    assert load_results(sweep.folder)["kind"].value_counts().to_dict() == {"random": 3, "search": 2}
    assert set(sweep.trials(random_cells=False)["kind"]) == {"search"}
    few = sweep.trials(["test_accuracy"], random_cells=False)
    assert sorted(few["test_accuracy"]) == [0.7, 0.8]


def test_populations_are_those_of_all_requests(tmp_path: Path) -> None:
    few, more = (search_spec(random_cells=count) for count in (2, 5))
    sweep = open_sweep(make_sweep(tmp_path, few, more, search_spec()).paths.folder)

    assert sweep.populations() == {key: list(cells) for key, cells in more.populations().items()}
