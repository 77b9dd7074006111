"""All pairs of groups: their differences within a seed, and which of them are sure."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import NO_VARIANCE, Floats
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.findings import Finding
from topo_sweep.analysis.inference.naming import SHOWN, label
from topo_sweep.analysis.inference.noise import by_members, members
from topo_sweep.analysis.statistics.additive import additive
from topo_sweep.analysis.statistics.agreement import MOST_PAIRED
from topo_sweep.analysis.statistics.corrections import benjamini_hochberg, holm
from topo_sweep.analysis.statistics.moderated import moderated
from topo_sweep.analysis.text import counted, interval_words, p_number, points

VARIANCES: Final = ("moderated", "pooled", "own")


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairs:
    """The differences between any two groups that have two seeds or more.

    Args:
        table: a row a pair: `first`, `second` (groups), `n` (seeds in common; of both where they
            share less than two), `paired`, `difference` (mean of first minus second), `se`, `df`,
            `t` and `p` (two-sided, of this pair alone); the last four are NaN without any spread.
        groups: those with two seeds or more.
        variances: in words, how variances were taken.
        alike: whether all pairs have one variance, over equally many seeds.

    """

    table: pd.DataFrame
    groups: pd.Index[Any]
    variances: str
    alike: bool

    def sure(self, confidence: float = 0.95) -> pd.Series[int]:
        """Return of each pair 1 where the first is surely better, -1 the second, else 0.

        Sure is what an interval clear of zero says that holds for all pairs at once (Bonferroni).
        """
        signs = np.sign(self.table["difference"]).astype(int)
        return signs.where(self.table["p"] * len(self.table) <= 1 - confidence, 0)


def all_pairs(
    table: pd.DataFrame, *, members: pd.Series[float] | None = None, variances: str = "moderated"
) -> Pairs:
    """Compare all groups of a design with each other.

    Groups that share two seeds or more are compared by the differences within these seeds, others
    by Welch's t test.

    Args:
        table: a row a seed, a column a group, NaN where there is nothing.
        members: of each group how many trainings are averaged for a seed; None is equally many.
        variances: of the differences within seeds: 'moderated' draws each towards what all have in
            common, as far as they agree; 'pooled' takes one for all, as the analysis of a
            randomised block design does; 'own' is Student's paired t test.

    """
    if variances not in VARIANCES:
        raise InputError(f"variances are {', '.join(VARIANCES)}, got {variances!r}")
    table = table.loc[:, table.notna().sum() >= 2]
    values, groups = table.to_numpy(dtype=float), table.columns
    first, second = np.triu_indices(len(groups), k=1)
    within = values[:, first] - values[:, second]
    n = np.isfinite(within).sum(axis=0)
    paired = n >= 2
    difference, variance = _moments(within)
    df = n - 1.0
    words = "each variance by itself"
    if (variance[paired] > NO_VARIANCE).any() and variances != "own":
        scale: Floats = np.ones(len(n))
        if members is not None:
            of_group = by_members(table, members).to_numpy()
            scale = of_group[first] + of_group[second]
        most_df = additive(table).freedom
        if variances == "pooled":
            share = np.average(variance[paired] / scale[paired], weights=df[paired])
            variance, df = share * scale, np.full(len(n), float(most_df))
            words = "variances pooled"
        else:
            drawn = moderated(variance[paired], df[paired], most_df=most_df, scale=scale[paired])
            variance[paired], df[paired] = drawn.variance, drawn.df
            words = drawn.words
    with np.errstate(invalid="ignore", divide="ignore"):
        squared = variance / n
    if not paired.all():
        apart = ~paired
        n[apart], difference[apart], squared[apart], df[apart] = _welch(
            values[:, first[apart]], values[:, second[apart]]
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        se = np.sqrt(np.where(squared * n > NO_VARIANCE, squared, np.nan))
        t = difference / se
    return Pairs(
        table=pd.DataFrame(
            {
                "first": groups[first],
                "second": groups[second],
                "n": n,
                "paired": paired,
                "difference": difference,
                "se": se,
                "df": df,
                "t": t,
                "p": 2 * stdtr(df, -np.abs(t)),
            }
        ),
        groups=groups,
        variances=words,
        alike=len(n) > 0 and bool(paired.all() and np.ptp(n) == 0 and np.ptp(se) <= 1e-9 * se[0]),
    )


def corrected(pairs: Pairs, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return the pairs' table with `low` and `high`, `p_holm` and `p_bh`.

    The interval is of a pair alone. `p_holm` allows for as many pairs as there are (Holm), so that
    in the long run one sweep of twenty calls any two different that are not. `p_bh` is that of
    Benjamini and Hochberg: of those below 0.05, one of twenty may be wrong.
    """
    table = pairs.table
    half = stdtrit(table["df"], (1 + confidence) / 2) * table["se"]
    return table.assign(
        low=table["difference"] - half,
        high=table["difference"] + half,
        p_holm=holm(table["p"]),
        p_bh=benjamini_hochberg(table["p"]),
    )


