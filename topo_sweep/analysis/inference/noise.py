"""What seeds do to a design: to all groups alike, and to each of them by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from topo_sweep.analysis.accuracy import NO_VARIANCE, Floats
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.statistics.additive import additive
from topo_sweep.analysis.statistics.moderated import Moderated, moderated


@dataclass(frozen=True, eq=False, kw_only=True)
class Noise:
    """Variances over seeds, of accuracies as fractions.

    Args:
        variance: of each group, of one seed, without what the seed does to all groups; NaN for
            a group with one seed.
        df: its degrees of freedom.
        of_seeds: the variance of what a seed does to all groups, 0 or more.
        seed_df: its degrees of freedom.
        prior_df: how many degrees of freedom the common variance adds to each group's.
        words: how the variances of groups were taken.

    """

    variance: pd.Series[float]
    df: pd.Series[float]
    of_seeds: float
    seed_df: int
    prior_df: float
    words: str


def members(design: Design) -> pd.Series[float]:
    """Return of each group how many trainings are averaged for a seed (their harmonic mean)."""
    trainings = design.runs.groupby(["group", "seed"]).size()
    per_group: pd.Series[float] = 1 / (1 / trainings).groupby("group").mean()
    return per_group


def residual_variances(table: pd.DataFrame) -> pd.DataFrame:
    """Return of each group the `variance` of its residuals and its `df`; NaN and 0 for one seed."""
    fit = additive(table)
    seeds = table.notna().sum() - 1
    df = seeds * (fit.freedom / max(seeds.sum(), 1))
    squares = np.nansum(fit.left**2, axis=0)
    return pd.DataFrame({"variance": squares / df.where(df > 0), "df": df})


def noise_of(table: pd.DataFrame, members: pd.Series[float] | None = None) -> Noise:
    """Return the noise of a design; `members` as `members` gives them, None is equally many."""
    own = residual_variances(table)
    fit = additive(table)
    judged = own["df"] > 0
    variance, df = own["variance"][judged], own["df"][judged]
    drawn = Moderated(variance=variance.to_numpy(), df=df.to_numpy(), prior_df=0.0)
    if (variance > NO_VARIANCE).any():
        scale: Floats | float = 1.0
        if members is not None:
            scale = np.asarray(by_members(table, members)[judged], dtype=np.float64)
        drawn = moderated(variance.to_numpy(), df.to_numpy(), most_df=fit.freedom, scale=scale)
    groups = table.notna().sum(axis="columns")
    apart = float(fit.of_seed.var(ddof=1)) if len(table) > 1 else 0.0
    error = float(drawn.variance.mean() / groups.mean()) if judged.any() else 0.0
    return Noise(
        variance=pd.Series(drawn.variance, variance.index).reindex(table.columns),
        df=pd.Series(drawn.df, df.index).reindex(table.columns),
        of_seeds=max(apart - error, 0.0),
        seed_df=max(len(table) - 1, 1),
        prior_df=drawn.prior_df,
        words=drawn.words,
    )


def by_members(table: pd.DataFrame, members: pd.Series[float]) -> pd.Series[float]:
    """Return of each group the variance that groups of so many members have.

    The mean of m trainings of one seed has variance a + b / m: what they share, and what each has
    of its own. Both are fitted to the middle variance of each number of members.
    """
    own = residual_variances(table)
    inverse = (1 / members.reindex(table.columns)).round(3)
    middle = own["variance"].groupby(inverse).median()
    weight = inverse.value_counts().reindex(middle.index).to_numpy(dtype=float)
    x, y = middle.index.to_numpy(dtype=float), middle.to_numpy()
    if len(middle) == 1 or not (y > NO_VARIANCE).any():
        return pd.Series(max(y.mean(), NO_VARIANCE), index=table.columns)
    fitted = np.full(len(y), np.average(y, weights=weight))
    intercept = slope = 0.0
    for _ in range(3):  # the variance of a variance grows with its square
        weights = weight / fitted**2
        centre = np.average(x, weights=weights)
        slope = np.average((x - centre) * y, weights=weights)
        slope /= np.average((x - centre) ** 2, weights=weights)
        slope = max(slope, 0.0)
        intercept = np.average(y, weights=weights) - slope * centre
        if intercept < 0:
            intercept, slope = 0.0, np.average(x * y, weights=weights)
            slope /= np.average(x**2, weights=weights)
        fitted = intercept + slope * x
    return intercept + slope * inverse
