"""What a sweep of searches plans: each search, then the evaluations of what it finds."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.topo_sweep.runs.search_run import search_of, search_spec
from topo_sweep.spec import searches
from topo_sweep.spec.load import spec_from_json_value
from topo_sweep.spec.searches import SearchSweep
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


def test_random_cells_to_measure_are_the_same_for_all_seeds_and_change_no_id() -> None:
    without, spec = search_spec(seeds=(0, 1)), search_spec(seeds=(0, 1), one_hot_cells=4)
    searches = spec.searches()

    assert list(spec.trials()) == list(without.trials())
    cells = searches[0].one_hot_genotypes
    assert len(set(cells)) == 4
    assert searches[1].one_hot_genotypes == cells
    assert {edge.operation for cell in cells for edge in cell.normal.edges} == {
        *("skip_connect", "sep_conv_3x3")
    }
    assert without.searches()[0].one_hot_genotypes == ()


def test_random_cells_to_measure_lie_along_the_wirings_of_the_search() -> None:
    spec = search_spec(one_hot_cells=4, search={"images": 32, "topology": [17, 3]})

    for cell in search_of(spec).one_hot_genotypes:
        assert (cell.normal.topology.index, cell.reduction.topology.index) == (17, 3)


def test_random_cells_to_measure_are_kept_and_where_there_are_none_older_stores_look_alike() -> (
    None
):
    spec = search_spec(one_hot_cells=4)
    assert spec_from_json_value(spec.to_json_value()) == spec_from_json_value(
        spec_from_json_value(spec.to_json_value()).to_json_value()
    )
    again = spec_from_json_value(spec.to_json_value())
    assert isinstance(again, SearchSweep)
    assert again.one_hot_cells == 4
    assert "one_hot_cells" not in search_spec().to_json_value()


def test_more_random_cells_than_there_are_and_searches_in_stages_are_refused() -> None:
    with pytest.raises(ValidationError, match="different cell"):
        search_spec(one_hot_cells=9, spaces=(("none", "sep_conv_3x3"),), search={"topology": 0})
    with pytest.raises(ValidationError, match=r"one_hot_cells = 1, and search_pdarts .* stages"):
        search_spec(one_hot_cells=1, methods=("search_pdarts",), spaces=None, search={}, cells=None)


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
