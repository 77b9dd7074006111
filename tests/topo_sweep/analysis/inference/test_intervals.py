"""Intervals of means, of each by itself and of all at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.topo_sweep.analysis.inference.tables import SD, design, table
from tests.topo_sweep.analysis.ranking_rows import frame, row
from topo_sweep.analysis.design import design_of
from topo_sweep.analysis.inference import intervals
from topo_sweep.analysis.inference.intervals import (
    intervals_finding,
    mean_intervals,
    variances_by_members,
)
from topo_sweep.analysis.inference.noise import Noise


def noise(groups: int, variance: float, of_seeds: float, *, df: float = 1e6) -> Noise:
    return Noise(
        variance=pd.Series(variance, range(groups)),
        df=pd.Series(df, range(groups)),
        of_seeds=of_seeds,
        seed_df=4,
        prior_df=np.inf,
        words="",
    )


def critical(of: Noise, monkeypatch: pytest.MonkeyPatch) -> float:
    """The half width of an interval for all at once, in standard errors."""
    monkeypatch.setattr(intervals, "noise_of", lambda *_: of)
    found = mean_intervals(pd.DataFrame(np.full((5, len(of.variance)), 0.5)))
    spread = np.sqrt((of.of_seeds + of.variance[0]) / 5)
    return float((found["all_high"] - found["mean"])[0] / spread)


def test_an_interval_by_itself_is_students() -> None:
    wide = table(6, 5, random=np.random.default_rng(0), missing=0.15)
    found = mean_intervals(wide)

    for group in wide:
        values = wide[group].dropna()
        low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        ends = found.T[group][["ci_low", "ci_high"]]
        assert ends.tolist() == pytest.approx([low, high])


def test_of_independent_errors_the_largest_is_sidaks(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = stats.norm.ppf((1 + 0.95 ** (1 / 10)) / 2)  # 2.80

    assert critical(noise(10, 1e-6, 0.0), monkeypatch) == pytest.approx(expected, rel=0.03)


def test_an_error_that_all_share_costs_nothing_for_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = stats.t.ppf(0.975, 4)  # 2.78

    assert critical(noise(50, 1e-12, 1e-6), monkeypatch) == pytest.approx(expected, rel=0.05)


def test_of_very_many_groups_the_bound_is_bonferronis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "_MOST", 9)
    expected = stats.norm.ppf(1 - 0.05 / 20)

    assert critical(noise(10, 1e-6, 0.0), monkeypatch) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_intervals_for_all_at_once_hold_all_means_as_often_as_they_say(missing: float) -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(40):
        means = random.normal(0, 1, 10)
        wide = table(10, 6, random=random, means=means, missing=missing)
        found = mean_intervals(wide).assign(true=0.9 + SD * means).dropna()
        outside = (found["true"] < found["all_low"]) | (found["all_high"] < found["true"])
        held += not outside.any()
    assert held >= 35  # 38 of 40


def test_one_seed_has_no_interval_and_the_same_table_gives_the_same_ends() -> None:
    wide = table(4, 5, random=np.random.default_rng(0))
    wide[9] = [0.9, *[np.nan] * 4]
    found = mean_intervals(wide)

    assert found.loc[9, ["ci_low", "ci_high", "all_low", "all_high"]].isna().all()
    assert found["all_low"].notna().sum() == 4
    pd.testing.assert_frame_equal(found, mean_intervals(wide))
    assert mean_intervals(wide[:1]).filter(like="all_").isna().all(axis=None)


def test_the_finding_gives_the_noise_by_the_trainings_of_a_seed() -> None:
    random = np.random.default_rng(0)
    # Topologies 7, 8, 9 and 50 are class 3; 0, 4, 10, 17 and others stand alone.
    rows = [
        row(t, seed, 0.9 + 0.003 * float(random.standard_normal()))
        for t in (0, 4, 10, 17, 7, 8, 9, 50)
        for seed in range(5)
    ]
    by_class = design_of(frame(rows))
    finding = intervals_finding(by_class)

    sizes = variances_by_members(by_class)
    assert set(sizes["groups"]) >= {1}
    assert sizes["fitted"].is_monotonic_decreasing
    assert finding.sentence.startswith("Means of 5 classes range from ")
    assert "(by how many trainings are averaged)." in finding.sentence
    assert len(finding.shown["means, best first"]) == 6

    one = intervals_finding(design({0: [0.9], 1: [0.8]}))
    assert one.sentence.startswith("No mean of 2 classes has an interval (n = 1)")