def pairs_finding(design: Design, *, confidence: float = 0.95) -> Finding:
    """Say which groups of a design differ surely, two by two."""
    title = "which differ"
    judged = int((design.table.notna().sum() >= 2).sum())
    if judged > MOST_PAIRED:
        return Finding(
            title=title,
            sentence=f"All {comb(judged, 2):,} pairs of {counted(judged, design.unit)} are left "
            f"out: so many are not compared two by two, but up to {MOST_PAIRED} are.",
            numbers={"pairs": 0},
        )
    pairs = all_pairs(design.table, members=members(design))
    table = corrected(pairs, confidence=confidence)
    units = counted(len(design.groups), design.unit)
    known = table.dropna(subset=["p"])
    if known.empty:
        return Finding(
            title=title,
            sentence=f"No two of {units} can be compared ({design.seed_words}): each needs two "
            "seeds that differ.",
        )
    alpha = 1 - confidence
    surely, mostly = (int((known[column] <= alpha).sum()) for column in ("p_holm", "p_bh"))
    if surely:
        sentence = (
            f"{surely:,} of {counted(len(known), 'pair')} differ surely (Holm, {100 * alpha:g}% "
            f"for all pairs at once); {mostly:,} where {100 * alpha:g}% of them may be wrong "
            "(Benjamini-Hochberg)."
        )
    else:
        sentence = (
            f"No two of {units} differ surely ({design.seed_words}; Holm, {100 * alpha:g}% for all "
            f"{counted(len(known), 'pair')} at once)."
        )
    apart = int((~known["paired"]).sum())
    if apart:
        sentence += f" {counted(apart, 'pair')} without two seeds in common: Welch's test."
    if left := len(design.groups) * (len(design.groups) - 1) // 2 - len(known):
        sentence += f" {counted(left, 'pair')} cannot be compared, for want of seeds or spread."
    names = {int(group): design.name_of(int(group)) for group in design.groups.index}
    order = known.sort_values("p", kind="stable").head(SHOWN)
    return Finding(
        title=title,
        sentence=sentence,
        method=f"t tests on differences within seeds, {pairs.variances}",
        assumes="differences within seeds are normal; p of a pair alone is not evidence; that "
        "pairs share groups Holm's way allows for, and Benjamini's and Hochberg's is taken to bear",
        numbers={"pairs": len(known), "holm": surely, "benjamini_hochberg": mostly},
        tables={
            "pairs": table.assign(
                first=table["first"].map(names), second=table["second"].map(names)
            )
        },
        shown={
            "the pairs that differ most": [
                (
                    "first",
                    "second",
                    "n",
                    "points",
                    f"{100 * confidence:g}% alone",
                    "p",
                    "Holm",
                    "BH",
                ),
                *(
                    (
                        label(design, pair["first"]),
                        label(design, pair["second"]),
                        str(pair["n"]),
                        points(pair["difference"]),
                        interval_words(pair["low"], pair["high"]),
                        *(p_number(pair[column]) for column in ("p", "p_holm", "p_bh")),
                    )
                    for pair in order.to_dict("records")
                ),
            ]
        },
    )


def _moments(values: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance (ddof 1) of each column over what it has; NaN for fewer than two."""
    there = np.isfinite(values)
    n = there.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(there, values, 0).sum(axis=0) / np.where(n > 1, n, np.nan)
        squares = np.where(there, values - mean, 0) ** 2
        return mean, squares.sum(axis=0) / (np.where(n > 1, n, np.nan) - 1)


def _welch(first: Floats, second: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return seeds of both, differences of means, their squared standard errors and freedom."""
    n = [np.isfinite(side).sum(axis=0).astype(float) for side in (first, second)]
    (mean, variance), (other_mean, other_variance) = _moments(first), _moments(second)
    squared = [variance / n[0], other_variance / n[1]]
    both = squared[0] + squared[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        df = both**2 / (squared[0] ** 2 / (n[0] - 1) + squared[1] ** 2 / (n[1] - 1))
    return n[0] + n[1], mean - other_mean, both, df
