"""Groups in blocks: an additive model fitted to the cells that there are.

Tests and variance components of a design start here. Not here: what they say about classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import fdtrc

from topo_sweep.analysis.accuracy import NO_VARIANCE, Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class TwoWay:
    """Cells of groups and blocks, N of them, and the least squares fit of value = group + block.

    Cells may be missing. Groups are adjusted for blocks (type III without interaction), and what
    the model leaves is the rest: with one cell a group and block, their interaction and noise.

    Args:
        value: of each cell, (N,).
        group: of each cell, (N,), numbers from 0 without a gap.
        block: of each cell, (N,), numbers from 0 without a gap.
        spread: variance of the noise of each cell against that of the others, (N,).

    """

    value: Floats
    group: Ints
    block: Ints
    spread: Floats

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max()) + 1

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return int(self.block.max()) + 1

    @cached_property
    def weights(self) -> Floats:
        """One over the spread of each cell, (N,)."""
        return 1 / self.spread

    @cached_property
    def table_of_weights(self) -> Floats:
        """Weights of groups (rows) in blocks (columns), 0 where there is no cell."""
        table = np.zeros((self.groups, self.blocks))
        table[self.group, self.block] = self.weights
        return table

    @cached_property
    def _inverse_root(self) -> Floats:
        """Return L with L L' the inverse of what blocks leave to know of groups."""
        weights = self.table_of_weights
        of_group, of_block = weights.sum(1), weights.sum(0)
        information = np.diag(of_group) - weights / of_block @ weights.T
        values, vectors = np.linalg.eigh(information)
        real = values > 1e-9 * of_group.max()
        return vectors[:, real] / np.sqrt(values[real])

    @cached_property
    def basis(self) -> Floats:
        """Orthonormal columns of what groups add to blocks: (N, `df_groups`), of scaled values."""
        root = self._inverse_root
        weights = self.table_of_weights
        of_block = (weights.T @ root) / weights.sum(0)[:, None]
        basis: Floats = np.sqrt(self.weights)[:, None] * (root[self.group] - of_block[self.block])
        return basis

    @cached_property
    def _leverage(self) -> Floats:
        """How much each cell is fitted by itself, (N,)."""
        of_block = self.table_of_weights.sum(0)
        return np.square(self.basis).sum(1) + self.weights / of_block[self.block]

    @cached_property
    def within_blocks(self) -> Floats:
        """Values less the mean of their block, scaled to equal variance of the noise, (N,)."""
        return np.sqrt(self.weights) * (self.value - self._block_means[self.block])

    @cached_property
    def _block_means(self) -> Floats:
        totals = np.bincount(self.block, self.weights * self.value)
        return totals / self.table_of_weights.sum(0)

    @cached_property
    def _scores(self) -> Floats:
        return self.basis.T @ self.within_blocks

    @cached_property
    def effects(self) -> Floats:
        """What each group adds, (groups,); their mean is 0 where all can be compared."""
        effects: Floats = self._inverse_root @ self._scores
        return effects

    @cached_property
    def means(self) -> Floats:
        """Mean of each group as if it had all blocks, (groups,); plain means if none is missing."""
        centres = self._block_means - self.table_of_weights.T @ self.effects / (
            self.table_of_weights.sum(0)
        )
        return self.effects + centres.mean()

    @cached_property
    def residuals(self) -> Floats:
        """What the model leaves of each cell, scaled to equal variance, (N,)."""
        residuals: Floats = self.within_blocks - self.basis @ self._scores
        return residuals

    @property
    def df_groups(self) -> int:
        """Differences between groups that can be told from blocks."""
        return self._inverse_root.shape[1]

    @property
    def df_blocks(self) -> int:
        """Differences between blocks that can be told from groups."""
        return self.df_groups - self.groups + self.blocks

    @property
    def df_rest(self) -> int:
        """Degrees of freedom of the rest."""
        return len(self.value) - self.blocks - self.df_groups

    @cached_property
    def ms_groups(self) -> float:
        """Mean square of groups, adjusted for blocks; NaN where none can be compared."""
        return _mean_square(float(np.square(self._scores).sum()), self.df_groups)

    @cached_property
    def ms_blocks(self) -> float:
        """Mean square of blocks, adjusted for groups."""
        totals = np.bincount(self.group, self.weights * (self.value - self.value.mean()))
        by_group = float((np.square(totals) / self.table_of_weights.sum(1)).sum())
        totals = np.bincount(self.block, self.weights * (self.value - self.value.mean()))
        by_block = float((np.square(totals) / self.table_of_weights.sum(0)).sum())
        of_both = by_block + float(np.square(self._scores).sum())
        return _mean_square(of_both - by_group, self.df_blocks)

    @cached_property
    def ms_rest(self) -> float:
        """Mean square of the rest: the variance of the noise of a cell of spread 1."""
        return _mean_square(float(np.square(self.residuals).sum()), self.df_rest)

    @property
    def ms_means(self) -> float:
        """Mean square of the means of groups, each counted alike; `ms_groups` if none is missing.

        Its expectation is the variance of groups times `blocks_per_group` and that of the rest.
        """
        total = float(np.square(self.effects).sum()) * self.blocks_per_group
        return _mean_square(total, self.df_groups)

    @property
    def blocks_per_group(self) -> float:
        """How many blocks a group has, as a harmonic mean."""
        return self.df_groups / float(np.square(self._inverse_root).sum())

    @property
    def groups_per_block(self) -> float:
        """How many groups a block has, as the mean square of blocks counts them."""
        weights = self.table_of_weights
        shared = (np.square(weights) / weights.sum(1)[:, None]).sum()
        return float(weights.sum() - shared) / self.df_blocks

    @property
    def is_testable(self) -> bool:
        """Whether there is a rest, with a spread, against which groups can be tested."""
        return self.df_groups > 0 and self.df_rest > 0 and self.ms_rest > NO_VARIANCE

    @property
    def f(self) -> float:
        """The F of groups against the rest."""
        return self.ms_groups / self.ms_rest

    @cached_property
    def epsilon(self) -> float:
        """Box's factor of both degrees of freedom for groups of unequal variance, at most 1.

        It needs the squares of the groups' variances. Where a group has 4 cells or more they are
        estimated without bias whatever its distribution (the h-statistic), so that one wild cell
        is not taken for a wild group; where it has 2 or 3, as of normal noise.
        """
        if self.df_groups < 2 or self.groups < 3:
            return 1.0
        n = np.bincount(self.group)
        squared = np.square(self.residuals)
        second, fourth = (np.bincount(self.group, squared**power) for power in (1, 2))
        few, many = (n > 1) & (n < 4), n > 3
        k, m2, m4 = n[many], second[many] / n[many], fourth[many] / n[many]
        free = (k - 1) * (k - 2) * (k - 3)
        squares = k * ((k * k - 3 * k + 3) * m2**2 - (k - 1) * m4) / free
        df = n[few] - 1
        squares = np.concatenate([squares, second[few] ** 2 / (df * (df + 2))])
        # The variance of residuals of a group, and what the block means of all add to it.
        of_group, of_all = 1 - 2 / self.groups, self.ms_rest / self.groups
        mean_square = self.ms_rest**2
        mean = (squares.mean() - 2 * of_group * of_all * self.ms_rest - of_all**2) / of_group**2
        mean = max(mean, mean_square)
        box = (self.groups - 1) * mean_square / (self.groups * mean * of_group + mean_square)
        return float(np.clip(box, 1 / self.df_groups, 1.0))

    def p_value(self, epsilon: float) -> float:
        """Return the p-value of F, its degrees of freedom times epsilon."""
        return float(fdtrc(epsilon * self.df_groups, epsilon * self.df_rest, self.f))

    def permutation_p(self, permutations: int, rng: np.random.Generator) -> float:
        """Return the p-value of F among permutations of the groups within each block.

        What is permuted are values less the mean of their block, scaled to equal variance: with
        equal spreads that is an exact test where only chance tells the groups of a block apart.
        It is (b + 1) / (m + 1), where b of m permutations reach the F at hand.
        """
        indices = [np.flatnonzero(self.block == block) for block in range(self.blocks)]
        sizes = {len(cells) for cells in indices}
        of_size = [np.array([c for c in indices if len(c) == size]) for size in sizes]
        equal = np.ptp(self.spread) == 0
        roots, of_block = np.sqrt(self.weights), self.table_of_weights.sum(0)
        total = float(np.square(self.within_blocks).sum())
        observed = self._ratio(np.square(self._scores).sum(), total)
        reached, left = 0, permutations
        while left:
            count = min(left, max(1, 1_000_000 // len(self.value)))
            drawn = np.empty((count, len(self.value)))
            for cells in of_size:
                many = np.broadcast_to(self.within_blocks[cells], (count, *cells.shape))
                drawn[:, cells] = rng.permuted(many, axis=-1)
            of_groups = np.square(drawn @ self.basis).sum(1)
            among = np.full(count, total)
            if not equal:
                for block, cells in enumerate(indices):
                    among -= np.square(drawn[:, cells] @ roots[cells]) / of_block[block]
            reached += int((self._ratio(of_groups, among) >= observed * (1 - 1e-9)).sum())
            left -= count
        return (reached + 1) / (permutations + 1)

    def _ratio(self, of_groups: Floats, within_blocks: Floats | float) -> Floats:
        """Return what groups explain as a share of all within blocks, which orders like F."""
        return of_groups / within_blocks


def two_way(value: Floats, group: Ints, block: Ints, spread: Floats | None = None) -> TwoWay:
    """Return the fit of cells whose groups and blocks may have any numbers as names.

    `spread` is that of each cell, None where all noise is alike.
    """
    return TwoWay(
        value=np.asarray(value, dtype=float),
        group=np.unique(group, return_inverse=True)[1],
        block=np.unique(block, return_inverse=True)[1],
        spread=np.ones(len(value)) if spread is None else spread,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassBySeed:
    """Trainings averaged to one cell a group and seed, and what they tell beside it.

    Args:
        cells: the fit of the cells, groups in seeds.
        runs: trainings of each cell, (N,).
        ms_within: variance of the trainings of a cell, NaN where none has two.
        df_within: its degrees of freedom.

    """

    cells: TwoWay
    runs: Ints
    ms_within: float
    df_within: int

    @property
    def empty(self) -> int:
        """How many groups lack a seed, summed over seeds."""
        return self.cells.groups * self.cells.blocks - len(self.cells.value)

    @property
    def typical_runs(self) -> float:
        """The harmonic mean of the trainings of a cell: those of a cell of spread 1."""
        return float(1 / (1 / self.runs).mean())


def class_by_seed(runs: pd.DataFrame) -> ClassBySeed:
    """Return the fit of trainings, those of one group and seed averaged first.

    Averages over more trainings have less noise. How much less is known from the spread of the
    trainings of a cell, and cells are weighted by it.

    Args:
        runs: `group`, `seed` and `accuracy` (a fraction) of each training.

    """
    grouped = runs.groupby(["group", "seed"])["accuracy"].agg(["mean", "size"]).reset_index()
    value, count = grouped["mean"].to_numpy(float), grouped["size"].to_numpy(np.int64)
    group, seed = grouped["group"].to_numpy(np.int64), grouped["seed"].to_numpy(np.int64)
    cells = two_way(value, group, seed)
    df_within = len(runs) - len(grouped)
    if not df_within:
        return ClassBySeed(cells=cells, runs=count, ms_within=np.nan, df_within=0)
    means = runs.groupby(["group", "seed"])["accuracy"].transform("mean")
    ms_within = _mean_square(float(((runs["accuracy"] - means) ** 2).sum()), df_within)
    if len(set(count)) > 1 and cells.is_testable:
        share = 1 / count
        free = 1 - cells._leverage  # noqa: SLF001 - of the same module
        noise = max(cells.ms_rest - ms_within * float(share @ free / free.sum()), 0.0)
        cells = two_way(
            value, group, seed, (noise + ms_within * share) / (noise + ms_within * share.mean())
        )
    return ClassBySeed(cells=cells, runs=count, ms_within=ms_within, df_within=df_within)


def _mean_square(total: float, df: int) -> float:
    return total / df if df > 0 else float("nan")
