"""Sweeps of topologies that race: one of each class, a few first seeds, and what was decided."""

from __future__ import annotations

import pytest

from nas_core.cells.topology import Topology
from nas_core.errors import InputError
from tests.topo_sweep.conftest import small_spec
from topo_sweep.spec.adaptive import Adaptive
from topo_sweep.spec.load import Overrides, load_spec, make_spec, spec_from_json_value
from topo_sweep.spec.networks import TopologySweep

MORE = ((3, (0, 4)), (4, (4,)))


def racing(**values: object) -> TopologySweep:
    given = {"topologies": (0, 1, 2, 4), "adaptive": Adaptive(top=1)} | values
    return small_spec(**given).racing()


def test_a_race_takes_one_topology_of_each_class_and_three_seeds_where_one_is_asked() -> None:
    assert Topology.from_index(1).class_id == Topology.from_index(2).class_id
    spec = racing(seeds=(5,))
    assert spec.topologies == (0, 1, 4)
    assert spec.seeds == (5, 6, 7)
    assert racing(seeds=(0, 9)).seeds == (0, 9)
    assert spec.racing() == spec
    assert small_spec().racing() == small_spec()


def test_a_race_for_as_many_as_there_are_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"the 3 best classes needs more classes than that.* have 3"
    ):
        racing(adaptive=Adaptive(top=3))


def test_its_trials_are_those_of_the_first_seeds_and_those_that_were_decided() -> None:
    spec = racing(seeds=(0, 1, 2)).with_more(MORE)
    trials = spec.trials().values()

    assert spec.trial_count == len(trials) == 9 + 3
    beyond = [(t.seed, t.genotype.normal.topology.index) for t in trials if t.seed > 2]
    assert beyond == [(3, 0), (3, 4), (4, 4)]
    fixed = small_spec(topologies=(4,), seeds=(4,)).trials()
    assert set(fixed) <= set(spec.trials()), "the same training has the same id"


def test_it_is_read_back_from_its_store_and_a_fixed_one_is_written_as_ever() -> None:
    spec = racing().with_more(MORE)
    assert spec_from_json_value(spec.to_json_value()) == spec
    assert "adaptive" not in small_spec().to_json_value()
    assert spec.described() == "topologies 0-1,4 in a race for the best class"


def test_a_file_and_options_ask_for_a_race_and_options_win() -> None:
    overrides = Overrides(adaptive={"top": 20, "delta_points": 1.0})
    spec = load_spec("topologies", overrides)
    assert isinstance(spec, TopologySweep)
    assert (len(spec.topologies), spec.seeds) == (79, (0, 1, 2))
    assert spec.adaptive == Adaptive(top=20, delta_points=1.0)

    file = {"kind": "topologies", "name": "mine", "topologies": "all", "adaptive": {"top": 5}}
    written = make_spec(file, Overrides(adaptive={"confidence": 0.9}))
    assert isinstance(written, TopologySweep)
    assert written.adaptive == Adaptive(top=5, confidence=0.9)


@pytest.mark.parametrize(
    ("adaptive", "said"),
    [
        ({"top": 0}, "mine: adaptive.top = 0: must be greater than or equal to 1"),
        ({"tops": 3}, "mine: adaptive.tops = 3: unknown key"),
        (20, "mine: adaptive = 20: write how many of the best are wanted, as in {top: 20}"),
    ],
)
def test_what_a_file_says_wrong_is_named(adaptive: object, said: str) -> None:
    file = {"kind": "topologies", "name": "mine", "topologies": "all", "adaptive": adaptive}
    with pytest.raises(InputError) as error:
        make_spec(file)
    assert said in str(error.value)
