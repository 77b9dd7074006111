"""`kind: random`: the cells that a file means, and one line for what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from nas_core.cells.sampling import random_genotypes
from nas_core.cells.spaces import SPACES, space_operations
from nas_core.cells.topology import Topology
from tests.topo_sweep.spec.refusals import refused
from topo_sweep.spec.load import Overrides, load_spec, make_spec, spec_from_json_value
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.spec.random_cells import RandomSweep


def sweep(overrides: Overrides | None = None, **values: Any) -> RandomSweep:
    """Return the sweep that a file with these keys means; some have a default here."""
    defaults = {"name": "s", "kind": "random", "count": 3, "space": "SS1"}
    spec = make_spec(defaults | values, overrides or Overrides())
    assert isinstance(spec, RandomSweep)
    return spec


def test_the_cells_are_those_of_the_space_along_the_wiring() -> None:
    along = Topology.from_index(17)

    assert sweep().genotype_list() == random_genotypes(SPACES["SS1"], 3, seed=0)
    assert sweep(topology=17, sampling_seed=5).genotype_list() == random_genotypes(
        SPACES["SS1"], 3, seed=5, topology=along
    )
    operations = ["skip_connect", "sep_conv_3x3"]
    assert sweep(space=operations).genotype_list() == random_genotypes(operations, 3, seed=0)
    average = space_operations("SS1", "avg")
    assert sweep(pooling="avg").genotype_list() == random_genotypes(average, 3, seed=0)


def test_its_trials_are_those_of_a_list_of_the_same_cells() -> None:
    random = sweep(seeds="0-1")
    cells = tuple(map(str, random.genotype_list()))
    listed = GenotypeSweep(name="listed", genotypes=cells, seeds=(0, 1))

    assert list(random.trials()) == list(listed.trials())
    assert random.trial_count == len(random.trials()) == 6


def test_more_cells_of_one_population_join_its_store_and_others_do_not() -> None:
    key = sweep().store_key

    assert sweep(count=9, sampling_seed=4, seeds="0-9").store_key == key
    others = [sweep(topology=17), sweep(space="SS2"), sweep(pooling="avg")]
    assert len({key, *(other.store_key for other in others)}) == 4


def test_it_is_read_back_from_json_and_described() -> None:
    spec = sweep(space=["skip_connect", "sep_conv_3x3"], topology=17)

    assert spec_from_json_value(spec.to_json_value()) == spec
    assert spec.described() == "3 random cells of skip_connect+sep_conv_3x3, topology 17"
    assert sweep().described() == "3 random cells of SS1, any wiring"


def test_options_replace_wiring_and_count() -> None:
    spec = load_spec("random_cells", Overrides(random_cells=4, search={"topology": 42}))

    assert isinstance(spec, RandomSweep)
    assert (spec.count, spec.topology) == (4, 42)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"count": 0}, "count = 0: write how many random cells, 1 to 10,000"),
        ({"count": "x"}, "count = 'x': write how many random cells, 1 to 10,000"),
        ({"count": 10_001}, "count = 10001: write how many random cells, 1 to 10,000"),
        ({"space": "SS9"}, "space = 'SS9': unknown space 'SS9': use "),
        ({"space": 3}, "space = 3: write SS1 to SS8, all, or a list of operations"),
        ({"space": ["skip_connect"]}, "a space needs a learnable operation"),
        ({"topology": 180}, "topology = 180: write a topology's index, 0 to 179, or null"),
        ({"topology": "same"}, "topology = 'same': write a topology's index, 0 to 179, or null"),
        ({"sampling_seed": -1}, "sampling_seed = -1: must be greater than or equal to 0"),
        (
            {"space": ["sep_conv_3x3"], "topology": 0, "count": 2},
            "sep_conv_3x3 on that wiring make 1 different cell: ask for 1 to 1, not 2",
        ),
        ({"spaces": ["SS1"]}, "spaces = ['SS1']: belongs to kind: search, this is kind: random"),
        ({"topologies": "0"}, "belongs to kind: topologies, this is kind: random"),
    ],
)
def test_what_is_wrong_is_one_line_that_says_what_to_write(
    values: dict[str, Any], said: str
) -> None:
    message = refused(sweep, **values)

    assert said in message
    assert message.startswith("s: ")


@pytest.mark.parametrize("missing", ["count", "space"])
def test_what_has_no_default_must_be_given(missing: str) -> None:
    values = {"name": "s", "kind": "random", "count": 3, "space": "SS1"}
    del values[missing]

    assert f"{missing} is missing: write " in refused(make_spec, values)
