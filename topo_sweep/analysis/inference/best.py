"""Which groups may be the best, and which ranks each may have."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr, stdtrit

from topo_sweep.analysis.accuracy import NO_VARIANCE
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.findings import Finding
from topo_sweep.analysis.inference.naming import (
    SHOWN,
    best_first,
    listed,
    named,
    rank_words,
    shown_rows,
    yes_no,
)
from topo_sweep.analysis.inference.noise import members
from topo_sweep.analysis.inference.pairs import Pairs, all_pairs
from topo_sweep.analysis.statistics.agreement import MOST_PAIRED
from topo_sweep.analysis.statistics.moderated import moderated
from topo_sweep.analysis.text import counted, points

PLACES: Final = ("rank_low", "rank_high", "in_best_set")

_Places = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]
"""Of each group how many are surely better, how many surely worse, and whether it may be best."""


def places(
    table: pd.DataFrame,
    *,
    members: pd.Series[float] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return of each group the columns `PLACES`, missing (NA) where it has one seed.

    A rank is 1 and how many groups are surely better at least, and at most how many are not surely
    worse. The best set holds with this confidence the group that is truly best: it leaves out what
    is surely worse than any one other (multiple comparisons with the best). Rank intervals hold
    for all groups at once, so they claim less, and what is not in the best set may still have a
    rank interval from 1.

    Up to `MOST_PAIRED` groups are compared two by two within seeds, see `pairs.all_pairs`. Of more,
    the intervals of means that hold for all at once must not overlap, which claims less.

    Args:
        table: a row a seed, a column a group, NaN where there is nothing.
        members: of each group how many trainings are averaged for a seed; None is equally many.
        confidence: of the best set, and of all rank intervals together.

    """
    judged = table.loc[:, table.notna().sum() >= 2]
    if judged.shape[1] > MOST_PAIRED:
        better, worse, best = _by_intervals(judged, confidence)
    else:
        better, worse, best = _by_pairs(all_pairs(judged, members=members), confidence)
    columns = (
        pd.array(1 + better, dtype="Int64"),
        pd.array(table.shape[1] - worse, dtype="Int64"),
        pd.array(best, dtype="boolean"),
    )
    known = pd.DataFrame(dict(zip(PLACES, columns, strict=True)), index=judged.columns)
    return known.reindex(table.columns)


def _by_pairs(pairs: Pairs, confidence: float) -> _Places:
    """Compare groups two by two."""
    k, t = len(pairs.groups), pairs.table["t"].to_numpy()
    first, second = np.triu_indices(k, k=1)
    sure = pairs.sure(confidence).to_numpy()
    won = np.where(sure > 0, first, second)[sure != 0]
    lost = np.where(sure > 0, second, first)[sure != 0]
    if pairs.alike:
        critical = dunnett_quantile(k - 1, float(pairs.table["df"].iloc[0]), confidence)
        out = np.abs(t) > critical
    else:
        out = pairs.table["p"].to_numpy() / 2 * (k - 1) <= 1 - confidence
    best = np.ones(k, dtype=bool)
    best[np.where(t > 0, second, first)[out]] = False
    return np.bincount(lost, minlength=k), np.bincount(won, minlength=k), best


def _by_intervals(table: pd.DataFrame, confidence: float) -> _Places:
    """Compare the intervals of groups; what a seed does to all is taken away where all have it."""
    k = table.shape[1]
    if table.notna().all(axis=None):
        table = table.sub(table.mean(axis="columns"), axis="index")
    n, variance = table.notna().sum().to_numpy(), table.var().to_numpy()
    mean, half = table.mean().to_numpy(), np.full(k, np.inf)
    if (variance > NO_VARIANCE).any():
        drawn = moderated(variance, n - 1.0, most_df=float((n - 1).sum()))
        half = stdtrit(drawn.df, 1 - (1 - confidence) / 2 / k) * np.sqrt(drawn.variance / n)
    low, high = np.sort(mean - half), np.sort(mean + half)
    better = k - np.searchsorted(low, mean + half, side="right")
    return better, np.searchsorted(high, mean - half, side="left"), mean + half >= low[-1]


