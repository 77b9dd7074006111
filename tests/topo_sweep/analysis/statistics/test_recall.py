"""How many of the true best are expected: against formulas and analysis of variance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from topo_sweep.analysis.statistics.recall import (
    expected_recall,
    moment_components,
    recalls,
    shown_recalls,
)


@pytest.mark.parametrize("reliability", [0.1, 0.5, 0.9])
def test_of_two_groups_the_better_one_has_the_better_mean_as_a_normal_pair_says(
    reliability: float,
) -> None:
    # P(same order) of a normal pair with correlation r is 1/2 + arcsin(r) / pi (Sheppard, 1899).
    expected = 0.5 + np.arcsin(reliability**0.5) / np.pi
    within = 4 * (1 - reliability) / reliability

    found = expected_recall(1.0, within, groups=2, seeds=4, best=1, repeats=20_000)

    assert found == pytest.approx(expected, abs=0.01)


def test_noise_alone_finds_as_many_as_chance_and_none_finds_all() -> None:
    assert expected_recall(0.0, 1.0, groups=79, seeds=3, best=10) == pytest.approx(
        10 / 79, abs=0.01
    )
    assert expected_recall(0.0, 0.0, groups=79, seeds=3, best=10) == pytest.approx(
        10 / 79, abs=0.01
    )
    assert expected_recall(1.0, 0.0, groups=79, seeds=3, best=10) == 1.0


def test_variances_are_those_of_an_analysis_of_variance() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(4, 9)) + np.arange(9) + np.arange(4)[:, None])
    long = (
        table.rename_axis(index="seed").reset_index().melt("seed", var_name="group", value_name="y")
    )
    mean_squares = anova_lm(ols("y ~ C(group) + C(seed)", long).fit())["mean_sq"]

    between, within = moment_components(table)

    assert within == pytest.approx(mean_squares["Residual"])
    assert between == pytest.approx((mean_squares["C(group)"] - mean_squares["Residual"]) / 4)


def test_offsets_of_seeds_are_no_noise_and_no_variance_is_below_nothing() -> None:
    table = pd.DataFrame([[1.0, 2.0, 3.0], [11.0, 12.0, 13.0]])
    assert moment_components(table) == pytest.approx((1.0, 0.0))
    crossed = pd.DataFrame([[0.0, 1.0], [1.0, 0.0]])
    assert moment_components(crossed) == (0.0, 1.0)


def test_recalls_are_of_few_best_with_one_seed_and_with_all() -> None:
    random = np.random.default_rng(1)
    table = pd.DataFrame(random.normal(size=(5, 12)) + 2 * np.arange(12) / 12)

    found = recalls(table)

    assert found[["best", "seeds"]].to_numpy().tolist() == [
        *([1, 1], [5, 1], [10, 1]),
        *([1, 5], [5, 5], [10, 5]),
    ]
    assert found["chance"].tolist() == pytest.approx([1 / 12, 5 / 12, 10 / 12] * 2)
    one, all_five = (found.loc[found["seeds"] == n, "recall"].to_numpy() for n in (1, 5))
    assert (all_five > one).all()
    assert shown_recalls(found)[0] == ("best", "seeds", "recall", "by chance")
    assert shown_recalls(found)[1][3] == "8%"


def test_one_seed_or_one_group_tells_no_noise() -> None:
    for shape in ((1, 9), (9, 1), (0, 0)):
        assert recalls(pd.DataFrame(np.zeros(shape))).empty
