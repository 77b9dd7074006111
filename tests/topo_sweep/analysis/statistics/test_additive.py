"""Groups and seeds that add up, and means that no seed flatters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.topo_sweep.analysis.inference.tables import table
from topo_sweep.analysis.statistics.additive import (
    additive,
    adjusted_means,
    apart,
)
from topo_sweep.analysis.statistics.two_way import two_way


def test_groups_and_seeds_are_fitted_by_least_squares_also_where_cells_are_missing() -> None:
    wide = table(6, 5, random=np.random.default_rng(0), missing=0.3)
    seeds, groups = np.nonzero(wide.notna().to_numpy())
    dummies = np.hstack([np.eye(6)[groups], np.eye(5)[seeds]])
    values = wide.to_numpy()[seeds, groups]
    fitted, _, rank, _ = np.linalg.lstsq(dummies, values, rcond=None)

    fit = additive(wide)

    assert fit.left[seeds, groups] == pytest.approx(values - dummies @ fitted, abs=1e-9)
    assert fit.freedom == len(values) - rank
    assert np.diff(fit.of_seed) == pytest.approx(np.diff(fitted[6:]), abs=1e-9)


def test_what_groups_are_tested_with_has_the_same_means_and_rest() -> None:
    wide = table(7, 6, random=np.random.default_rng(1), missing=0.3)
    seeds, groups = np.nonzero(wide.notna().to_numpy())
    cells = two_way(wide.to_numpy()[seeds, groups], groups, seeds)

    fit = additive(wide)

    assert fit.means == pytest.approx(cells.means)
    assert fit.left[seeds, groups] == pytest.approx(cells.residuals, abs=1e-12)
    assert fit.freedom == cells.df_rest


def test_seeds_and_groups_without_a_cell_count_for_nothing() -> None:
    there = pd.DataFrame([[0.5, 0.6], [0.7, 0.9]])
    fit, padded = additive(there), additive(there.reindex(index=range(3), columns=range(3)))

    assert padded.means[:2] == pytest.approx(fit.means)
    assert np.isnan(padded.means[2])
    assert padded.of_seed == pytest.approx([*fit.of_seed, 0.0])
    assert padded.freedom == fit.freedom == 1


def test_what_cannot_be_compared_takes_no_freedom() -> None:
    """Groups 0 and 1 have other seeds than groups 2 and 3."""
    one = pd.DataFrame([[0.5, 0.6], [0.7, 0.9], [0.4, 0.1]])
    apart = pd.concat([one, one.set_axis([2, 3], axis=1).set_axis([3, 4, 5])])

    assert additive(apart).freedom == 2 * additive(one).freedom
    assert additive(apart).means.tolist() == pytest.approx([*one.mean(), *one.mean()])


def test_means_of_all_seeds_are_plain_and_others_lose_the_offsets_of_their_seeds() -> None:
    whole = pd.DataFrame({0: [0.5, 0.7], 1: [0.6, 0.8]})
    pd.testing.assert_series_equal(adjusted_means(whole), whole.mean())

    # Seed 1 gives 0.2 more; group 2 has it alone, and is no better than group 1.
    lucky = whole.assign(**{"2": [np.nan, 0.8]}).rename(columns={"2": 2})
    assert adjusted_means(lucky).tolist() == pytest.approx([0.6, 0.7, 0.7])


def test_groups_that_share_no_seed_keep_their_means() -> None:
    table = pd.DataFrame({0: [0.5, np.nan], 1: [np.nan, 0.9]})

    assert adjusted_means(table).tolist() == pytest.approx([0.5, 0.9])


def test_groups_that_share_no_seed_with_most_are_told() -> None:
    table = pd.DataFrame(
        {
            0: [0.5, 0.6, np.nan, np.nan],
            1: [np.nan, 0.7, 0.8, np.nan],
            2: [np.nan, np.nan, 0.9, np.nan],
            3: [np.nan, np.nan, np.nan, 0.9],
        }
    )

    assert apart(table).tolist() == [3]
    assert apart(table[[0, 1, 2]]).empty
