"""Intervals of the means of groups: of each by itself, and of all at once."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from topo_sweep.analysis.accuracy import FRACTION, t_interval
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.findings import Finding
from topo_sweep.analysis.inference.naming import best_first, named, shown_rows
from topo_sweep.analysis.inference.noise import Noise, members, noise_of, residual_variances
from topo_sweep.analysis.text import GIVEN, counted, interval_words, points

_DRAWS: Final = 5_000
_MOST: Final = 1_000
"""Of more groups than these the critical value is Bonferroni's, and nothing is drawn."""

COLUMNS: Final = ("n", "mean", "sd", "ci_low", "ci_high", "all_low", "all_high")
"""Of each group: seeds, mean, standard deviation, the t interval of its own seeds alone, and the
interval that holds for all groups at once."""


def mean_intervals(
    table: pd.DataFrame,
    *,
    members: pd.Series[float] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the columns `COLUMNS` for each group; intervals are NaN where n is 1.

    An interval by itself knows nothing but the group's seeds. Those for all groups at once share
    what the design knows: a seed moves all groups alike, so that the largest of all errors is less
    than the largest of as many independent ones. Its quantile is simulated.

    Args:
        table: a row a seed, a column a group, NaN where there is nothing; fractions 0..1.
        members: of each group how many trainings are averaged for a seed; None is equally many.
        confidence: of each interval by itself, and of those for all groups at once.
        seed: of the simulation.

    """
    n, mean, sd = table.notna().sum(), table.mean(), table.std()
    low, high = t_interval(mean, sd, n, within=FRACTION, confidence=confidence)
    noise = noise_of(table, members)
    spread: pd.Series[float] = ((noise.of_seeds + noise.variance) / n) ** 0.5
    half = spread * _critical(noise, table.loc[:, n >= 2].notna(), confidence, seed)
    half = half.where(half > 0)
    rows = (n, mean, sd, low, high, (mean - half).clip(lower=0.0), (mean + half).clip(upper=1.0))
    return pd.DataFrame(dict(zip(COLUMNS, rows, strict=True)), index=table.columns)


def _critical(noise: Noise, there: pd.DataFrame, confidence: float, seed: int) -> float:
    """Return what no group's error, in its standard errors, exceeds with this confidence.

    `there` says of each group with two seeds or more, a column each, which seeds it has.
    """
    variance, df = (part.dropna().to_numpy(dtype=float) for part in (noise.variance, noise.df))
    k = len(variance)
    if not k or not (variance + noise.of_seeds > 0).all():
        return float("nan")
    if k > _MOST:
        worst = min(noise.seed_df, df.min()) if noise.of_seeds else df.min()
        return float(stdtrit(worst, 1 - (1 - confidence) / 2 / k))
    n = there.sum().to_numpy(dtype=float)
    of_mean = there.to_numpy() / np.sqrt(n)  # errors of means, times the root of n
    of_seeds, share = noise.of_seeds, variance.mean() / k
    random = np.random.default_rng(seed)
    seeds = random.standard_normal((_DRAWS, len(of_mean)))
    error = np.sqrt(of_seeds) * (seeds @ of_mean)
    error += np.sqrt(variance) * random.standard_normal((_DRAWS, k))
    together = np.isinf(noise.prior_df) and np.ptp(df) == 0
    seen = random.chisquare(df[:1] if together else df, (_DRAWS, 1 if together else k)) / df
    seen_seeds = (of_seeds + share) * seeds.var(axis=1, ddof=1)[:, None] - share * seen
    errors = np.abs(error / np.sqrt(np.maximum(seen_seeds, 0) + variance * seen))
    return float(np.quantile(errors.max(axis=1), confidence))


def variances_by_members(design: Design) -> pd.DataFrame:
    """Return by how many trainings are averaged: groups, and the variance of one seed.

    `own` is the mean of what their seeds show, `fitted` what is taken for groups of so many. The
    part that a seed adds to all groups is in neither.
    """
    size = members(design)
    rows = pd.DataFrame(
        {
            "members": size.round(1),
            "own": residual_variances(design.table)["variance"],
            "fitted": noise_of(design.table, size).variance,
        }
    )
    by_size = rows.groupby("members")
    return by_size["own"].agg(groups="size", own="mean").join(by_size["fitted"].mean())


def intervals_finding(design: Design, *, confidence: float = 0.95) -> Finding:
    """Say how well the means of a design's groups are known."""
    title = "how well each mean is known"
    table = mean_intervals(design.table, members=members(design), confidence=confidence)
    known = table.dropna(subset=["all_low"])
    count = counted(len(table), design.unit)
    if known.empty:
        return Finding(
            title=title,
            sentence=f"No mean of {count} has an interval ({design.seed_words}): each needs two "
            "seeds that differ.",
            tables={"means": named(design, table)},
        )
    by_size = variances_by_members(design)
    alone = ((known["ci_high"] - known["ci_low"]) / 2).median()
    at_once = ((known["all_high"] - known["all_low"]) / 2).median()
    noise = [f"{points(variance**0.5)} ({size:g})" for size, variance in by_size["fitted"].items()]
    sentences = [
        (
            f"Means of {count} range from {points(table['mean'].min())} to "
            f"{points(table['mean'].max())}% ({design.seed_words})."
        ),
        (
            f"The middle interval is {points(alone)} points to each side for one {design.unit} by "
            f"itself, and {points(at_once)} where it should hold for all of them at once."
        ),
        (
            "The noise of one seed, beside what it does to all alike, has SD "
            f"{', '.join(noise)} points (by how many trainings are averaged)."
        ),
    ]
    if single := len(table) - len(known):
        sentences.append(f"{counted(single, design.unit)} without a spread has none.")
    return Finding(
        title=title,
        sentence=" ".join(sentences),
        method="t intervals; for all at once the simulated quantile of the largest |t|",
        assumes=f"normal errors, additive in group and seed; ends {GIVEN}",
        numbers={
            "groups": len(table),
            "half_width_alone": float(alone),
            "half_width_at_once": float(at_once),
        },
        tables={"means": named(design, table), "noise": by_size.reset_index()},
        shown={
            "means, best first": [
                (design.unit, "n", "mean %", f"{100 * confidence:g}% interval", "for all at once"),
                *(
                    (
                        name,
                        str(row["n"]),
                        points(row["mean"]),
                        interval_words(row["ci_low"], row["ci_high"]),
                        interval_words(row["all_low"], row["all_high"]),
                    )
                    for name, row in shown_rows(design, best_first(design, table))
                ),
            ]
        },
    )
