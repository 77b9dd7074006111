"""Kendall's tau against scipy, and its interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from topo_sweep.analysis.statistics import agreement as statistics_agreement
from topo_sweep.analysis.statistics.agreement import agreement, mean_agreement, tau_text


def series(values: object) -> pd.Series[float]:
    return pd.Series(np.asarray(values, dtype=float))


def test_tau_is_that_of_scipy_with_ties_and_without() -> None:
    random = np.random.default_rng(0)
    for ties in (False, True):
        first, second = random.normal(size=(2, 40))
        if ties:
            first, second = first.round(), (first + second).round()
        found = agreement(series(first), series(second))
        assert found is not None
        assert found.tau == pytest.approx(stats.kendalltau(first, second).statistic)


def test_of_many_groups_there_is_the_same_tau_without_an_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = list(np.random.default_rng(0).normal(size=(3, 2, 21)).round(1))
    few = mean_agreement(pairs)
    monkeypatch.setattr(statistics_agreement, "MOST_PAIRED", 20)
    monkeypatch.setattr(statistics_agreement, "_taus", None)

    many = mean_agreement(pairs)

    assert few is not None
    assert many is not None
    assert few.low is not None
    assert (many.n, many.low) == (21, None)
    assert many.tau == pytest.approx(few.tau)
    assert mean_agreement([np.ones((2, 21))]) is None


def test_only_groups_that_both_have_are_compared_and_counted() -> None:
    first = pd.Series({3: 0.1, 4: 0.2, 5: 0.3, 9: 0.4})
    second = pd.Series({5: 0.3, 4: 0.2, 3: 0.1, 8: 0.0, 9: np.nan})

    found = agreement(first, second)

    assert found is not None
    assert (found.n, found.tau, found.low) == (3, 1.0, None)
    assert tau_text(found) == "1.00 (no interval)"


def test_what_is_the_same_for_all_has_no_tau() -> None:
    assert agreement(series([1, 1, 1]), series([1, 2, 3])) is None
    assert agreement(series([1]), series([2])) is None
    assert mean_agreement([]) is None
    assert tau_text(None) == "-"


def test_an_interval_leaves_out_each_group_in_turn() -> None:
    first, second = np.random.default_rng(1).normal(size=(2, 12)) + np.arange(12) / 4
    left_out = [
        stats.kendalltau(np.delete(first, i), np.delete(second, i)).statistic for i in range(12)
    ]
    z = np.arctanh(left_out)
    error = np.sqrt(11 / 12 * ((z - z.mean()) ** 2).sum())
    tau = stats.kendalltau(first, second).statistic
    ends = np.tanh(np.arctanh(tau) + stats.t.ppf([0.05, 0.95], 11) * error)

    found = agreement(series(first), series(second), confidence=0.9)

    assert found is not None
    assert [found.low, found.high] == pytest.approx(list(ends))


def test_intervals_hold_the_true_tau_of_a_normal_pair_about_as_often_as_they_say() -> None:
    random, held = np.random.default_rng(2), 0
    true = 2 / np.pi * np.arcsin(0.5)
    for _ in range(300):
        first, other = random.normal(size=(2, 40))
        found = mean_agreement([(first, 0.5 * first + 0.75**0.5 * other)])
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= true <= found.high

    assert 0.93 <= held / 300 <= 0.99


def test_a_mean_over_pairs_is_the_mean_of_their_taus() -> None:
    random = np.random.default_rng(3)
    pairs = random.normal(size=(4, 2, 9))

    found = mean_agreement(list(pairs))

    assert found is not None
    taus = [stats.kendalltau(first, second).statistic for first, second in pairs]
    assert found.tau == pytest.approx(np.mean(taus))
