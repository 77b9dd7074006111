"""Found cells beside random ones, trained alike: one comparison. Pure.

The cell is the unit, found once or several times: its accuracy is the mean over its training
seeds. Random cells are a sample of what chance gives: all found cells are set against all of them,
and each is placed among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import (
    FRACTION,
    ROUNDING,
    Estimate,
    Floats,
    difference,
    per_seed,
    wide,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Control:
    """Found cells beside random ones.

    Args:
        cells: indexed by genotype: `searches` (how many found it), `accuracy` (a fraction),
            `better_than` (the share of random cells that have less) and `p_value` (the chance that
            a random cell is as good, (r + 1) / (N + 1), where r of N random cells are).
        random: the accuracy of each random cell, by genotype.
        seeds: with which both sides were trained. Where there are none, each cell has the mean over
            its own, and what seeds differ by is in the comparison.
        left_out: trainings with seeds that the other side does not have.
        estimate: found minus random on average, with Student's interval and p-value: cells that
            are found as by chance spread as random ones do, and found ones are often two or three.
        rank_p: of the Mann-Whitney test; NaN where a side has one cell.
        predicted: between what one more random cell is expected, with the confidence of the
            interval; NaN where there is one random cell, or all are equal.

    """

    cells: pd.DataFrame
    random: pd.Series[float]
    seeds: tuple[int, ...]
    left_out: int
    estimate: Estimate
    rank_p: float
    predicted: tuple[float, float]

    @property
    def p_value(self) -> float:
        """Student's; of a single found cell that of its place; NaN beside a single random cell."""
        if len(self.random) > 1 and len(self.cells) == 1:
            return float(self.cells["p_value"].iloc[0])
        return np.nan if self.estimate.p_value is None else self.estimate.p_value


def beside_random(
    found: pd.DataFrame, random: pd.DataFrame, *, confidence: float = 0.95
) -> Control:
    """Set found cells beside random ones.

    Of training seeds in common only these count. What a seed adds to random cells is taken off, so
    that a cell that lacks some of them is neither favoured nor harmed.

    Args:
        found: a row a training with a result: `search_id`, `genotype`, `seed`, `status` and
            `accuracy`. Searches that found one cell say the same of it, so it counts once.
        random: likewise, without `search_id`.
        confidence: of the intervals.

    Raises:
        InputError: one of them has no row.

    """
    if found.empty or random.empty:
        raise InputError("a comparison needs a found and a random cell, each with a result")
    seeds = sorted(set(found["seed"]) & set(random["seed"]))
    sides = [_table(found), _table(random)]
    trainings = sum(int(side.notna().to_numpy().sum()) for side in sides)
    if seeds:
        sides = [side.reindex(columns=seeds).dropna(how="all") for side in sides]
        complete = sides[1].dropna()
        effects = (complete if len(complete) else sides[1]).mean()
        sides = [side - (effects - effects.mean()) for side in sides]
    left_out = trainings - sum(int(side.notna().to_numpy().sum()) for side in sides)
    ours, chance = (side.mean(axis=1) for side in sides)
    estimate = difference(ours, chance, equal_spread=True, confidence=confidence)
    assert estimate is not None, "both sides have a cell"  # noqa: S101
    as_good = (chance.to_numpy() >= ours.to_numpy()[:, None] - ROUNDING).sum(axis=1)
    cells = pd.DataFrame(
        {
            "searches": found.groupby("genotype")["search_id"].nunique().reindex(ours.index),
            "accuracy": ours,
            "better_than": 1 - as_good / len(chance),
            "p_value": (as_good + 1) / (len(chance) + 1),
        }
    )
    return Control(
        cells=cells,
        random=chance,
        seeds=tuple(map(int, seeds)),
        left_out=left_out,
        estimate=estimate,
        rank_p=_rank_p(ours.to_numpy(), chance.to_numpy()),
        predicted=_predicted(chance.to_numpy(), confidence),
    )


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return accuracies as a table: a row a cell, a column a seed, NaN where there is none."""
    return wide(per_seed(rows, ["genotype"], "accuracy"), "genotype")[0].T


def _predicted(random: Floats, confidence: float) -> tuple[float, float]:
    n = len(random)
    if n < 2 or random.std() < ROUNDING:
        return np.nan, np.nan
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * random.std(ddof=1) * (1 + 1 / n) ** 0.5
    low, high = FRACTION
    return max(random.mean() - half, low), min(random.mean() + half, high)


def _rank_p(found: Floats, random: Floats) -> float:
    from scipy.stats import mannwhitneyu  # half a second

    if min(len(found), len(random)) < 2:
        return np.nan
    return float(mannwhitneyu(found, random).pvalue)
