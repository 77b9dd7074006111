"""The networks and trainings that a sweep of topologies or of cells asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.cells.topology import enumerate_topologies
from tests.topo_sweep.conftest import small_spec
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.spec.trials import Trial


def test_members_of_a_class_are_trials_of_their_own() -> None:
    trials = small_spec(topologies="all", seeds=0).trials()

    assert len(trials) == len(enumerate_topologies()) == 180


def test_seeds_are_the_outer_loop() -> None:
    trials = small_spec(topologies=(5, 9), seeds=(0, 3)).trials()

    order = []
    for trial_id, trial in trials.items():
        assert trial_id == trial.trial_id
        assert isinstance(trial, Trial)
        assert trial.genotype.topology is not None
        order.append((trial.seed, trial.genotype.topology.index))
    assert order == [(0, 5), (0, 9), (3, 5), (3, 9)]


@given(
    topologies=st.sets(st.integers(0, 179), min_size=1, max_size=5),
    seeds=st.sets(st.integers(0, 9), min_size=1, max_size=3),
)
def test_a_sweep_says_how_many_trials_it_has(topologies: set[int], seeds: set[int]) -> None:
    spec = small_spec(topologies=sorted(topologies), seeds=sorted(seeds))

    assert len(spec.trials()) == spec.trial_count == len(topologies) * len(seeds)


def test_a_network_listed_twice_is_trained_once() -> None:
    cell = KNOWN_CELLS["PDARTS"]
    spec = GenotypeSweep(name="twice", genotypes=("PDARTS", str(cell), cell.to_darts()))

    assert len(spec.trials()) == 1


def test_a_cell_means_the_same_trial_whichever_kind_of_sweep_asks_for_it() -> None:
    of_topologies = small_spec(topologies=(17,), seeds=0)
    genotype = of_topologies.genotype_list()[0]
    of_genotypes = GenotypeSweep(
        name="other",
        protocol=of_topologies.protocol,
        data=of_topologies.data,
        genotypes=(str(genotype),),
    )

    assert list(of_topologies.trials()) == list(of_genotypes.trials())
