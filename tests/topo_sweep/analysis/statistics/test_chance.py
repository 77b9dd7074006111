"""One comparison of found cells with random ones, against scipy, statsmodels and by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, ttest_ind
from statsmodels.regression.linear_model import OLS

from nas_core.errors import InputError
from topo_sweep.analysis.statistics.chance import Control, beside_random

Cells = Mapping[str, Sequence[float]]


def trainings(cells: Cells, *, first_seed: int = 0) -> pd.DataFrame:
    """Return a row a training: of each cell one a seed; NaN where there is none."""
    rows = [
        {
            "genotype": cell,
            "search_id": f"search of {cell}",
            "seed": seed,
            "status": "ok",
            "accuracy": accuracy,
        }
        for cell, values in cells.items()
        for seed, accuracy in enumerate(values, first_seed)
    ]
    return pd.DataFrame(rows).dropna()


def control(found: Cells, random: Cells, *, first_seed: int = 0) -> Control:
    return beside_random(trainings(found), trainings(random, first_seed=first_seed))


RANDOM = {str(cell): [0.70 + cell / 100] for cell in range(9)}
"""Nine cells from 70 to 78%."""


def test_a_found_cell_is_placed_among_the_random_ones() -> None:
    cells = control({"best": [0.9], "tied": [0.77], "worst": [0.1]}, RANDOM).cells

    # As good as 'tied' are two: itself and 0.78.
    assert cells["p_value"].to_dict() == {"best": 1 / 10, "tied": 3 / 10, "worst": 1.0}
    expected = {"best": 1.0, "tied": 7 / 9, "worst": 0.0}
    assert cells["better_than"].to_dict() == pytest.approx(expected)


def test_all_found_cells_are_set_against_all_random_ones() -> None:
    found = {"a": [0.80], "b": [0.79], "c": [0.76]}
    compared = control(found, RANDOM)
    sides = [[values[0] for values in cells.values()] for cells in (found, RANDOM)]

    student = ttest_ind(*sides)
    interval = student.confidence_interval()
    estimate = compared.estimate
    assert (estimate.p_value, compared.p_value) == pytest.approx((student.pvalue, student.pvalue))
    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high))
    assert compared.rank_p == pytest.approx(mannwhitneyu(*sides).pvalue)


def test_the_interval_of_one_more_random_cell_is_that_of_a_regression_on_a_constant() -> None:
    values = [accuracy for (accuracy,) in RANDOM.values()]
    model = OLS(values, np.ones(len(values))).fit()
    frame = model.get_prediction([1.0]).summary_frame(alpha=0.05)

    expected = frame[["obs_ci_lower", "obs_ci_upper"]].iloc[0].tolist()
    assert control({"a": [0.8]}, RANDOM).predicted == pytest.approx(expected)


def test_what_a_seed_adds_to_every_cell_changes_nothing_though_trainings_are_missing() -> None:
    found = {"a": [0.80, 0.82], "b": [0.84, np.nan]}
    random = {"c": [0.70, 0.71], "d": [0.72, 0.75], "e": [np.nan, 0.74]}

    def shifted(cells: Cells) -> Cells:
        return {cell: [first, second + 0.1] for cell, (first, second) in cells.items()}

    plain, harder = control(found, random), control(shifted(found), shifted(random))
    assert plain.estimate.mean == pytest.approx(harder.estimate.mean)
    assert plain.p_value == pytest.approx(harder.p_value)
    assert (plain.seeds, plain.left_out) == ((0, 1), 0)


def test_only_common_seeds_count_and_what_is_left_out_is_counted() -> None:
    compared = control({"a": [0.1, 0.8], "b": [0.1, 0.9]}, RANDOM, first_seed=1)

    assert (compared.seeds, compared.left_out) == ((1,), 2)
    assert compared.cells["accuracy"].tolist() == pytest.approx([0.8, 0.9])


def test_without_a_common_seed_each_cell_has_the_mean_of_its_own() -> None:
    compared = control({"a": [0.7, 0.9], "b": [0.9, 0.9]}, RANDOM, first_seed=5)

    assert (compared.seeds, compared.left_out) == ((), 0)
    assert compared.cells["accuracy"].tolist() == pytest.approx([0.8, 0.9])


def test_of_a_single_found_cell_the_place_is_the_evidence() -> None:
    compared = control({"a": [0.9]}, RANDOM)

    assert compared.estimate.p_value is None
    assert compared.p_value == 1 / 10
    assert np.isnan(compared.rank_p)


@pytest.mark.parametrize("random", [{"c": [0.7]}, {"c": [0.7], "d": [0.7]}])
def test_one_random_cell_or_no_spread_is_no_evidence(random: Cells) -> None:
    compared = control({"a": [0.9], "b": [0.9]}, random)

    assert np.isnan([compared.p_value, *compared.predicted]).all()
    if len(random) == 1:
        assert np.isnan(control({"a": [0.9]}, random).p_value)


def test_a_cell_that_is_itself_random_has_each_place_as_often() -> None:
    values = np.random.default_rng(0).normal(0.8, 0.01, size=20)
    p_values = [
        control(
            {"a": [value]}, {str(n): [other] for n, other in enumerate(values) if other != value}
        ).p_value
        for value in values
    ]

    assert sorted(p_values) == pytest.approx([place / 20 for place in range(1, 21)])


def test_a_cell_that_several_searches_found_counts_once() -> None:
    once = trainings({"a": [0.80, 0.82], "b": [0.79, 0.80]})
    again = once[once["genotype"] == "a"].assign(search_id="another")
    random = trainings({cell: [*values, *values] for cell, values in RANDOM.items()})

    alone, twice = (beside_random(found, random) for found in (once, pd.concat([once, again])))

    assert twice.cells["searches"].to_dict() == {"a": 2, "b": 1}
    assert (twice.p_value, twice.estimate) == (alone.p_value, alone.estimate)


@pytest.mark.long
@pytest.mark.parametrize("searches", [(3,), (5, 1)])
def test_searches_that_find_what_is_no_better_seldom_seem_to_do_better(
    searches: tuple[int, ...],
) -> None:
    draws = np.random.default_rng(0).normal(0.8, 0.01, size=(200, 20 + len(searches)))
    alarms = 0
    for values in draws:
        cells = trainings({str(cell): [value] for cell, value in enumerate(values)})
        found = pd.concat(
            [
                cells[cells["genotype"] == str(cell)].assign(search_id=f"{cell} {number}")
                for cell, count in enumerate(searches)
                for number in range(count)
            ]
        )
        random = cells[~cells["genotype"].isin(found["genotype"])]
        alarms += beside_random(found, random).p_value <= 0.05

    assert alarms <= 0.08 * len(draws)


def test_nothing_to_compare_is_refused() -> None:
    none = trainings({"a": [np.nan]})
    with pytest.raises(InputError, match="needs a found and a random cell"):
        beside_random(none, trainings(RANDOM))
