"""How far means of pure noise lie apart."""

from __future__ import annotations

import numpy as np
import pytest

from topo_sweep.analysis.statistics.pure_noise import noise_spread


def test_180_means_of_noise_of_sd_0_22_points_range_over_1_2_points() -> None:
    spread = noise_spread(np.full(180, 0.0022), 1e9, 0.012)

    assert spread.range == pytest.approx(0.0120, abs=0.0001)
    assert spread.sd == pytest.approx(0.0022)
    assert 0.3 < spread.p_value < 0.6


def test_ranges_of_equal_errors_are_studentised_ranges() -> None:
    from scipy.stats import studentized_range

    spread = noise_spread(np.full(10, 2.0), 15, 2 * 4.5)

    assert spread.range_limit == pytest.approx(2 * studentized_range.ppf(0.95, 10, 15), rel=0.03)
    assert spread.p_value == pytest.approx(studentized_range.sf(4.5, 10, 15), abs=0.03)


def test_a_mean_of_large_error_widens_the_range() -> None:
    even, uneven = np.full(20, 1.0), np.array([1.0] * 19 + [5.0])

    assert noise_spread(uneven, 50, 4.0).range > 1.3 * noise_spread(even, 50, 4.0).range
    assert noise_spread(even, 50, 4.0) == noise_spread(even, 50, 4.0)
