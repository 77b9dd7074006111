"""What a sweep of searches plans: each search, then the evaluations of what it finds."""

from __future__ import annotations

import pytest

from tests.topo_sweep.runs.search_run import search_of, search_spec
from topo_sweep.spec import searches
from topo_sweep.spec.load import spec_from_json_value
from topo_sweep.spec.trials import Evaluation, SearchTrial


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


def test_what_was_asked_stays_whatever_becomes_of_a_preset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = search_spec(methods=["search_sparse"])
    asked, value = spec.trials(), spec.to_json_value()

    monkeypatch.setattr(searches, "SEARCH_PRESETS", {})

    assert spec_from_json_value(value).trials() == asked
