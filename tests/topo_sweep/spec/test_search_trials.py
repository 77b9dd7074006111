"""Ids of searches and of the evaluations of what they find, and what is planned of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.cells.genotype import Genotype
from nas_core.protocols.search import SEARCH_PRESETS, SearchProtocol
from nas_core.protocols.training import DataOptions, Protocol
from tests.topo_sweep.runs.search_run import FOUND, OTHER, search_of, search_spec
from topo_sweep.spec import searches as search_kind
from topo_sweep.spec.load import load_spec, spec_from_json_value
from topo_sweep.spec.trials import Evaluation, SearchTrial, Trial, without_void

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
    found = Evaluation(search_of(search_spec()), Protocol(), seed=0).of(FOUND)

    assert dataclasses.replace(found, search_id=None).trial_id != found.trial_id


def test_a_search_counts_the_epochs_of_all_its_stages() -> None:
    protocol = SEARCH_PRESETS["search_pdarts"]
    search = SearchTrial("search_pdarts", "all", protocol, DataOptions(), seed=0)

    assert search.epochs == 3 * protocol.epochs


# What is planned


def test_each_search_is_followed_by_its_evaluations() -> None:
    spec = search_spec(seeds=(4, 5), evaluation_seeds=(0, 3))

    planned = list(spec.trials().items())

    assert all(trial_id == trial.trial_id for trial_id, trial in planned)
    order: list[tuple[str, int] | tuple[str, int, int]] = []
    for _, trial in planned:
        if isinstance(trial, SearchTrial):
            order.append(("search", trial.seed))
        else:
            assert isinstance(trial, Evaluation)
            assert trial.protocol == spec.protocol
            order.append(("evaluation", trial.search.seed, trial.seed))
    assert order == [
        ("search", 4),
        ("evaluation", 4, 0),
        ("evaluation", 4, 3),
        ("search", 5),
        ("evaluation", 5, 0),
        ("evaluation", 5, 3),
    ]


def test_a_search_carries_its_method_space_and_settings() -> None:
    spec = search_spec()

    search = search_of(spec)

    assert (search.method, search.space) == (
        "search_subset_sparse",
        "none+skip_connect+sep_conv_3x3",
    )
    assert (search.data, search.seed) == (spec.data, 0)


def test_more_evaluation_seeds_leave_the_ids_of_the_others() -> None:
    few, many = search_spec(), search_spec(evaluation_seeds=(0, 1, 2))

    assert set(few.trials()) < set(many.trials())
    assert len(many.trials()) == 1 + 3


def test_evaluations_of_searches_that_ended_with_nothing_are_left_out() -> None:
    planned = search_spec(seeds=(0, 1, 2), evaluation_seeds=(0, 1)).trials()
    found, nothing, unknown = [t for t in planned.values() if isinstance(t, SearchTrial)]
    ended: dict[str, Genotype | None] = {found.search_id: FOUND, nothing.search_id: None}

    kept = without_void(planned, ended)

    assert [trial_id for trial_id in planned if trial_id not in kept] == [
        trial.trial_id
        for trial in planned.values()
        if isinstance(trial, Evaluation) and trial.search == nothing
    ]
    assert list(kept) == [trial_id for trial_id in planned if trial_id in kept]
    assert {found.search_id, nothing.search_id, unknown.search_id} <= set(kept)
    assert len(kept) == 3 * 3 - 2


def test_nothing_is_left_out_before_any_search_has_ended() -> None:
    planned = search_spec().trials()

    assert without_void(planned, {}) == dict(planned)


def test_what_was_asked_stays_whatever_becomes_of_a_preset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = search_spec(methods=["search_sparse"])
    asked, value = spec.trials(), spec.to_json_value()

    monkeypatch.setattr(search_kind, "SEARCH_PRESETS", {})

    assert spec_from_json_value(value).trials() == asked
