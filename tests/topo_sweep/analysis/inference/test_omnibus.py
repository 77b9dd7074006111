"""Does topology matter: tests against statsmodels and scipy, and what the section says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.topo_sweep.analysis.inference.run_rows import class_design, runs_of, with_members
from topo_sweep.analysis.inference.omnibus import (
    class_test,
    friedman,
    member_test,
    omnibus_finding,
)

SIX = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]


def test_complete_classes_are_tested_as_repeated_measures_of_the_seeds() -> None:
    from statsmodels.stats.anova import AnovaRM

    runs = with_members(SIX, [1] * 6, 4, np.random.default_rng(0))

    test = class_test(runs)

    known = AnovaRM(runs, "accuracy", "seed", within=["group"]).fit().anova_table.iloc[0]
    assert test is not None
    assert test.f == pytest.approx(known["F Value"])
    assert (test.df1, test.df2) == (known["Num DF"], known["Den DF"])
    assert test.epsilon <= 1
    assert known["Pr > F"] <= test.p_value < 0.05
    assert test.permutation_p < 0.05


def test_the_interval_of_the_effect_says_no_other_than_p_where_variances_are_unequal() -> None:
    claims = []
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(size=(6, 8)) * np.array([[1, 1, 1, 1, 1, 9]]).T
        test = class_test(runs_of(noise + np.arange(6)[:, None]), permutations=9)
        assert test is not None
        if test.epsilon < 1:
            assert f"Box's epsilon {test.epsilon:.2f}, p" in test.words
            assert (test.omega_low > 0) == (test.p_value < 0.025)
            claims.append(test.p_value < 0.025)

    assert 0 < sum(claims) < len(claims)


def test_members_are_replicates_and_not_seeds() -> None:
    # Each class differs between seeds by far more than its members do.
    rng = np.random.default_rng(1)
    runs = with_members([0.0] * 12, [4] * 12, 3, rng, interaction=1.0, noise=0.01)

    test = class_test(runs)

    assert test is not None
    assert test.df2 == 11 * 2
    assert not test.is_significant()


def test_members_are_tested_within_their_class_against_their_own_noise() -> None:
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    runs = with_members([0, 3, 6], [1, 2, 3], 4, np.random.default_rng(2), interaction=2.0)
    runs = runs.drop(index=[20])

    test = member_test(runs)

    known = sum(
        anova_lm(ols("accuracy ~ C(member) + C(seed)", rows).fit(), typ=2)[["sum_sq", "df"]]
        for _, rows in runs[runs["group"] > 0].groupby("group")
    )
    (members, df1), _, (rest, df2) = known.to_numpy()
    assert test is not None
    assert (test.f, test.df1, test.df2) == pytest.approx((members / df1 / (rest / df2), df1, df2))
    assert test.permutation_p == pytest.approx(test.p_value, abs=0.1)
    surplus = test.df1 * (test.f - 1)
    assert test.omega_squared == pytest.approx(surplus / (surplus + (2 + 3) * 4 - 1))


def test_members_unlike_the_others_are_found() -> None:
    runs = with_members([0] * 8, [2] * 8, 5, np.random.default_rng(3), noise=0.1)
    runs.loc[runs["member"] % 4 == 1, "accuracy"] += 1.0

    test = member_test(runs)

    assert test is not None
    assert test.is_significant(0.01)


def test_the_effect_size_is_partial_omega_squared_with_the_interval_of_a_noncentral_f() -> None:
    from scipy.stats import ncf

    test = class_test(with_members(SIX, [1] * 6, 4, np.random.default_rng(0)))

    assert test is not None
    assert test.omega_squared == pytest.approx(5 * (test.f - 1) / (5 * (test.f - 1) + 24))
    shares = np.array([test.omega_low, test.omega_high])
    ends = ncf.cdf(test.f, 5, 15, 24 * shares / (1 - shares))
    assert ends == pytest.approx([0.975, 0.025])


@pytest.mark.parametrize(
    "table",
    [
        pytest.param([[0.5], [0.6]], id="one seed"),
        pytest.param([[0.5, 0.6, 0.7]], id="one class"),
        pytest.param([[0.5, 0.5], [0.5, 0.5]], id="all equal"),
        pytest.param([[0.5, 0.6], [0.7, 0.8]], id="no noise"),
        pytest.param([[0.5, np.nan], [np.nan, 0.6]], id="no seed shared"),
    ],
)
def test_nothing_is_tested_where_there_is_no_noise_to_test_against(
    table: list[list[float]],
) -> None:
    runs = runs_of(table)

    assert class_test(runs) is None
    assert member_test(runs) is None


def test_friedman_is_that_of_scipy_on_complete_seeds() -> None:
    from scipy.stats import friedmanchisquare

    table = pd.DataFrame(np.random.default_rng(4).normal(size=(6, 5)))
    table.iloc[2, 1] = np.nan

    test = friedman(table)

    known = friedmanchisquare(*table.drop(index=2).to_numpy().T)
    assert test is not None
    assert (test.chi_squared, test.p_value) == pytest.approx((known.statistic, known.pvalue))
    assert (test.df, test.left_out) == (4, (2,))
    assert friedman(table.iloc[:, :2]) is None
    assert friedman(table.iloc[1:3]) is None
    assert friedman(table * 0 + 0.5) is None


def noise(seeds: int, members: int = 1, *, mean: float = 0.9) -> list[list[float]]:
    rng = np.random.default_rng(round(1000 * mean))
    rows: list[list[float]] = (mean + 0.001 * rng.normal(size=(members, seeds))).tolist()
    return rows


def test_a_difference_is_claimed_with_the_numbers_that_show_it() -> None:
    design = class_design({c: noise(5, 1 + c % 2, mean=0.8 + 0.01 * c) for c in range(6)})

    finding = omnibus_finding(design)

    assert finding.sentence.startswith(
        "Topology matters here: class means differ by more than seeds explain (F(5, 20) = "
    )
    assert "permutation p < 0.001)" in finding.sentence
    assert "As a check, members of one class were not found to differ (F(" in finding.sentence
    assert finding.numbers["df1"] == 5
    assert finding.tables["tests"]["of"].tolist() == ["class"] * 2 + ["member of its class"] * 2 + [
        "class"
    ]
    assert finding.to_json_value() == omnibus_finding(design).to_json_value()


def test_no_difference_is_no_evidence_of_none() -> None:
    rows = noise(3, 6)

    finding = omnibus_finding(class_design({c: [rows[c]] for c in range(6)}))

    assert finding.sentence.startswith(
        "No difference between classes was found with n = 3 seeds (F(5, 10) = "
    )
    assert "which does not show that there is none." in finding.sentence


def test_nothing_is_claimed_where_f_and_permutation_disagree() -> None:
    # Two classes and four seeds can be permuted in 16 ways: no p-value is below 1/8.
    two = omnibus_finding(class_design({0: noise(4), 1: noise(4, mean=0.92)}))
    members = omnibus_finding(class_design({1: [noise(4)[0], noise(4, mean=0.92)[0]], 2: noise(4)}))

    assert two.sentence.startswith("F and permutation disagree on whether classes differ (F(1, 3)")
    assert "so nothing is claimed: more seeds would tell." in two.sentence
    assert "F and permutation disagree on whether members of one class differ" in members.sentence


def test_members_that_differ_are_a_warning() -> None:
    classes = {c: [noise(5)[0], noise(5, mean=0.92)[0]] for c in (1, 2)}

    sentence = omnibus_finding(class_design(classes)).sentence

    assert "But members of one class differ by more than noise (F(2, 8) = " in sentence
    assert "5% of sound sweeps" in sentence


def test_what_is_missing_is_said() -> None:
    rows: list[list[float | None]] = [list(row) for row in noise(4, 4)]
    rows[1][3] = rows[2][3] = None

    whole = omnibus_finding(class_design({c: [rows[c]] for c in range(4)})).sentence
    rows[1][1] = rows[3][0] = None
    few = omnibus_finding(class_design({c: [rows[c]] for c in range(4)})).sentence

    assert "2 of 16 cells of class and seed are empty" in whole
    assert "Friedman's test leaves out seeds 3." in whole
    assert "there is no Friedman test, for it needs two complete seeds" in few


def test_one_seed_gives_no_test_and_says_what_would() -> None:
    finding = omnibus_finding(class_design({0: [[0.5]], 1: [[0.6], [0.7]]}))

    assert finding.sentence == (
        "There is no test: with one seed classes cannot be told from noise: run the same with "
        "another."
    )
    assert not finding.numbers
    assert not finding.method