@lru_cache
def dunnett_quantile(comparisons: int, df: float, confidence: float = 0.95) -> float:
    """Return Dunnett's one-sided critical value, of the largest of so many t statistics.

    Their correlation is 1/2, as of differences to one mean in a balanced design. The integrals
    over that mean and over the standard deviation are sums by Gauss and Legendre.
    """
    nodes, weights = np.polynomial.legendre.leggauss(80)
    mean, of_mean = 8 * nodes, 8 * weights * np.exp(-((8 * nodes) ** 2) / 2) / np.sqrt(2 * np.pi)
    spread = np.sqrt(2 * gammaincinv(df / 2, (nodes + 1) / 2) / df)
    of_spread = weights / 2
    low, high = 0.0, 100.0
    for _ in range(40):
        middle = (low + high) / 2
        below = ndtr(mean[:, None] + np.sqrt(2) * middle * spread) ** comparisons
        low, high = (middle, high) if of_mean @ below @ of_spread < confidence else (low, middle)
    return (low + high) / 2


def places_finding(design: Design, *, confidence: float = 0.95) -> Finding:
    """Say which groups of a design may be the best, and which ranks each may have."""
    title = "which are among the best"
    table, size = design.table, members(design)
    rows = places(table, members=size, confidence=confidence)
    rows = table.agg(["count", "mean"]).T.rename(columns={"count": "n"}).join(rows)
    rows = best_first(design, rows.astype({"n": int}))
    known = rows.dropna(subset=["in_best_set"])
    units = counted(len(rows), design.unit)
    if len(known) < 2:
        return Finding(
            title=title,
            sentence=f"None of {units} is known to be among the best ({design.seed_words}): two "
            "of them with two seeds or more are needed.",
        )
    best = known.index[known["in_best_set"].astype(bool)]
    narrow = int(((known["rank_low"] > 1) | (known["rank_high"] < len(rows))).sum())
    if len(best) == len(known):
        sentence = (
            f"Each of {counted(len(known), design.unit)} may be the best ({design.seed_words}): "
            "none is surely worse than another."
        )
    elif len(best) == 1:
        sentence = (
            f"{listed(design, best).capitalize()} is the best of {len(known)} with "
            f"{100 * confidence:g}% confidence ({design.seed_words})."
        )
    else:
        sentence = (
            f"With {100 * confidence:g}% confidence the best of {units} is one of {len(best)}: "
            f"{listed(design, best)} ({design.seed_words})."
        )
    sentence += f" {narrow} of {len(known)} ranks are narrower than 1 to {len(rows)}, all at once."
    if single := len(rows) - len(known):
        sentence += f" {counted(single, design.unit)} with one seed is not judged."
    many = len(known) > MOST_PAIRED
    return Finding(
        title=title,
        sentence=sentence,
        method="intervals that must not overlap, for all at once (Bonferroni)"
        if many
        else "multiple comparisons with the best, and all pairs (Bonferroni), within seeds",
        assumes="normal differences; the best is one of those that were trained",
        numbers={"groups": len(rows), "in_best_set": len(best), "confidence": confidence},
        tables={"places": named(design, rows), "behind_by_seed": _behind(design, rows.index)},
        shown={
            "best first": [
                (design.unit, "n", "mean %", "ranks", "may be best"),
                *(
                    (
                        name,
                        str(row["n"]),
                        points(row["mean"]),
                        rank_words(row["rank_low"], row["rank_high"]),
                        yes_no(row["in_best_set"]),
                    )
                    for name, row in shown_rows(design, rows)
                ),
            ]
        },
    )


def _behind(design: Design, order: pd.Index[int]) -> pd.DataFrame:
    """Return by seed how far each group is behind the first, for as many groups as are shown."""
    table = design.table[order[: SHOWN + 1]]
    away = table[order[1 : SHOWN + 1]].rsub(table[order[0]], axis="index")
    away.columns = [design.name_of(int(group)) for group in away.columns]
    return away.reset_index()
