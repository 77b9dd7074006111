from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.genotype import KNOWN_CELLS, OPERATION_NAMES, CellEdges, Edge, Genotype
from nas_core.cells.topology import enumerate_topologies
from nas_core.protocols.training import DataOptions, Protocol
from tests.topo_sweep.conftest import make_sweep, small_spec
from topo_sweep.runs.execution import Execution
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.spec.trials import Trial
from topo_sweep.store.opened import open_sweep

GOLDEN = "68ac1bcafd363644"

# So few of each that equal trials are drawn often.
TRIALS = st.builds(
    Trial,
    genotype=st.sampled_from(list(KNOWN_CELLS.values())[:2]),
    protocol=st.builds(Protocol, epochs=st.integers(100, 101), flip=st.booleans()),
    data=st.builds(
        DataOptions,
        dataset=st.sampled_from(["digits", "cifar10"]),
        holdout=st.integers(0, 1),
        train_limit=st.sampled_from([None, 1]),
    ),
    seed=st.integers(0, 1),
)


@st.composite
def nodes(draw: st.DrawFn) -> tuple[tuple[Edge, Edge], ...]:
    """Return the edges of a cell with four nodes, those of a node in any order."""
    cell = []
    for node in range(2, 6):
        sources = draw(st.permutations(range(node)))
        operations = draw(st.tuples(*[st.sampled_from(OPERATION_NAMES)] * 2))
        cell.append((Edge(sources[0], operations[0]), Edge(sources[1], operations[1])))
    return tuple(cell)


@given(first=TRIALS, second=TRIALS)
def test_ids_are_equal_exactly_where_network_protocol_data_and_seed_are(
    first: Trial, second: Trial
) -> None:
    same = (
        str(first.genotype) == str(second.genotype)
        and first.protocol.model_dump() == second.protocol.model_dump()
        and first.data.model_dump() == second.data.model_dump()
        and first.seed == second.seed
    )
    assert (first.trial_id == second.trial_id) == same


@given(trial=TRIALS, data=st.data())
def test_every_setting_of_the_protocol_and_the_data_changes_the_id(
    trial: Trial, data: st.DataObject
) -> None:
    field = data.draw(st.sampled_from(["init_channels", "batch_size", "crop_padding", "cutout"]))
    value = getattr(trial.protocol, field) + data.draw(st.integers(1, 50))
    other = dataclasses.replace(trial, protocol=trial.protocol.with_values({field: value}))

    assert other.trial_id != trial.trial_id


@given(normal=nodes(), reduction=nodes(), data=st.data())
def test_the_order_in_which_a_nodes_edges_are_given_does_not_enter_the_id(
    normal: tuple[tuple[Edge, Edge], ...],
    reduction: tuple[tuple[Edge, Edge], ...],
    data: st.DataObject,
) -> None:
    swapped = tuple(edges[::-1] if data.draw(st.booleans()) else edges for edges in normal)
    trials = [
        Trial(Genotype(CellEdges(cell), CellEdges(reduction)), Protocol(), DataOptions(), seed=0)
        for cell in (normal, swapped)
    ]
    assert trials[0].trial_id == trials[1].trial_id


def test_members_of_a_class_are_trials_of_their_own() -> None:
    trials = small_spec(topologies="all", seeds=0).trials()

    assert len(trials) == len(enumerate_topologies()) == 180


def test_an_id_is_the_same_in_every_version() -> None:
    """A change of this id would orphan every row that was ever written."""
    protocol = Protocol(epochs=7, flip=False)
    trial = Trial(KNOWN_CELLS["DARTS_V2"], protocol, DataOptions(dataset="digits"), seed=7)

    assert trial.trial_id == GOLDEN


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_an_id_is_the_same_in_every_process_and_planning_imports_no_torch(hash_seed: str) -> None:
    script = (
        "import sys\n"
        "from nas_core.cells.genotype import KNOWN_CELLS\n"
        "from nas_core.protocols.training import DataOptions, Protocol\n"
        "from topo_sweep.spec.load import load_spec\n"
        "from topo_sweep.spec.trials import Trial\n"
        "protocol, data = Protocol(epochs=7, flip=False), DataOptions(dataset='digits')\n"
        "trial = Trial(KNOWN_CELLS['DARTS_V2'], protocol, data, seed=7)\n"
        "print(trial.trial_id, len(load_spec('demo').trials()), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [GOLDEN, "180", "False"]


def test_no_execution_setting_is_part_of_a_trial() -> None:
    execution = {field.name for field in dataclasses.fields(Execution)}

    assert execution >= {"cpus", "gpus", "pack_size"}
    assert execution.isdisjoint(Protocol.model_fields)
    assert execution.isdisjoint(DataOptions.model_fields)
    assert {field.name for field in dataclasses.fields(Trial)} == {
        "genotype",
        "protocol",
        "data",
        "seed",
        "search_id",
    }


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


def test_requests_that_overlap_are_planned_once_in_the_order_of_the_requests(
    tmp_path: Path,
) -> None:
    first = small_spec(topologies=(3, 4), seeds=0)
    second = small_spec(topologies=(4, 5), seeds=(0, 1))

    planned = open_sweep(make_sweep(tmp_path, first, second).paths.folder).planned()

    assert len(planned) == 2 + 3
    assert list(planned)[:2] == list(first.trials())
    assert set(planned) == set(first.trials()) | set(second.trials())


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
