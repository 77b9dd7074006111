"""Sums, differences and ratios of mean squares with their intervals.

Not here: which mean squares a design has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import chdtri, fdtri, ncfdtr

Term = tuple[float, float, int]
"""A mean square with its factor and its degrees of freedom: factor, mean square, df."""


@dataclass(frozen=True, kw_only=True)
class Bounded:
    """An estimate with its interval, both cut at 0.

    Args:
        value: the estimate.
        low: lower end, NaN where there is none.
        high: upper end, NaN where there is none.
        is_cut: whether the estimate was negative, which happens where the truth is near 0.

    """

    value: float
    low: float
    high: float
    is_cut: bool = False


def satterthwaite(terms: Sequence[Term]) -> float:
    """Return the degrees of freedom of a sum of mean squares by Satterthwaite's approximation."""
    parts = [(factor * square, df) for factor, square, df in terms]
    return sum(part for part, _ in parts) ** 2 / sum(part**2 / df for part, df in parts)


def total(terms: Sequence[Term], confidence: float) -> Bounded:
    """Return a sum of mean squares with the modified large-sample interval of Graybill and Wang.

    It is exact for one mean square.
    """
    tail = (1 - confidence) / 2
    value = below = above = 0.0
    for factor, square, df in terms:
        part = factor * square
        value += part
        below += ((1 - df / chdtri(df, tail)) * part) ** 2
        above += ((df / chdtri(df, 1 - tail) - 1) * part) ** 2
    return Bounded(value=value, low=value - below**0.5, high=value + above**0.5)


def difference(more: Term, less: Term, count: float, confidence: float) -> Bounded:
    """Return a difference of mean squares over a count, and its modified large-sample interval.

    It is that of Ting and others, whose lower end is 0 exactly where F is not significant.
    """
    tail = (1 - confidence) / 2
    (factor_1, square_1, df_1), (factor_2, square_2, df_2) = more, less
    first, second = factor_1 * square_1, factor_2 * square_2
    down_1, down_2 = (1 - df / chdtri(df, tail) for df in (df_1, df_2))
    up_1, up_2 = (df / chdtri(df, 1 - tail) - 1 for df in (df_1, df_2))
    top, bottom = fdtri(df_1, df_2, 1 - tail), fdtri(df_1, df_2, tail)
    cross_low = ((top - 1) ** 2 - (down_1 * top) ** 2 - up_2**2) / top
    cross_high = ((1 - bottom) ** 2 - (up_1 * bottom) ** 2 - down_2**2) / bottom
    both = first * second
    below = (down_1 * first) ** 2 + (up_2 * second) ** 2 + cross_low * both
    above = (up_1 * first) ** 2 + (down_2 * second) ** 2 + cross_high * both
    value = (first - second) / count
    low, high = value - max(below, 0.0) ** 0.5 / count, value + max(above, 0.0) ** 0.5 / count
    return Bounded(value=max(value, 0.0), low=max(low, 0.0), high=max(high, 0.0), is_cut=value < 0)


def noncentrality(
    f: float, df1: float, df2: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of the noncentrality of an F: where f is neither too high nor too low."""
    tails = (1 + confidence) / 2, (1 - confidence) / 2
    low, high = (_where_f_has(share, f, df1, df2) for share in tails)
    return low, high


def _where_f_has(share: float, f: float, df1: float, df2: float) -> float:
    """Return the noncentrality at which a share of all F lies below f; 0 where none is so low."""
    if ncfdtr(df1, df2, 0.0, f) <= share:
        return 0.0
    low, high = 0.0, 1.0
    while ncfdtr(df1, df2, high, f) > share:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if ncfdtr(df1, df2, middle, f) > share else (low, middle)
    return (low + high) / 2
