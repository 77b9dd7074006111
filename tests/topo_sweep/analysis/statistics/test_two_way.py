"""The fit of groups in blocks: against statsmodels, against all permutations, and its weights."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest

from tests.topo_sweep.analysis.inference.run_rows import SHROUT_FLEISS, runs_of, with_members
from topo_sweep.analysis.statistics.two_way import class_by_seed, two_way


def incomplete(rng: np.random.Generator) -> pd.DataFrame:
    """Six groups and four blocks with a quarter of the cells missing, and a spread each."""
    cells = pd.DataFrame(list(product(range(6), range(4))), columns=["group", "block"])
    cells = cells[(cells["group"] + 2 * cells["block"]) % 4 != 1]
    noise = rng.normal(size=len(cells))
    return cells.assign(
        value=0.4 * cells["group"] + 0.7 * cells["block"] + noise,
        spread=rng.uniform(0.5, 2, len(cells)),
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_incomplete_cells_are_fitted_as_statsmodels_does(weighted: bool) -> None:
    from statsmodels.formula.api import wls
    from statsmodels.stats.anova import anova_lm

    cells = incomplete(np.random.default_rng(3))
    spread = cells["spread"].to_numpy() if weighted else None

    fit = two_way(
        cells["value"].to_numpy(), cells["group"].to_numpy(), cells["block"].to_numpy(), spread
    )

    weights = 1 / cells["spread"] if weighted else 1.0
    model = wls("value ~ C(group) + C(block)", cells, weights=weights).fit()
    known = anova_lm(model, typ=3)
    squares = [fit.ms_groups * fit.df_groups, fit.ms_blocks * fit.df_blocks]
    assert squares == pytest.approx(known["sum_sq"].iloc[1:3].tolist())
    assert fit.ms_rest * fit.df_rest == pytest.approx(known["sum_sq"].iloc[3])
    assert [fit.df_groups, fit.df_blocks, fit.df_rest] == known["df"].iloc[1:].tolist()
    assert fit.f == pytest.approx(known["F"].iloc[1])
    assert fit.p_value(1.0) == pytest.approx(known["PR(>F)"].iloc[1])
    every = pd.DataFrame(list(product(range(6), range(4))), columns=["group", "block"])
    means = model.predict(every).groupby(every["group"]).mean()
    assert fit.means == pytest.approx(means.to_numpy())


def test_complete_cells_have_the_mean_squares_of_shrout_and_fleiss() -> None:
    fit = class_by_seed(runs_of(SHROUT_FLEISS)).cells

    assert [fit.ms_groups, fit.ms_blocks, fit.ms_rest] == pytest.approx(
        [11.24, 32.49, 1.02], abs=0.005
    )
    assert [fit.df_groups, fit.df_blocks, fit.df_rest] == [5, 3, 15]
    assert [fit.blocks_per_group, fit.groups_per_block] == pytest.approx([4, 6])
    assert fit.means == pytest.approx(np.mean(SHROUT_FLEISS, axis=1))
    assert fit.ms_means == pytest.approx(fit.ms_groups)


def test_means_of_groups_count_alike_however_many_blocks_they_have() -> None:
    rows = [[1.0, 1.2, 1.1, 0.9], [2.0, np.nan, np.nan, np.nan], [3.0, 3.1, np.nan, 2.8]]
    fit = class_by_seed(runs_of(rows)).cells

    assert fit.ms_means == pytest.approx(fit.means.var(ddof=1) * fit.blocks_per_group)
    assert 1 < fit.blocks_per_group < 8 / 3


@pytest.mark.parametrize("kind", ["complete", "a cell missing", "unequal spread"])
def test_the_permutation_test_agrees_with_all_permutations(kind: str) -> None:
    values = np.array([[1.0, 2.0, 4.0], [1.5, 2.7, 3.1], [2.0, 3.5, 5.2]])
    block, group = np.indices((3, 3)).reshape(2, -1)
    there = np.arange(9) != (4 if kind == "a cell missing" else -1)
    value, block, group = values.ravel()[there], block[there], group[there]
    spread = np.array([1.0, 4.0, 9.0])[group] if kind == "unequal spread" else np.ones(len(value))
    fit = two_way(value, group, block, spread)

    chance = fit.permutation_p(20_000, np.random.default_rng(0))

    orders = [list(permutations(np.flatnonzero(block == number))) for number in range(3)]
    noise, scale = fit.within_blocks, np.sqrt(spread)
    every = [
        two_way(noise[list(np.concatenate(order))] * scale, group, block, spread).f
        for order in product(*orders)
    ]
    assert chance == pytest.approx(np.mean(np.array(every) >= fit.f * (1 - 1e-9)), abs=0.01)


def test_a_permutation_p_value_counts_the_order_at_hand() -> None:
    far = runs_of(np.arange(6)[:, None] + 0.01 * np.random.default_rng(0).normal(size=(6, 5)))

    chance = class_by_seed(far).cells.permutation_p(99, np.random.default_rng(0))

    assert chance == 1 / 100


def test_cells_of_more_runs_weigh_more_where_runs_are_noisy() -> None:
    rng = np.random.default_rng(0)
    noisy = with_members([0] * 40, [1] * 20 + [4] * 20, 20, rng, interaction=0.5)
    shared = with_members([0] * 40, [1] * 20 + [4] * 20, 20, rng, interaction=1.0, noise=0.01)

    spread = class_by_seed(noisy).cells.spread
    assert spread[0] / spread[-1] == pytest.approx(1.25 / 0.5, rel=0.15)
    assert np.ptp(class_by_seed(shared).cells.spread) == pytest.approx(0, abs=0.05)
    assert class_by_seed(noisy).ms_within == pytest.approx(1, abs=0.2)


def test_cells_of_as_many_runs_weigh_the_same() -> None:
    layout = class_by_seed(with_members([0] * 5, [3] * 5, 4, np.random.default_rng(0)))

    assert layout.cells.spread.tolist() == [1.0] * 20
    assert [layout.typical_runs, layout.df_within] == pytest.approx([3, 40])


def test_epsilon_is_the_factor_of_box_for_groups_of_unequal_variance() -> None:
    rng, groups = np.random.default_rng(0), 6
    variances = np.array([1, 1, 1, 1, 9, 9])
    cells = class_by_seed(runs_of((np.sqrt(variances) * rng.normal(size=(4000, groups))).T)).cells
    # Box 1954 for independent groups: the covariance of values less the mean of their block.
    centre = np.eye(groups) - 1 / groups
    covariance = centre @ np.diag(variances) @ centre
    box = np.trace(covariance) ** 2 / ((groups - 1) * np.square(covariance).sum())

    assert cells.epsilon == pytest.approx(box, rel=0.03)
    assert class_by_seed(runs_of(rng.normal(size=(groups, 4000)))).cells.epsilon > 0.98


def test_one_wild_cell_does_not_count_as_a_group_of_large_variance() -> None:
    wild = np.random.default_rng(0).normal(size=(20, 5))
    wild[3, 2] -= 40

    assert class_by_seed(runs_of(wild)).cells.epsilon == 1
    assert class_by_seed(runs_of(wild[:, :3])).cells.epsilon < 0.2


def test_groups_without_a_common_block_cannot_be_told_from_blocks() -> None:
    nan = np.nan
    apart = runs_of([[1, 2, nan, nan], [2, 3.5, nan, nan], [nan, nan, 5, 6], [nan, nan, 7, 8.5]])

    fit = class_by_seed(apart).cells

    assert (fit.df_groups, fit.df_rest) == (2, 2)
    assert not class_by_seed(runs_of([[1, nan], [nan, 2]])).cells.is_testable
