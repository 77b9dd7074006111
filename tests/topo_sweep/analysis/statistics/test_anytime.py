"""Intervals at any time: against their definition, ordinary intervals, and how often they miss."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from topo_sweep.analysis.accuracy import FRACTION, t_interval
from topo_sweep.analysis.statistics.anytime import anytime_interval, anytime_pairs


def evidence(mean: float, sd: float, n: int, precision: float) -> float:
    """Return the ratio of noncentral t densities, mixed over the effect, as the paper defines it.

    It is of a mean of 0 and effects N(0, 1 / precision).
    """
    t = mean / (sd / n**0.5)

    def weighted(effect: float) -> float:
        density = stats.nct.pdf(t, n - 1, effect * n**0.5)
        return float(density * stats.norm.pdf(effect, scale=precision**-0.5))

    mixed, _ = integrate.quad(weighted, -30, 30, points=[0.0, t / n**0.5], limit=300)
    return float(mixed / stats.t.pdf(t, n - 1))


@pytest.mark.parametrize("n", [3, 5, 12])
def test_at_its_ends_the_evidence_against_a_mean_is_one_over_alpha(n: int) -> None:
    _, high = anytime_interval(0.0, 1.0, n, confidence=0.8)
    assert evidence(float(high), 1.0, n, precision=0.1) == pytest.approx(1 / 0.2, rel=1e-4)


def test_an_interval_is_wider_than_an_ordinary_one_and_none_where_that_has_none() -> None:
    n, sd = np.array([1, 2, 3, 10, 50]), np.array([np.nan, 0.01, 0.01, 0.01, 0.01])
    low, high = anytime_interval(0.9, sd, n, within=FRACTION)
    t_low, t_high = t_interval(0.9, sd, n, within=FRACTION)

    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert (low[1], high[1]) == FRACTION
    assert (np.diff(high[1:] - low[1:]) < 0).all()
    assert ((high - low)[2:] > 1.2 * (t_high - t_low)[2:]).all()
    assert (high - low)[3] < 2 * (t_high - t_low)[3]
    assert np.isnan(anytime_interval(0.9, 0.0, 5)).all()


def test_intervals_of_means_hold_at_all_times_at_once_where_ordinary_ones_do_not() -> None:
    values = np.random.default_rng(0).normal(size=(400, 60)) + 1.0
    wrong, wrong_ordinary = np.zeros(400, bool), np.zeros(400, bool)
    for n in range(2, 61):
        mean, sd = values[:, :n].mean(axis=1), values[:, :n].std(axis=1, ddof=1)
        for missed, interval in ((wrong, anytime_interval), (wrong_ordinary, t_interval)):
            low, high = interval(mean, sd, n)
            np.logical_or(missed, (low > 1) | (high < 1), out=missed)
    assert wrong.mean() <= 0.05
    assert wrong_ordinary.mean() > 0.2


def test_a_pair_is_compared_on_the_seeds_that_both_have() -> None:
    table = pd.DataFrame({0: [0.9, 0.8, 0.7, np.nan], 1: [0.88, 0.79, np.nan, np.nan]})
    pairs = anytime_pairs(table.assign(other=[0.5, np.nan, np.nan, 0.6]), alpha=0.05)

    assert pairs.shared[0].tolist() == [3, 2, 1]
    assert pairs.difference[0, 1] == pytest.approx(0.015)
    assert pairs.difference[0, 1] == -pairs.difference[1, 0]
    lonely = anytime_pairs(np.array([[0.5, np.nan], [np.nan, 0.6]]), alpha=0.05)
    assert lonely.half_width[0, 1] == np.inf
    assert lonely.difference[0, 1] == 0.0


def test_what_a_seed_adds_to_all_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal(size=(5, 8))
    shifted = table + 100 * rng.normal(size=(5, 1))
    plain, moved = anytime_pairs(table, alpha=0.01), anytime_pairs(shifted, alpha=0.01)

    np.testing.assert_allclose(plain.difference, moved.difference, atol=1e-9)
    np.testing.assert_allclose(plain.half_width, moved.half_width, rtol=1e-6)


def test_equal_spreads_are_shared_and_those_that_differ_are_not() -> None:
    rng = np.random.default_rng(2)
    alike = rng.normal(size=(6, 40))
    unlike = alike * np.exp(1.5 * rng.normal(size=40))

    assert anytime_pairs(alike, alpha=0.01).borrowed == 30
    assert anytime_pairs(unlike, alpha=0.01).borrowed < 6
    assert anytime_pairs(alike[:1], alpha=0.01).borrowed == 0


@pytest.mark.parametrize(("groups", "seeds"), [(2, 9), (3, 2), (3, 5), (10, 2)])
def test_few_groups_share_no_more_than_all_others_know(groups: int, seeds: int) -> None:
    tables = np.random.default_rng(4).normal(size=(20, seeds, groups))
    shared = max(anytime_pairs(table, alpha=0.01).borrowed for table in tables)
    assert shared == (groups - 2) * (seeds - 1)


def test_without_any_spread_nothing_is_claimed() -> None:
    constant = np.repeat([[0.3, 0.5, 0.9]], 4, axis=0)
    assert (anytime_pairs(constant, alpha=0.05).half_width == np.inf).all()


@pytest.mark.parametrize("heavy", [False, True])
def test_intervals_of_pairs_hold_at_all_times_at_once(heavy: bool) -> None:
    """Unequal variances, and heavy tails: a pair of a hundred misses, at any time, at most."""
    rng = np.random.default_rng(3)
    shape = (40, 30, 20)
    noise = rng.standard_t(4, shape) if heavy else rng.normal(size=shape)
    tables = noise * np.exp(0.4 * rng.normal(size=(40, 1, 20)))
    wrong = np.zeros((40, 20, 20), bool)
    for number, table in enumerate(tables):
        for n in range(2, 31):
            pairs = anytime_pairs(table[:n], alpha=0.05)
            wrong[number] |= np.abs(pairs.difference) > pairs.half_width
    assert wrong[:, *np.triu_indices(20, 1)].mean() <= 0.05
