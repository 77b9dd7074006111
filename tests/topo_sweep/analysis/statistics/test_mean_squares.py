"""Intervals of sums and differences of mean squares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import chdtri, fdtri

from topo_sweep.analysis.statistics.mean_squares import (
    difference,
    noncentrality,
    satterthwaite,
    total,
)


def test_the_interval_of_one_mean_square_is_the_exact_one() -> None:
    found = total([(1.0, 2.0, 7)], 0.95)

    assert (found.value, found.low, found.high) == pytest.approx(
        (2.0, 14 / chdtri(7, 0.025), 14 / chdtri(7, 0.975))
    )


def test_a_difference_is_above_zero_exactly_where_f_is_significant() -> None:
    bound = fdtri(10, 40, 0.975)

    above, below = (
        difference((1.0, bound * factor, 10), (1.0, 1.0, 40), 5.0, 0.95)
        for factor in (1.001, 0.999)
    )

    assert above.low > 0
    assert below.low == 0
    assert below.value == pytest.approx((bound * 0.999 - 1) / 5)


def test_the_upper_end_is_zero_exactly_where_f_is_too_low() -> None:
    bound = fdtri(10, 40, 0.025)

    above, below = (
        difference((1.0, bound * factor, 10), (1.0, 1.0, 40), 5.0, 0.95)
        for factor in (1.001, 0.999)
    )

    assert above.high > 0
    assert below.high == 0


def test_a_negative_difference_is_cut_at_zero_and_says_so() -> None:
    found = difference((1.0, 0.5, 10), (1.0, 1.0, 40), 5.0, 0.95)

    assert (found.value, found.low, found.is_cut) == (0, 0, True)
    assert found.high > 0


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    groups, rest = 3.0 * rng.chisquare(20, 2000) / 20, 1.0 * rng.chisquare(60, 2000) / 60
    apart = [
        difference((1.0, a, 20), (1.0, b, 60), 4.0, 0.95) for a, b in zip(groups, rest, strict=True)
    ]
    summed = [total([(1.0, a, 20), (0.5, b, 60)], 0.95) for a, b in zip(groups, rest, strict=True)]

    assert 0.935 < np.mean([part.low <= 0.5 <= part.high for part in apart]) < 0.965
    assert 0.935 < np.mean([part.low <= 3.5 <= part.high for part in summed]) < 0.965


def test_the_freedom_of_a_sum_lies_between_the_least_and_the_sum_of_its_parts() -> None:
    assert satterthwaite([(2.0, 3.0, 8)]) == pytest.approx(8)
    assert satterthwaite([(1.0, 1.0, 8), (0.5, 2.0, 8)]) == pytest.approx(16)


@pytest.mark.parametrize("f", [0.4, 3.1, 40.0])
def test_the_noncentrality_is_where_f_is_at_the_ends_of_its_distribution(f: float) -> None:
    from scipy.stats import ncf

    low, high = noncentrality(f, 5, 20, confidence=0.9)

    assert ncf.cdf(f, 5, 20, high) == pytest.approx(0.05)
    assert low == 0 if f < 1 else ncf.cdf(f, 5, 20, low) == pytest.approx(0.95)
