"""Random cells beside searches: of each space and wiring, trained with the evaluation seeds."""

from __future__ import annotations

import pytest

from nas_core.cells.sampling import random_genotypes
from nas_core.cells.spaces import SPACES
from nas_core.cells.topology import Topology
from tests.topo_sweep.spec.refusals import refused
from tests.topo_sweep.spec.search_sweeps import sweep
from topo_sweep.spec.load import Overrides, load_spec, spec_from_json_value
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.spec.trials import Trial

OPERATIONS = ["sep_conv_3x3", "skip_connect"]


def randoms(spec: SearchSweep) -> list[Trial]:
    return [trial for trial in spec.trials().values() if isinstance(trial, Trial)]


def test_each_space_has_its_cells_once_whatever_depths_search_it() -> None:
    spec = sweep(spaces=["SS1", "SS2"], cells=[5, 16], random_cells=3, evaluation_seeds="7-8")

    assert {key[0]: cells for key, cells in spec.populations().items()} == {
        SPACES[space]: random_genotypes(SPACES[space], 3, seed=0) for space in ("SS1", "SS2")
    }
    assert [trial.seed for trial in randoms(spec)] == [7] * 6 + [8] * 6
    assert {(t.protocol, t.data, t.search_id) for t in randoms(spec)} == {
        (spec.protocol, spec.data, None)
    }
    assert spec.trial_count == len(spec.trials()) == 4 * 3 + 12


def test_cells_go_along_the_wiring_of_the_search() -> None:
    for wiring in ((17, 17), (17, 3)):
        spec = sweep(methods=["search_edarts"], search={"topology": list(wiring)}, random_cells=2)
        pair = tuple(map(Topology.from_index, wiring))

        for trial in randoms(spec):
            assert (trial.genotype.normal.topology, trial.genotype.reduction.topology) == pair


def test_a_cell_of_two_spaces_is_trained_once() -> None:
    # None is never drawn, so both spaces have the same cells.
    spec = sweep(spaces=[OPERATIONS, ["none", *OPERATIONS]], random_cells=4)

    assert len(spec.populations()) == 2
    assert spec.trial_count == len(spec.trials()) == 2 * 2 + 4


def test_only_rows_of_random_cells_are_called_so() -> None:
    spec = sweep(random_cells=2)

    kinds = [spec.kind_of(trial) for trial in spec.trials().values()]
    assert kinds == ["search"] * (len(kinds) - 2) + ["random"] * 2


def test_a_sweep_without_them_is_the_request_that_older_stores_hold() -> None:
    without = sweep().to_json_value()
    assert "random_cells" not in without
    assert spec_from_json_value(without).to_json_value() == without

    beside = sweep(random_cells=2)
    assert spec_from_json_value(beside.to_json_value()).trials() == beside.trials()
    assert beside.described() == f"{sweep().described()}, 2 random cells"
    assert beside.store_key == sweep().store_key


@pytest.mark.parametrize("name", ["table2", "subspaces", "edarts"])
def test_an_option_adds_them_to_shipped_sweeps(name: str) -> None:
    along = {"topology": 17} if name == "edarts" else {}
    spec, plain = (
        load_spec(name, Overrides(random_cells=count, search=along)) for count in (5, None)
    )

    assert isinstance(spec, SearchSweep)
    spaces = 8 if name == "subspaces" else 1
    assert spec.trial_count == plain.trial_count + 5 * spaces
    assert list(plain.trials()) == list(spec.trials())[: plain.trial_count]


def test_what_cannot_be_is_one_line() -> None:
    nothing = refused(sweep, random_cells=2, evaluation_seeds=[])
    assert "random_cells = 2 and evaluation_seeds = []: random cells are trained with" in nothing
    assert "random_cells = -1: must be greater" in refused(sweep, random_cells=-1)
    few = refused(sweep, spaces=[["sep_conv_3x3", "none"]], search={"topology": 0}, random_cells=2)
    assert "sep_conv_3x3 on that wiring make 1 different cell: ask" in few
    wrong_kind = refused(load_spec, "demo", Overrides(random_cells=3))
    assert "--random-cells 3: belongs to kind: search, this is kind: topologies" in wrong_kind
