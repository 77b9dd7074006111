"""How far means lie apart that differ by noise alone. Not here: how large the noise is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from topo_sweep.analysis.accuracy import Floats

REPEATS: Final = 4000
"""How often such means are drawn: their mean range is then known to about 1% of their SD."""


@dataclass(frozen=True, kw_only=True)
class NoiseSpread:
    """How far means of pure noise lie apart.

    Args:
        means: how many they are.
        sd: the standard deviation that is expected of them.
        range: the range that is expected of them.
        range_limit: the range that 95% of such means stay below (or another share).
        p_value: how often such means range at least as far as those at hand.

    """

    means: int
    sd: float
    range: float
    range_limit: float
    p_value: float


def noise_spread(
    errors: Floats, df: float, observed: float, *, confidence: float = 0.95, seed: int = 0
) -> NoiseSpread:
    """Return the spread of normal means that differ by noise alone, from `REPEATS` draws.

    `range_limit` and `p_value` are of the studentised range: they allow for noise that is known
    from no more than its degrees of freedom.

    Args:
        errors: the standard error of each mean.
        df: the degrees of freedom from which the noise is known.
        observed: the range of the means at hand.
        confidence: share of the ranges below `range_limit`.
        seed: of the draws.

    """
    rng = np.random.default_rng(seed)
    ranges = np.ptp(rng.standard_normal((REPEATS, len(errors))) * errors, axis=1)
    studentised = ranges * np.sqrt(df / rng.chisquare(df, REPEATS))
    return NoiseSpread(
        means=len(errors),
        sd=float(np.sqrt(np.square(errors).mean())),
        range=float(ranges.mean()),
        range_limit=float(np.quantile(studentised, confidence)),
        p_value=float((1 + (studentised >= observed).sum()) / (1 + REPEATS)),
    )
