"""The difference of two means of independent seeds."""

from __future__ import annotations

import pytest
from scipy.stats import ttest_ind

from topo_sweep.analysis.accuracy import difference, estimate

FIRST, SECOND = [93.1, 92.8, 93.4, 93.0], [92.0, 92.9]


def test_it_is_welchs_interval_and_p_value() -> None:
    ours = difference(FIRST, SECOND)
    theirs = ttest_ind(FIRST, SECOND, equal_var=False)

    assert ours is not None
    assert (ours.n, ours.sd) == (6, None)
    assert ours.mean == pytest.approx(93.075 - 92.45)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert ours.p_value == pytest.approx(float(theirs.pvalue))


def test_with_as_many_seeds_and_equal_spread_it_has_the_freedom_of_both() -> None:
    # 2 + 2 degrees of freedom: 2.776445 is their 97.5% quantile; each mean has SD 2 / sqrt(3).
    ours = difference([90.0, 92.0, 94.0], [80.0, 82.0, 84.0])

    assert ours is not None
    half = 2.776445 * (2 * 4 / 3) ** 0.5
    assert (ours.low, ours.high) == pytest.approx((10 - half, 10 + half), rel=1e-6)


def test_one_value_on_a_side_or_equal_ones_have_no_interval_and_none_no_difference() -> None:
    single, equal = difference(FIRST, [92.0]), difference([3.0, 3.0], [1.0, 1.0])

    assert single is not None
    assert (single.n, single.low, single.high, single.p_value) == (5, None, None, None)
    assert single.mean == pytest.approx(1.075)
    assert difference([], SECOND) is difference(FIRST, []) is None
    assert equal is not None
    assert (equal.mean, equal.low, equal.high, equal.p_value) == (2, None, None, None)


def test_seeds_that_are_paired_are_another_matter() -> None:
    paired, apart = estimate([1.0, 1.0, 1.1]), difference([91.0, 81.0, 71.1], [90.0, 80.0, 70.0])

    assert paired is not None
    assert apart is not None
    assert paired.mean == pytest.approx(apart.mean)
    assert (paired.low or 0) > 0 > (apart.low or 0)
