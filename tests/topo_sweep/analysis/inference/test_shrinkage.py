"""Means drawn towards the mean of all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.topo_sweep.analysis.inference.tables import SD, design, table
from topo_sweep.analysis.inference.shrinkage import shrinkage_finding, shrunken, shrunken_means

BASEBALL = pd.Series(
    [18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7], dtype=float
) / 45  # fmt: skip
"""Hits of the first 45 times at bat of 18 players in 1970 (Efron and Morris 1975)."""
ESTIMATES = (
    0.294, 0.289, 0.284, 0.280, 0.275, 0.275, 0.270, 0.266, 0.261, 0.261, 0.256, 0.256, 0.256,
    0.256, 0.256, 0.252, 0.247, 0.242,
)  # fmt: skip
"""Their James-Stein estimates as printed in Efron and Morris, Scientific American, May 1977."""
SEASON = (
    0.346, 0.298, 0.276, 0.222, 0.273, 0.270, 0.263, 0.210, 0.269, 0.230, 0.264, 0.256, 0.303,
    0.264, 0.226, 0.285, 0.316, 0.200,
)  # fmt: skip
"""What they hit in the rest of the season, from the same."""


def equal(means: pd.Series[float], variance: float) -> pd.Series[float]:
    return pd.Series(variance, means.index)


def test_the_batting_averages_of_efron_and_morris_come_out_as_printed() -> None:
    mean = BASEBALL.mean()
    found = shrunken(BASEBALL, equal(BASEBALL, mean * (1 - mean) / 45))
    assert found is not None

    assert found.table["kept"].to_numpy() == pytest.approx(0.212, abs=0.001)
    assert found.table["shrunk"].to_numpy() == pytest.approx(np.array(ESTIMATES), abs=0.0011)
    held = found.table["low"].lt(np.array(SEASON)) & found.table["high"].gt(np.array(SEASON))
    assert held.sum() >= 17


def test_intervals_with_equal_variances_are_morris() -> None:
    variance = 0.0043
    found = shrunken(BASEBALL, equal(BASEBALL, variance))
    assert found is not None
    k, away = 18, BASEBALL - BASEBALL.mean()
    lost = (k - 3) * variance / float((away**2).sum())
    # Morris (1983), section 1.
    squared = variance * (1 - (k - 1) / k * lost) + 2 / (k - 3) * lost**2 * away**2

    half = (found.table["high"] - found.table["low"]) / 2
    assert half.to_numpy() == pytest.approx((1.959964 * squared**0.5).to_numpy())


def test_where_noise_explains_all_every_mean_is_the_mean_of_all() -> None:
    found = shrunken(BASEBALL, equal(BASEBALL, 0.01))
    assert found is not None

    assert found.between == 0.0
    assert found.table["shrunk"].to_numpy() == pytest.approx(BASEBALL.mean())
    assert (found.table["high"] - found.table["low"]).min() > 0


def test_a_mean_that_is_known_badly_is_drawn_further() -> None:
    variances = equal(BASEBALL, 0.002)
    variances[0] = 0.02
    found = shrunken(BASEBALL, variances)
    assert found is not None

    assert found.table["kept"][0] < found.table["kept"][1:].min()


def test_an_error_that_all_share_draws_nothing_and_widens() -> None:
    alone = shrunken(BASEBALL, equal(BASEBALL, 0.0043))
    shared = shrunken(BASEBALL, equal(BASEBALL, 0.0043), shared=0.01, shared_df=1e9)
    assert alone is not None
    assert shared is not None

    assert shared.table["shrunk"].tolist() == alone.table["shrunk"].tolist()
    assert (shared.table["high"] > alone.table["high"] + 0.1).all()  # the shared error has SD 0.1


def test_fewer_than_four_groups_or_no_spread_are_left_as_they_are() -> None:
    assert shrunken(BASEBALL[:3], equal(BASEBALL[:3], 0.004)) is None
    assert shrunken_means(pd.DataFrame([[0.9, 0.8, 0.7, 0.6]] * 2)) is None
    assert shrunken_means(pd.DataFrame([[0.9, 0.8, 0.7, 0.6]])) is None


def test_shrunken_means_are_nearer_to_the_truth_and_their_intervals_hold_it() -> None:
    random = np.random.default_rng(0)
    raw = near = 0.0
    held = []
    for _ in range(25):
        means = random.normal(0, 0.5, 30)
        wide = table(30, 5, random=random, means=means, missing=0.1)
        found = shrunken_means(wide)
        assert found is not None
        true = pd.Series(0.9 + SD * means)[found.table.index]
        raw += float(((found.table["mean"] - true) ** 2).sum())
        near += float(((found.table["shrunk"] - true) ** 2).sum())
        held.append(((found.table["low"] < true) & (true < found.table["high"])).mean())
    assert near < 0.9 * raw
    assert 0.92 < np.mean(held) < 0.98


def test_the_finding_says_what_stays_or_that_nothing_does() -> None:
    noise = np.array([0.0, 0.002, -0.002, 0.001, -0.001])
    means = {0: 0.95, 1: 0.94, 4: 0.93, 7: 0.92, 17: 0.91}

    apart = {t: list(m + np.roll(noise, n)) for n, (t, m) in enumerate(means.items())}
    finding = shrinkage_finding(design(apart))
    assert "stays (the middle class): the true means of classes have SD" in finding.sentence
    assert float(str(finding.numbers["kept"])) > 0.98
    assert finding.shown["best first"][1][:2] == ("0", "95.00")

    alike = {t: list(0.9 + np.roll(noise, n)) for n, t in enumerate(means)}
    finding = shrinkage_finding(design(alike))
    assert finding.sentence == (
        "Noise explains all of the spread of 5 classes (n = 5): no class is estimated to differ "
        "from the mean of all, 90.00%."
    )
    assert "it takes 4 with two seeds" in shrinkage_finding(design({0: [0.9, 0.8]})).sentence
