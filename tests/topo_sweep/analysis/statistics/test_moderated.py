"""Variances drawn towards a common one, as far as they agree."""

from __future__ import annotations

import numpy as np
import pytest

from topo_sweep.analysis.statistics.moderated import moderated

DF = 4.0


def drawn(count: int, prior_df: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    scatter = 1.0 if np.isinf(prior_df) else random.chisquare(prior_df, count) / prior_df
    return random.chisquare(DF, count) / DF / scatter


@pytest.mark.parametrize("prior_df", [2.0, 5.0])
def test_the_prior_degrees_of_freedom_are_those_that_variances_were_drawn_with(
    prior_df: float,
) -> None:
    found = moderated(drawn(4000, prior_df), np.full(4000, DF), most_df=1e9)

    assert found.prior_df == pytest.approx(prior_df, rel=0.15)


def test_equal_variances_are_pooled() -> None:
    variance = drawn(30, np.inf, seed=1)
    found = moderated(variance, np.full(30, DF), most_df=120.0)

    assert found.prior_df == np.inf
    assert found.variance == pytest.approx(variance.mean())
    assert found.df == pytest.approx(120.0)
    assert found.words == "variances pooled"


def test_between_the_extremes_the_common_variance_counts_as_smyth_weighs_it() -> None:
    variance = drawn(500, 4.0)
    found = moderated(variance, np.full(500, DF), most_df=1e9)
    prior = found.prior_df
    # (prior * common + DF * own) / (prior + DF): one common variance explains all.
    common = (found.variance * (prior + DF) - DF * variance) / prior

    assert np.median(common) == pytest.approx(common.max())
    assert found.df == pytest.approx(prior + DF)
    assert f"{prior:.0f} degrees" in found.words


def test_one_variance_far_above_all_others_stands_for_itself() -> None:
    variance = drawn(60, np.inf, seed=1)
    lone = np.append(variance, 5000.0)
    found = moderated(lone, np.full(61, DF), most_df=240.0)

    assert (found.variance[-1], found.df[-1]) == (5000.0, DF)
    assert found.variance[:-1].max() < 3
    assert found.df[:-1].min() > 8


def test_a_scale_is_what_variances_are_proportional_to() -> None:
    variance, scale = drawn(40, np.inf, seed=1), np.repeat([1.0, 9.0], 20)
    plain = moderated(variance, np.full(40, DF), most_df=160.0)
    scaled = moderated(variance * scale, np.full(40, DF), most_df=160.0, scale=scale)

    assert scaled.variance == pytest.approx(plain.variance * scale)
    assert scaled.prior_df == plain.prior_df


def test_unequal_degrees_of_freedom_are_not_taken_for_unequal_variances() -> None:
    random = np.random.default_rng(0)
    df = random.integers(1, 9, 3000).astype(float)
    found = moderated(random.chisquare(df) / df, df, most_df=1e9)

    assert found.prior_df > 30


def test_few_variances_do_not_tell_how_much_they_scatter() -> None:
    found = moderated(np.array([1.0, 2.0, 3.0]), np.full(3, DF), most_df=8.0)

    assert found.variance.tolist() == [1.0, 2.0, 3.0]
    assert found.words == "each variance by itself"
