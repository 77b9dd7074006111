"""How many of the true best the best means hold, at the noise that was measured."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from topo_sweep.analysis.statistics.additive import additive

BEST: Final = (1, 5, 10, 20)
"""How many of the best are looked for in `recalls`."""

COLUMNS: Final = ("best", "seeds", "recall", "chance")
"""Of the table of `recalls`: `recall` and `chance` are fractions of the `best`."""


def moment_components(table: pd.DataFrame) -> tuple[float, float]:
    """Return the variance between groups, and that of one measurement beside its seed's offset.

    By the moments of group plus seed: what is left beside both, and what the means of groups
    vary by more than that explains (0 where they vary by less).

    Args:
        table: a row a seed, a column a group; two or more of each, nothing missing.

    """
    fit = additive(table)
    within = float((fit.left**2).sum()) / fit.freedom
    return max(float(fit.means.var(ddof=1)) - within / len(table), 0.0), within


def expected_recall(
    between: float,
    within: float,
    *,
    groups: int,
    seeds: int,
    best: int,
    repeats: int = 2_000,
    seed: int = 0,
) -> float:
    """Return which share of the true best are expected among as many best means.

    Simulated from normal true values and normal, independent noise.

    Args:
        between: variance of true values.
        within: variance of a measurement with one seed.
        groups: how many there are.
        seeds: over which means are taken.
        best: how many are looked for, fewer than `groups`.
        repeats: of the simulation.
        seed: of its random numbers.

    Returns:
        A fraction; best / groups is what chance alone gives.

    """
    noise = within / seeds
    reliability = between / (between + noise) if between + noise > 0 else 0.0
    random = np.random.default_rng(seed)
    true, noisy = random.standard_normal((2, repeats, groups))
    measured = reliability**0.5 * true + (1 - reliability) ** 0.5 * noisy
    chosen = np.argpartition(-measured, best - 1, axis=1)[:, :best]
    least = -np.partition(-true, best - 1, axis=1)[:, best - 1 : best]
    return float((np.take_along_axis(true, chosen, axis=1) >= least).mean())


def recalls(table: pd.DataFrame) -> pd.DataFrame:
    """Return `best`, `seeds`, `recall` and `chance` for each of `BEST`, with one seed and all.

    Args:
        table: a row a seed, a column a group; nothing missing. With fewer than two of either there
            is no noise to tell, and no row.

    """
    if min(table.shape) < 2:
        return pd.DataFrame(columns=list(COLUMNS))
    between, within = moment_components(table)
    seeds, groups = table.shape
    rows = [
        {
            "best": best,
            "seeds": number,
            "recall": expected_recall(between, within, groups=groups, seeds=number, best=best),
            "chance": best / groups,
        }
        for number in sorted({1, seeds})
        for best in BEST
        if best < groups
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def shown_recalls(recall: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the table as people read it, header first."""
    rows: list[tuple[str, ...]] = [("best", "seeds", "recall", "by chance")]
    for row in recall.to_dict("records"):
        shares = (f"{100 * row[name]:.0f}%" for name in ("recall", "chance"))
        rows.append((f"{row['best']:.0f}", f"{row['seeds']:.0f}", *shares))
    return rows
