"""Intervals that stay valid however long one looks: for means, and for paired differences.

An ordinary interval holds for a number of seeds that was fixed beforehand. Where results decide who
gets the next seed, only a confidence sequence holds: its chance to be wrong at any time is at most
`alpha`. These are normal mixtures over the effect in units of its spread: Wang and Ramdas,
"Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance" (2024),
after Lai (1976). They are exact for normal values. A mean's uses its own seeds alone. Of many
pairs, each borrows from the spread of all (Smyth 2004, "Linear models and empirical Bayes methods",
section 6), which makes few seeds enough; that this holds as well is checked by simulation. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import digamma, polygamma

from topo_sweep.analysis.accuracy import ANY, NO_VARIANCE, ROUNDING, Floats, Range

_MEAN_PRECISION: Final = 0.1
"""Of the mixture over a mean's effect: the interval is finite from three seeds on."""
_PAIR_PRECISION: Final = 0.5
"""Of the mixture over a difference's effect: about the best from three to a hundred seeds."""
_MOST_BORROWED: Final = 30.0
"""Degrees of freedom that the spread of all pairs counts for in each at most."""
_LEAST_PART: Final = 1e-5  # of the median variance: pairs of equal differences have no logarithm


def anytime_interval(
    mean: ArrayLike,
    sd: ArrayLike,
    n: ArrayLike,
    *,
    confidence: float = 0.95,
    within: Range = ANY,
) -> tuple[Floats, Floats]:
    """Return the ends of intervals of means that hold at all numbers of seeds at once.

    NaN where there is none, as `accuracy.t_interval` has it; with two seeds it is all of `within`.
    About twice as wide as an ordinary interval of as many seeds.

    Args:
        mean: of the values, one or many.
        sd: their standard deviation (ddof 1).
        n: how many they are.
        confidence: that the mean is in the interval, however `n` came about.
        within: what no mean can leave; the ends are cut there.

    """
    centre, spread, count = (np.asarray(part, dtype=float) for part in (mean, sd, n))
    known = (count > 1) & (spread > ROUNDING)
    squares = np.where(known, (count - 1) * spread**2, np.nan)
    half = _half_width(squares, count, 0.0, alpha=1 - confidence, precision=_MEAN_PRECISION)
    low, high = within
    return np.maximum(centre - half, low), np.minimum(centre + half, high)


@dataclass(frozen=True, eq=False)
class AnytimePairs:
    """All differences between groups over the seeds that both have; arrays of groups x groups.

    Args:
        difference: mean of the row's group minus that of the column's; 0 where no seed is shared.
        half_width: of its interval; infinite where nothing is known.
        shared: how many seeds both have.
        borrowed: degrees of freedom that each pair took from the spread of all.

    """

    difference: Floats
    half_width: Floats
    shared: Floats
    borrowed: float


def anytime_pairs(table: pd.DataFrame | Floats, *, alpha: float) -> AnytimePairs:
    """Return the differences of all pairs of groups, each with an interval that holds at any time.

    Args:
        table: accuracies, a row a seed and a column a group; NaN where nothing was trained.
        alpha: the chance that the interval of a pair is ever wrong.

    """
    values = np.asarray(table, dtype=float)
    there = ~np.isnan(values)
    centre = np.sum(values, axis=1, where=there) / np.maximum(there.sum(axis=1), 1)
    # What a seed adds to all is in no difference; without it less is lost to rounding.
    centred, mask = np.where(there, values - centre[:, None], 0.0), there.astype(float)
    shared, sums, squares = mask.T @ mask, centred.T @ mask, (centred**2).T @ mask
    count = np.maximum(shared, 1.0)
    difference = (sums - sums.T) / count
    about_mean = squares + squares.T - 2 * centred.T @ centred - count * difference**2
    about_mean = np.maximum(about_mean, 0.0)
    above = np.triu_indices(len(shared), 1)
    freedom = shared[above] - 1
    # All that is known of the spread, without what a pair knows by itself.
    others = there.sum() - there.any(axis=1).sum() - len(shared) + 1 - freedom.max(initial=0)
    most = min(max(float(others), 0.0), _MOST_BORROWED)
    borrowed, variance = _common_variance(about_mean[above], freedom, most=most)
    total = borrowed * variance + about_mean
    total = np.where((shared > 0) & (total > NO_VARIANCE), total, np.inf)
    half = _half_width(total, count, borrowed, alpha=alpha, precision=_PAIR_PRECISION)
    return AnytimePairs(difference, half, shared, borrowed)


def _half_width(
    squares: Floats, count: Floats, borrowed: float, *, alpha: float, precision: float
) -> Floats:
    """Return the half width at which the mixture's evidence against the end reaches 1 / alpha.

    `squares` are those about the mean, with what is borrowed. Of effects N(0, 1 / precision) the
    mixture has against a mean at distance d the evidence

        sqrt(r) ((squares + n d^2) / (squares + r n d^2))^((borrowed + n) / 2),
        r = precision / (precision + n),

    which no d brings to 1 / alpha where there are too few seeds: then the width is infinite.
    """
    rest = precision / (precision + count)
    ratio = np.exp((2 * np.log(1 / alpha) - np.log(rest)) / (borrowed + count))
    room = 1 - ratio * rest
    with np.errstate(divide="ignore", invalid="ignore"):
        widths = np.sqrt(squares * (ratio - 1) / (room * count))
    return np.where(np.isnan(squares), np.nan, np.where(room > 0, widths, np.inf))


def _common_variance(squares: Floats, freedom: Floats, *, most: float) -> tuple[float, float]:
    """Return how far variances are alike, as up to `most` degrees of freedom, and what they share.

    By the moments of their logarithms. Variances that differ, or values with long tails, share
    less; without a second seed, or any spread, nothing is shared.
    """
    seen = freedom > 0
    variances, freedom = squares[seen] / freedom[seen], freedom[seen]
    middle = float(np.median(variances)) if len(variances) else 0.0
    if middle <= NO_VARIANCE or most == 0:
        return 0.0, 0.0
    halves = freedom / 2
    logs = np.log(np.maximum(variances, _LEAST_PART * middle)) - digamma(halves) + np.log(halves)
    sizes, counts = np.unique(halves, return_counts=True)  # few, and the function is slow
    excess = float(logs.var() - np.average(polygamma(1, sizes), weights=counts))
    is_alike = excess <= polygamma(1, most / 2)
    borrowed = most if is_alike else 2 * _inverse_trigamma(excess)
    variance = float(np.exp(logs.mean() + digamma(borrowed / 2) - np.log(borrowed / 2)))
    return borrowed, variance


def _inverse_trigamma(value: float) -> float:
    """Return the x above 0 at which the trigamma function has this value, which is above 0."""
    x = (1 + (1 + 2 * value) ** 0.5) / (2 * value)
    for _ in range(6):  # Newton's steps: from so near, digits double with each
        x -= (float(polygamma(1, x)) - value) / float(polygamma(2, x))
    return x
