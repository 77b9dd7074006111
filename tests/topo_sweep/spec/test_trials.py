"""Ids of trainings, of searches and of the evaluations of what they find."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.genotype import KNOWN_CELLS, OPERATION_NAMES, CellEdges, Edge, Genotype
from nas_core.protocols.search import SEARCH_PRESETS, SearchProtocol
from nas_core.protocols.training import DataOptions, Protocol
from tests.topo_sweep.runs.search_run import FOUND, OTHER, search_of, search_spec
from topo_sweep.runs.execution import Execution
from topo_sweep.spec.load import load_spec
from topo_sweep.spec.trials import Evaluation, SearchTrial, Trial, trainings, without_void

GOLDEN = "68ac1bcafd363644"
GOLDEN_SEARCH = "89aab093acef323c"
GOLDEN_EVALUATION = "0a4a8d3231a3e52b"

# So few of each that equal searches are drawn often.
SEARCHES = st.builds(
    SearchTrial,
    method=st.sampled_from(["search_subset", "search_sparse"]),
    space=st.sampled_from(["SS1", "all"]),
    protocol=st.builds(
        SearchProtocol, epochs=st.integers(49, 50), topology=st.sampled_from([None, (17, 17)])
    ),
    data=st.builds(DataOptions, dataset=st.sampled_from(["digits", "cifar10"])),
    seed=st.integers(0, 1),
)

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


@given(first=SEARCHES, second=SEARCHES)
def test_the_id_of_a_search_depends_on_settings_data_and_seed_alone(
    first: SearchTrial, second: SearchTrial
) -> None:
    same = (first.protocol, first.data, first.seed) == (second.protocol, second.data, second.seed)

    assert (first.search_id == second.search_id) == same
    assert first.trial_id == first.search_id


@pytest.mark.parametrize(
    "values",
    [
        {"operations": "SS1"},
        {"topology": 17},
        {"attention": "once"},
        {"alpha_order": 1},
        {"alpha_every": "epoch"},
        {"images": 2500},
        {"init_channels": 8},
        {"partial_channels": 4},
        {"max_skips": 2},
    ],
)
def test_every_setting_of_a_search_changes_its_id(values: dict[str, Any]) -> None:
    search = SearchTrial("search_darts_2nd", "all", SearchProtocol(), DataOptions(), 0)

    other = dataclasses.replace(search, protocol=search.protocol.with_values(values))

    assert other.search_id != search.search_id


def test_ids_are_the_same_in_every_version() -> None:
    """A change of these ids would orphan every row of a search that was ever written."""
    data = DataOptions(dataset="digits")
    search = SearchTrial("search_subset", "all", SEARCH_PRESETS["search_subset"], data, seed=7)

    assert search.search_id == GOLDEN_SEARCH
    assert Evaluation(search, Protocol(epochs=7), seed=3).trial_id == GOLDEN_EVALUATION


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        # Computed with the version before searches (commit 2dfea08).
        ("demo", "81e90a5478d05ff4", "216a15448e2b3a5d"),
        ("known_cells", "fd0f523eb423003f", "2a11610675994cc9"),
    ],
)
def test_ids_of_trainings_are_those_from_before_there_were_searches(
    name: str, first: str, last: str
) -> None:
    ids = list(load_spec(name).trials())

    assert (ids[0], ids[-1]) == (first, last)


def test_the_id_of_an_evaluation_is_known_before_its_network_and_whatever_that_is() -> None:
    evaluation = Evaluation(search_of(search_spec()), Protocol(), seed=3)

    trials = [evaluation.of(FOUND), evaluation.of(OTHER)]

    assert {trial.trial_id for trial in trials} == {evaluation.trial_id}
    assert evaluation.of(FOUND).genotype == FOUND


def test_an_evaluation_trains_what_was_found_by_its_own_protocol_on_the_searchs_data() -> None:
    search = search_of(search_spec(seeds=(5,)))
    protocol = Protocol(epochs=7)

    trial = Evaluation(search, protocol, seed=3).of(FOUND)

    assert trial == Trial(FOUND, protocol, search.data, 3, search.search_id)
    assert trial.epochs == protocol.epochs == 7


def test_evaluations_differ_by_search_protocol_and_seed() -> None:
    one, two = (search_of(search_spec(seeds=(seed,))) for seed in (0, 1))
    evaluations = [
        Evaluation(search, Protocol(epochs=epochs), seed)
        for search in (one, two)
        for epochs in (1, 2)
        for seed in (0, 1)
    ]

    assert len({evaluation.trial_id for evaluation in evaluations}) == 8


def test_an_evaluation_is_another_trial_than_a_training_of_the_same_cell() -> None:
    evaluated = Evaluation(search_of(search_spec()), Protocol(), seed=0).of(FOUND)

    assert dataclasses.replace(evaluated, search_id=None).trial_id != evaluated.trial_id


def test_a_search_counts_the_epochs_of_all_its_stages() -> None:
    protocol = SEARCH_PRESETS["search_pdarts"]
    search = SearchTrial("search_pdarts", "all", protocol, DataOptions(), seed=0)

    assert search.epochs == 3 * protocol.epochs


def test_evaluations_of_searches_that_ended_with_nothing_are_left_out() -> None:
    planned = search_spec(seeds=(0, 1, 2), evaluation_seeds=(0, 1)).trials()
    with_cell, without_cell, unfinished = [
        t for t in planned.values() if isinstance(t, SearchTrial)
    ]
    ended: dict[str, Genotype | None] = {with_cell.search_id: FOUND, without_cell.search_id: None}

    kept = without_void(planned, ended)

    assert [trial_id for trial_id in planned if trial_id not in kept] == [
        trial.trial_id
        for trial in planned.values()
        if isinstance(trial, Evaluation) and trial.search == without_cell
    ]
    assert list(kept) == [trial_id for trial_id in planned if trial_id in kept]
    assert {with_cell.search_id, without_cell.search_id, unfinished.search_id} <= set(kept)
    assert len(kept) == 3 * 3 - 2


def test_nothing_is_left_out_before_any_search_has_ended() -> None:
    planned = search_spec().trials()

    assert without_void(planned, {}) == dict(planned)


@given(trials=st.lists(TRIALS, min_size=1), seeds=st.lists(st.integers(0, 9), unique=True))
def test_trainings_that_are_planned_together_have_the_ids_of_each_alone(
    trials: list[Trial], seeds: list[int]
) -> None:
    cells = list(dict.fromkeys(trial.genotype for trial in trials))
    protocol, data = trials[0].protocol, trials[0].data

    planned = trainings(cells, protocol, data, seeds)

    alone = [Trial(cell, protocol, data, seed) for seed in seeds for cell in cells]
    assert list(planned) == [trial.trial_id for trial in alone]
    assert list(planned.values()) == alone
    assert [trial.trial_id for trial in planned.values()] == list(planned)


def test_settings_are_written_out_once_a_sweep_however_many_trainings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[Protocol] = []

    def canonical(protocol: Protocol) -> str:
        written.append(protocol)
        return "settings"

    monkeypatch.setattr(Protocol, "canonical", canonical)

    trainings(list(KNOWN_CELLS.values()), Protocol(), DataOptions(), range(5))

    assert len(written) == 1
