"""What an estimate over seeds promises."""

from __future__ import annotations

import pytest

from topo_sweep.analysis.accuracy import estimate

T_975 = {1: 12.706205, 2: 4.302653}
"""97.5% quantile of Student's t by degrees of freedom, from a printed table."""


def test_an_estimate_has_the_t_interval_of_a_calculation_by_hand() -> None:
    ours = estimate([90.0, 92.0, 94.0])

    assert ours is not None
    assert (ours.n, ours.mean, ours.sd) == (3, 92.0, 2.0)
    half = T_975[2] * 2.0 / 3**0.5
    assert (ours.low, ours.high) == pytest.approx((92 - half, 92 + half), rel=1e-6)


def test_the_p_value_is_five_percent_where_the_interval_ends_at_zero() -> None:
    ours = estimate([1 - 1 / T_975[1], 1 + 1 / T_975[1]])  # mean 1, half width 1

    assert ours is not None
    assert ours.low == pytest.approx(0, abs=1e-6)
    assert ours.p_value == pytest.approx(0.05, abs=1e-6)


def test_one_value_has_no_spread_none_no_estimate_and_equal_ones_a_point() -> None:
    single, equal = estimate([3.0]), estimate([3.0, 3.0])

    assert estimate([]) is None
    assert single is not None
    assert (single.n, single.sd, single.low, single.p_value) == (1, None, None, None)
    assert equal is not None
    assert (equal.low, equal.high, equal.p_value) == (3, 3, 0)
