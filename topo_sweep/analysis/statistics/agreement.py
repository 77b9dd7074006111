"""How far two orders of the same groups agree: Kendall's tau-b with an interval.

Which orders are worth comparing is in `proxies.py` and `supernet.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from topo_sweep.analysis.accuracy import DIGITS, Floats

MOST_PAIRED: Final = 400
"""More groups than these are not compared pair by pair."""

FEWEST: Final = 5
"""Groups below which a tau gets no interval: leaving one out in turn tells too little."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Kendall's tau-b of two orders of `n` groups.

    `low` and `high` are the ends of its interval, None where there is none: fewer than `FEWEST`
    groups, more than `MOST_PAIRED`, or orders that agree, or disagree, in every pair once a group
    is left out.
    """

    tau: float
    n: int
    low: float | None = None
    high: float | None = None


def agreement(
    first: pd.Series[float], second: pd.Series[float], *, confidence: float = 0.95
) -> Agreement | None:
    """Compare two accuracies of the groups that both have; see `mean_agreement`.

    Args:
        first: accuracies by group; NaN is one that there is not.
        second: the same of the other result.
        confidence: of the interval.

    """
    both = pd.concat([first, second], axis=1, join="inner").dropna()
    return mean_agreement([both.to_numpy(dtype=float).T], confidence=confidence)


def mean_agreement(pairs: Sequence[ArrayLike], *, confidence: float = 0.95) -> Agreement | None:
    """Return the mean of Kendall's tau-b over pairs of results of the same groups.

    Tau-b allows for ties. The interval is Student's t on Fisher's z scale; its standard error is
    that of the jackknife, which leaves out each group in turn and so takes no distribution for
    granted. It takes the groups for a sample. Of more than `MOST_PAIRED` groups there is tau alone.

    Args:
        pairs: each (2, groups): two accuracies of every group, in one order of groups.
        confidence: of the interval.

    Returns:
        None where there is no tau: fewer than two groups, or a result that is the same for all.

    """
    if not len(pairs):
        return None
    rounded = (np.round(np.asarray(pair, dtype=float), DIGITS) for pair in pairs)
    n = np.shape(pairs[0])[1]
    if n > MOST_PAIRED:
        from scipy.stats import kendalltau  # half a second

        tau = float(np.mean([kendalltau(*pair).statistic for pair in rounded]))
        return Agreement(tau=tau, n=n) if np.isfinite(tau) else None
    jackknife = [_taus(*pair) for pair in rounded]
    tau = float(np.mean([whole for whole, _ in jackknife]))
    if not np.isfinite(tau):
        return None
    left_out = np.mean([each for _, each in jackknife], axis=0)
    if n < FEWEST or not (np.abs(np.append(left_out, tau)) < 1 - 1e-12).all():
        return Agreement(tau=tau, n=n)
    z = np.arctanh(left_out)
    error = np.sqrt((n - 1) / n * ((z - z.mean()) ** 2).sum())
    half = stdtrit(n - 1, (1 + confidence) / 2) * error
    low, high = np.tanh(np.arctanh(tau) + np.array([-half, half]))
    return Agreement(tau=tau, n=n, low=float(low), high=float(high))


def _taus(first: Floats, second: Floats) -> tuple[float, Floats]:
    """Return tau-b of all groups, and that without each of them; NaN where there is none."""
    signs = [np.sign(values[:, None] - values).astype(np.int8) for values in (first, second)]
    agreeing = (signs[0] * signs[1]).sum(axis=1, dtype=np.int64)
    untied = [np.abs(sign).sum(axis=1, dtype=np.int64) for sign in signs]
    # Of a group its pairs; each pair is in the sum over groups twice.
    total, *ordered = (of_groups.sum() / 2 for of_groups in (agreeing, *untied))
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = total / np.sqrt(ordered[0] * ordered[1])
        each = (total - agreeing) / np.sqrt((ordered[0] - untied[0]) * (ordered[1] - untied[1]))
    return float(whole), each


def tau_text(found: Agreement | None, *, confidence: float = 0.95) -> str:
    """Return '0.45 (95% interval 0.30 to 0.58)', where the interval has that confidence.

    '-' where there is no tau.
    """
    if found is None:
        return "-"
    if found.low is None:
        return f"{found.tau:.2f} (no interval)"
    interval = f"{100 * confidence:g}% interval {found.low:.2f} to {found.high:.2f}"
    return f"{found.tau:.2f} ({interval})"
