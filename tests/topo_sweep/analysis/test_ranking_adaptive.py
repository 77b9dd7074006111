"""The ranking of an adaptive sweep: intervals that hold at any time, and a header that says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tests.topo_sweep.analysis.adaptive.races import stored_race
from tests.topo_sweep.analysis.ranking_rows import TYPES, row
from topo_sweep.analysis.accuracy import FRACTION
from topo_sweep.analysis.ranking import rank
from topo_sweep.analysis.statistics.anytime import anytime_interval

TRIALS = pd.DataFrame(
    [row(index, seed, 0.8 + 0.01 * ((index + seed) % 4)) for index in (0, 4) for seed in range(5)]
    + [row(7, 0, 0.7)]
).astype(TYPES)


def test_it_is_first_what_is_best_in_the_race_though_others_have_better_seeds(
    tmp_path: Path,
) -> None:
    ranking = rank(stored_race(tmp_path).trials(), adaptive=True)

    assert ranking.table["topology"].tolist()[0] == 7
    assert ranking.table["mean"].argmax() > 0
    assert "as if each class had all of them" in ranking.header


def test_only_intervals_and_header_differ_from_those_of_equal_seeds() -> None:
    plain, adaptive = rank(TRIALS), rank(TRIALS, adaptive=True)
    judged = ["rank_low", "rank_high", "in_best_set", "shrunk_mean"]
    others = [name for name in plain.table if name not in (*judged, "ci_low", "ci_high")]
    pd.testing.assert_frame_equal(plain.table[others], adaptive.table[others])
    assert plain.table["rank_low"].notna().any()
    assert adaptive.table[judged].isna().all(axis=None)

    table = adaptive.table
    low, high = anytime_interval(table["mean"], table["sd"], table["n"], within=FRACTION)
    np.testing.assert_array_equal(table["ci_low"], low)
    np.testing.assert_array_equal(table["ci_high"], high)
    assert (high - low)[0] > (plain.table["ci_high"] - plain.table["ci_low"])[0]
    assert "95% anytime-valid ones over training seeds" in adaptive.header
    assert "t intervals" not in adaptive.header
    assert "anytime" not in plain.header
