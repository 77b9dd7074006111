"""What seeds do to all groups, and to each by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.topo_sweep.analysis.inference.tables import SD, table
from tests.topo_sweep.analysis.ranking_rows import frame, row
from topo_sweep.analysis.design import design_of
from topo_sweep.analysis.inference.noise import by_members, members, noise_of


def test_what_a_seed_does_to_all_is_told_from_the_noise_of_a_group() -> None:
    noise = noise_of(table(400, 200, random=np.random.default_rng(0)))

    assert noise.of_seeds == pytest.approx(SD**2, rel=0.3)
    assert noise.variance.mean() == pytest.approx(SD**2, rel=0.05)
    assert noise.seed_df == 199


def test_the_noise_of_a_mean_falls_with_the_trainings_in_it_but_not_below_what_they_share() -> None:
    random = np.random.default_rng(0)
    size = pd.Series(np.tile([1.0, 2.0, 4.0, 8.0], 50))
    errors = 0.5 * random.standard_normal((40, 200))
    errors += random.standard_normal((40, 200)) / np.sqrt(size.to_numpy())
    wide = table(200, 40, random=random, noise=errors)

    of_size = by_members(wide, size).groupby(size).first() / SD**2

    # The median of a chi squared is a little below its mean.
    assert of_size.to_numpy() == pytest.approx(0.25 + 1 / of_size.index.to_numpy(), rel=0.15)
    assert noise_of(wide, size).variance.groupby(size).mean().is_monotonic_decreasing


def test_members_are_counted_by_seed() -> None:
    # Topologies 7 and 50 are one class: two trainings with seed 0, one with seed 1.
    design = design_of(frame([row(7, 0, 0.9), row(50, 0, 0.9), row(7, 1, 0.9), row(0, 0, 0.9)]))

    assert members(design).tolist() == [1.0, pytest.approx(2 / 1.5)]


def test_one_seed_or_equal_accuracies_have_no_noise() -> None:
    one = noise_of(pd.DataFrame([[0.9, 0.8]]))
    equal = noise_of(pd.DataFrame([[0.9, 0.8], [0.9, 0.8]]))

    assert one.variance.isna().all()
    assert one.of_seeds == 0.0
    assert equal.variance.tolist() == pytest.approx([0.0, 0.0], abs=1e-20)
