"""Which searches and which random cells a store holds, with what each was found or drawn among."""

from __future__ import annotations

from pathlib import Path

from tests.topo_sweep.analysis.inference.random_beside import searched_with_random_cells
from tests.topo_sweep.conftest import make_sweep
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.analysis.control_rows import found_cells, random_cells
from topo_sweep.analysis.inference.controls import controls_finding
from topo_sweep.spec.random_cells import RandomSweep
from topo_sweep.store.opened import open_sweep


def test_found_cells_name_search_space_and_wiring(tmp_path: Path) -> None:
    sweep = open_sweep(searched_with_random_cells(tmp_path))
    rows = found_cells(sweep.trials(), sweep.searches())

    assert set(rows["kind"]) == {"search"}
    assert len(rows) == 2
    assert set(rows[["search", "space", "wiring"]].itertuples(index=False, name=None)) == {
        ("search_subset_sparse, 3 cells", "none+skip_connect+sep_conv_3x3", "topology 17")
    }


def test_random_cells_are_those_that_were_drawn(tmp_path: Path) -> None:
    sweep = open_sweep(searched_with_random_cells(tmp_path))
    rows = random_cells(sweep.trials(), sweep.populations())

    assert len(rows) == 3
    assert set(rows["kind"]) == {"random"}
    assert set(rows["wiring"]) == {"topology 17"}
    found = found_cells(sweep.trials(), sweep.searches())
    assert set(rows["space"]) == set(found["space"])
    assert controls_finding(found, rows).numbers["comparisons"] == 1


def test_a_sweep_of_random_cells_is_read_likewise(tmp_path: Path) -> None:
    spec = RandomSweep(name="r", count=2, space="SS1", topology=None)
    store = make_sweep(tmp_path, spec)
    store.append(
        [
            trial_row(
                str(n), kind="random", genotype=str(cell), protocol_hash=spec.protocol.protocol_hash
            )
            for n, cell in enumerate(spec.genotype_list())
        ],
        [],
    )

    sweep = open_sweep(store.paths.folder)
    rows = random_cells(sweep.trials(), sweep.populations())
    assert rows[["space", "wiring"]].to_numpy().tolist() == [["SS1", "any wiring"]] * 2
