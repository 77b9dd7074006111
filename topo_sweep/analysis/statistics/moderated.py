"""Variances from few seeds, moderated: each is drawn towards what all variances have in common.

Five seeds tell a variance badly, and pooling takes all for equal, which they may not be. Between
the two lies Smyth's moderation (2004, Statistical Applications in Genetics and Molecular Biology
3:3): variances scatter about a common one like that one times an F with as many degrees of freedom
as the data show. Here its spread is read from the middle of the sample, so that a few diverged
trainings do not decide it, and a variance far above all others stands for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from scipy.special import fdtrc, fdtri, gammaincinv

from topo_sweep.analysis.accuracy import Floats

_ENDS: Final = (0.1, 0.9)
"""Logarithms of variances are cut at these quantiles before their mean and variance are taken."""

_PRIOR_DF: Final = (np.inf, 256.0, 128.0, 64.0, 32.0, 16.0, 12.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.5)
_POINTS: Final = 200
_FEWEST: Final = 6
"""Fewer variances do not tell how much variances scatter."""

_OUTLIER: Final = 0.05
_LEAST: Final = 1e-9
"""No variance is taken for less than this share of the middle one."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Moderated:
    """Variances with their degrees of freedom.

    Args:
        variance: the moderated variances.
        df: their degrees of freedom.
        prior_df: how many of those the common variance adds to each; infinite where variances
            scatter no more than equal ones would, and 0 where they are too few to tell.

    """

    variance: Floats
    df: Floats
    prior_df: float

    @property
    def words(self) -> str:
        """How variances were taken, for the name of a method."""
        if np.isinf(self.prior_df):
            return "variances pooled"
        if not self.prior_df:
            return "each variance by itself"
        return f"variances moderated by {self.prior_df:.0f} degrees of freedom"


def moderated(
    variance: Floats, df: Floats, *, most_df: float, scale: Floats | float = 1.0
) -> Moderated:
    """Return variances drawn towards `scale` times what they have in common.

    Args:
        variance: sample variances (ddof 1), at least one of them above 0.
        df: their degrees of freedom, 1 or more.
        most_df: how many all of them share, which no one can exceed.
        scale: what the variances should be proportional to.

    """
    if len(variance) < _FEWEST:
        return Moderated(variance=variance, df=df, prior_df=0.0)
    ratio = variance / scale
    ratio = np.maximum(ratio, _LEAST * np.median(ratio[ratio > 0]))
    logs = np.log(ratio)
    logs = np.clip(logs, *np.quantile(logs, _ENDS))
    inverses = 1 / np.array(_PRIOR_DF)
    means, variances = _references(df)
    inverse = float(np.interp(logs.var(ddof=1), variances, inverses))
    prior_df = 1 / inverse if inverse else np.inf
    common = float(np.exp(logs.mean() - np.interp(inverse, inverses, means)))
    outlier = fdtrc(df, min(prior_df, 1e9), ratio / common) < _OUTLIER / len(ratio)
    if np.isinf(prior_df):
        common = float(np.average(ratio[~outlier], weights=df[~outlier]))
        drawn, drawn_df = np.full(len(ratio), common), np.full(len(ratio), most_df)
    else:
        drawn = (prior_df * common + df * ratio) / (prior_df + df)
        drawn_df = np.minimum(prior_df + df, most_df)
    return Moderated(
        variance=np.where(outlier, variance, drawn * scale),
        df=np.where(outlier, df, np.maximum(drawn_df, df)),
        prior_df=prior_df,
    )


def _references(df: Floats) -> tuple[Floats, Floats]:
    """Return mean and variance of cut logarithms, for each of `_PRIOR_DF` prior freedoms."""
    kinds, counts = np.unique(df, return_counts=True)
    points = np.ceil(_POINTS * counts / len(df)).astype(int)
    logs = np.hstack(
        [
            _log_f(float(kind))[:, ((np.arange(some) + 0.5) / some * _POINTS).astype(int)]
            for kind, some in zip(kinds, points, strict=True)
        ]
    )
    low, high = np.quantile(logs, _ENDS, axis=1, keepdims=True)
    logs = np.clip(logs, low, high)
    return logs.mean(axis=1), logs.var(axis=1)


@lru_cache
def _log_f(df: float) -> Floats:
    """Return quantiles of log F, a row for each of `_PRIOR_DF` prior freedoms."""
    share = (np.arange(_POINTS) + 0.5) / _POINTS
    rows = [
        2 * gammaincinv(df / 2, share) / df if np.isinf(prior) else fdtri(df, prior, share)
        for prior in _PRIOR_DF
    ]
    return np.log(np.array(rows))
