"""Means drawn towards the mean of all, as far as noise explains their spread (empirical Bayes)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from topo_sweep.analysis.accuracy import FRACTION, NO_VARIANCE, Floats
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.findings import Finding
from topo_sweep.analysis.inference.naming import best_first, named, shown_rows
from topo_sweep.analysis.inference.noise import members, noise_of
from topo_sweep.analysis.text import counted, interval_words, plural, points

FEWEST: Final = 4
"""Fewer groups do not tell how far apart groups are."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Shrunken:
    """Means of groups, drawn towards their common mean.

    Args:
        table: of each group `mean` as measured, `kept` (the share of its distance from the common
            mean that stays, 0..1), `shrunk`, `low` and `high`.
        centre: the common mean.
        between: the variance of true means, as it is taken to draw them; 0 where noise explains
            all that is seen.

    """

    table: pd.DataFrame
    centre: float
    between: float


def shrunken(
    means: pd.Series[float],
    variances: pd.Series[float],
    *,
    df: pd.Series[float] | float = np.inf,
    shared: float = 0.0,
    shared_df: float = np.inf,
    confidence: float = 0.95,
) -> Shrunken | None:
    """Draw means towards their common mean; None for fewer than `FEWEST`.

    True means are taken as normal with one variance, which is chosen so that the means' weighted
    squares sum to k - 3: with equal variances that is James' and Stein's estimate (Efron and
    Morris 1975). Intervals are Morris' (1983), which count in that both mean and variance of the
    true means are estimated.

    Args:
        means: as measured, one a group.
        variances: of their errors, above 0.
        df: degrees of freedom of those.
        shared: variance of an error that all means have alike; it draws nothing and widens.
        shared_df: its degrees of freedom.
        confidence: of the intervals.

    """
    k = len(means)
    if k < FEWEST:
        return None
    between = _between(*(np.asarray(part, dtype=np.float64) for part in (means, variances)))
    weight = 1 / (variances + between)
    centre = float(np.average(means, weights=weight))
    lost = variances * weight
    away = means - centre
    own = variances * (1 - lost) + lost**2 / weight.sum()
    own += 2 / (k - 3) * lost**2 * (variances.mean() + between) * weight * away**2
    whole = own + shared
    freedom = whole**2 / (own**2 / df + shared**2 / shared_df)
    half = stdtrit(np.minimum(freedom, 1e9), (1 + confidence) / 2) * np.sqrt(whole)
    shrunk = centre + (1 - lost) * away
    return Shrunken(
        table=pd.DataFrame(
            {
                "mean": means,
                "kept": 1 - lost,
                "shrunk": shrunk,
                "low": shrunk - half,
                "high": shrunk + half,
            }
        ),
        centre=centre,
        between=between,
    )


def _between(means: Floats, variances: Floats) -> float:
    """Return the variance of true means with which the weighted squares sum to k - 3, or 0."""

    def squares(between: float) -> float:
        weight = 1 / (variances + between)
        away = means - np.average(means, weights=weight)
        return float((weight * away**2).sum())  # no product: its threads wait for each other

    enough = len(means) - 3.0
    if squares(0.0) <= enough:
        return 0.0
    low, high = 0.0, float(means.var()) + float(variances.mean())
    while squares(high) > enough:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if squares(middle) > enough else (low, middle)
    return (low + high) / 2


def shrunken_means(
    table: pd.DataFrame, *, members: pd.Series[float] | None = None, confidence: float = 0.95
) -> Shrunken | None:
    """Draw the means of a design's groups towards their common mean.

    Errors are over seeds. What a seed does to all groups alike draws nothing, for it orders
    nothing, and is in the intervals. Groups with one seed are left out.

    Args:
        table: a row a seed, a column a group, NaN where there is nothing; fractions 0..1.
        members: of each group how many trainings are averaged for a seed; None is equally many.
        confidence: of the intervals.

    Returns:
        The means, or None for fewer than `FEWEST` groups, or where nothing varies.

    """
    table = table.loc[:, table.notna().sum() >= 2]
    if table.shape[1] < FEWEST:
        return None
    noise, n = noise_of(table, members), table.notna().sum()
    everywhere = noise.of_seeds / len(table)
    # A group without all seeds has its own share of what seeds do to all.
    variances = noise.variance / n + noise.of_seeds / n - everywhere
    if not (variances > NO_VARIANCE).all():
        return None
    found = shrunken(
        table.mean(),
        variances,
        df=noise.df,
        shared=everywhere,
        shared_df=noise.seed_df,
        confidence=confidence,
    )
    if found is None:
        return None
    ends = found.table[["low", "high"]].clip(*FRACTION)
    return replace(found, table=found.table.assign(**ends))


def shrinkage_finding(design: Design, *, confidence: float = 0.95) -> Finding:
    """Say how much of the spread of a design's means stays when noise is taken out."""
    title = "means without their luck"
    found = shrunken_means(design.table, members=members(design), confidence=confidence)
    units = counted(len(design.groups), design.unit)
    if found is None:
        return Finding(
            title=title,
            sentence=f"Means of {units} are not shrunken ({design.seed_words}): it takes {FEWEST} "
            "with two seeds that differ.",
        )
    table = best_first(design, found.table)
    if found.between:
        sentence = (
            f"Of a mean's distance from the mean of all, {table['kept'].median():.0%} stays (the "
            f"middle {design.unit}): the true means of {plural(design.unit)} have SD "
            f"{points(np.sqrt(found.between))} points, where those measured have "
            f"{points(table['mean'].std())} ({design.seed_words})."
        )
    else:
        sentence = (
            f"Noise explains all of the spread of {units} ({design.seed_words}): no {design.unit} "
            f"is estimated to differ from the mean of all, {points(found.centre)}%."
        )
    if left := len(design.groups) - len(table):
        sentence += f" {counted(left, design.unit)} with one seed is left out."
    return Finding(
        title=title,
        sentence=sentence,
        method="empirical Bayes (James and Stein; intervals of Morris)",
        assumes="true means are normal about one mean; one that stands alone far from all others "
        "is drawn too near",
        numbers={
            "centre": found.centre,
            "between_sd": float(np.sqrt(found.between)),
            "kept": float(table["kept"].median()),
        },
        tables={"means": named(design, table)},
        shown={
            "best first": [
                (design.unit, "mean %", "shrunken %", f"{100 * confidence:g}% interval"),
                *(
                    (
                        name,
                        points(row["mean"]),
                        points(row["shrunk"]),
                        interval_words(row["low"], row["high"]),
                    )
                    for name, row in shown_rows(design, table)
                ),
            ]
        },
    )
