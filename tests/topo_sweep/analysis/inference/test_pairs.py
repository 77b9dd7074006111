"""All pairs of groups, within seeds where these are shared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nas_core.errors import InputError
from tests.topo_sweep.analysis.inference.tables import design, table
from topo_sweep.analysis.inference import pairs as inference_pairs
from topo_sweep.analysis.inference.pairs import Pairs, all_pairs, corrected, pairs_finding


def test_each_pair_by_itself_is_students_paired_test() -> None:
    wide = table(4, 5, random=np.random.default_rng(0), missing=0.15)
    pairs = corrected(all_pairs(wide, variances="own"))

    for pair in pairs.to_dict("records"):
        both = wide[[pair["first"], pair["second"]]].dropna()
        expected = stats.ttest_rel(both.iloc[:, 0], both.iloc[:, 1])
        low, high = expected.confidence_interval()
        assert (pair["n"], pair["paired"]) == (len(both), True)
        assert (pair["t"], pair["p"]) == pytest.approx((expected.statistic, expected.pvalue))
        assert (pair["low"], pair["high"]) == pytest.approx((low, high))


@pytest.mark.parametrize("shared", [np.nan, 0.91])
def test_groups_without_two_seeds_in_common_are_compared_by_welchs_test(shared: float) -> None:
    values = [[0.91, np.nan], [0.92, np.nan], [0.95, shared], [np.nan, 0.90], [np.nan, 0.89]]
    wide = pd.DataFrame(values)
    (pair,) = all_pairs(wide).table.to_dict("records")
    expected = stats.ttest_ind(wide[0].dropna(), wide[1].dropna(), equal_var=False)

    assert (pair["n"], pair["paired"]) == (wide.notna().sum().sum(), False)
    assert (pair["t"], pair["p"]) == pytest.approx((expected.statistic, expected.pvalue))


def test_pooled_variances_are_those_of_a_randomised_block_design() -> None:
    from statsmodels.regression.linear_model import OLS

    wide = table(5, 4, random=np.random.default_rng(1))
    seeds, groups = np.indices(wide.shape)
    dummies = np.hstack([np.eye(5)[groups.ravel()], np.eye(4)[seeds.ravel()][:, 1:]])
    fit = OLS(wide.to_numpy().ravel(), dummies).fit()

    pairs = all_pairs(wide, variances="pooled")

    for pair in pairs.table.to_dict("records"):
        contrast = np.zeros(8)
        contrast[[pair["first"], pair["second"]]] = 1, -1
        expected = fit.t_test(contrast)
        assert pair["t"] == pytest.approx(float(expected.tvalue.item()))
        assert pair["p"] == pytest.approx(float(expected.pvalue))
    assert pairs.alike


def test_moderation_pools_variances_that_agree_and_keeps_others_apart() -> None:
    random = np.random.default_rng(3)
    alike = table(40, 5, random=random)
    spread = np.where(np.arange(40) % 2, 0.2, 3.0) * random.standard_normal((5, 40))
    unlike = table(40, 5, random=random, noise=spread)

    for wide in (alike, unlike):
        own, drawn, pooled = (
            all_pairs(wide, variances=kind).table["df"].median()
            for kind in ("own", "moderated", "pooled")
        )
        assert own == 4
        assert pooled == 156
        assert (drawn > 15) == (wide is alike)
        assert drawn >= own


def test_corrected_p_values_are_those_of_a_calculation_by_hand() -> None:
    rows = {"difference": [0.1] * 3, "se": [0.1] * 3, "df": [9.0] * 3, "p": [0.01, 0.04, 0.03]}
    pairs = Pairs(table=pd.DataFrame(rows), groups=pd.Index([0, 1, 2]), variances="", alike=False)

    whole = corrected(pairs)

    assert whole["p_holm"].tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert whole["p_bh"].tolist() == pytest.approx([0.03, 0.04, 0.04])
    assert pairs.sure().tolist() == [1, 0, 0]  # 0.05 / 3


def test_a_pair_without_spread_has_no_p_value_and_is_not_sure() -> None:
    pairs = all_pairs(pd.DataFrame([[0.9, 0.5], [0.9, 0.5]]))

    assert pairs.table["p"].isna().all()
    assert pairs.sure().tolist() == [0]
    assert np.isnan(corrected(pairs)["p_holm"][0])


def test_unknown_variances_are_refused() -> None:
    with pytest.raises(InputError, match="moderated, pooled, own, got 'equal'"):
        all_pairs(pd.DataFrame([[0.9]]), variances="equal")


def test_equal_groups_are_rarely_called_different_also_where_noise_has_heavy_tails() -> None:
    random = np.random.default_rng(0)
    alarms = sum(
        bool(all_pairs(wide).sure().any())  # Holm begins with Bonferroni
        for wide in (
            table(12, 4, random=random, noise=random.standard_t(3, (4, 12))) for _ in range(60)
        )
    )
    assert alarms <= 6


def test_the_finding_names_the_pairs_and_counts_those_that_differ_surely() -> None:
    noise = [0.0, 0.002, -0.002, 0.001]
    worth = {0: 0.95, 1: 0.9, 4: 0.9}
    measured = {t: [w + e for e in np.roll(noise, n)] for n, (t, w) in enumerate(worth.items())}
    finding = pairs_finding(design(measured))

    assert finding.sentence.startswith("2 of 3 pairs differ surely (Holm, 5% for all pairs at once")
    assert finding.numbers["holm"] == 2
    assert finding.tables["pairs"]["first"].tolist() == ["class 0", "class 0", "class 1"]

    one = pairs_finding(design({0: [0.9], 1: [0.8]}))
    assert one.sentence == (
        "No two of 2 classes can be compared (n = 1): each needs two seeds that differ."
    )
    none = pairs_finding(design({0: [0.9, 0.8, 0.85], 1: [0.8, 0.9, 0.87]}))
    assert none.sentence.startswith("No two of 2 classes differ surely (n = 3; Holm, 5% for all 1")


def test_of_many_groups_no_pair_is_compared_and_the_finding_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference_pairs, "MOST_PAIRED", 2)
    monkeypatch.setattr(inference_pairs, "all_pairs", None)

    found = pairs_finding(design({0: [0.9, 0.8], 1: [0.8, 0.7], 4: [0.7, 0.8], 11: [0.9]}))

    assert found.sentence == (
        "All 3 pairs of 3 classes are left out: so many are not compared two by two, but up to 2 "
        "are."
    )
