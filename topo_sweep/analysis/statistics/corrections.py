"""p-values of several tests, adjusted for how many they are; NaN is no test, stays and is not one.

Not here: which tests belong together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from topo_sweep.analysis.accuracy import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted by Holm's method: that any is below 5% by chance alone has 5%.

    Scipy has none, and for three lines alone no user has to install statsmodels.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)[: int((~np.isnan(p)).sum())]
    adjusted = np.full(len(p), np.nan)
    times = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(times * p[order]), 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return p-values adjusted by that method: of those below 5%, one of twenty may be wrong."""
    from scipy.stats import false_discovery_control  # half a second, and a ranking needs none

    p = np.asarray(p_values, dtype=float)
    known = ~np.isnan(p)
    adjusted = np.full(len(p), np.nan)
    if known.any():
        adjusted[known] = false_discovery_control(p[known])
    return adjusted
