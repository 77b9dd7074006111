"""What the winner is worth: the best mean is high in part because its seeds were lucky."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import FRACTION, ROUNDING, Estimate, estimate
from topo_sweep.analysis.design import Design
from topo_sweep.analysis.inference.findings import Finding
from topo_sweep.analysis.inference.noise import members
from topo_sweep.analysis.inference.shrinkage import shrunken_means
from topo_sweep.analysis.statistics.halves import halves
from topo_sweep.analysis.text import counted, interval_words, points
from topo_sweep.spec.int_sets import format_int_set

MOST_SPLITS: Final = 252
"""Of ten seeds these are all; of more, splits are drawn."""

DRAWN: Final = 200


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The group with the best mean, and what other seeds than selected it say.

    Args:
        group: it has the best mean over the seeds that select, of equal ones it is the first.
        selected: its mean over those.
        others: the estimate on other seeds: of this group where seeds were named; else the mean
            over splits, without an interval, of whichever group won on a half.
        splits: how many splits were averaged, 0 where seeds were named.
        chosen_again: in which share of the splits this group won, None where seeds were named.

    """

    group: int
    selected: float
    others: Estimate
    splits: int = 0
    chosen_again: float | None = None


def winner_on(
    table: pd.DataFrame, select_seeds: Collection[int], *, confidence: float = 0.95
) -> Winner:
    """Select on some seeds, and estimate on all others, with an interval of this confidence.

    Raises:
        InputError: none of the seeds is in the table, or no other is.

    """
    selecting = table.index.isin(list(select_seeds))
    if not selecting.any() or selecting.all():
        raise InputError(
            f"seeds {format_int_set(sorted(select_seeds))} are "
            f"{'all' if selecting.all() else 'none'} of seeds "
            f"{format_int_set([int(seed) for seed in table.index])}: name some that select, and "
            "leave others that judge"
        )
    judged = table.loc[:, table[~selecting].notna().any()]
    means = judged[selecting].mean()
    if means.isna().all():
        raise InputError(
            "no group has results both on the seeds that select and on others: name other seeds"
        )
    best = int(means.index[int(means.argmax())])
    others = estimate(judged.loc[~selecting, best].dropna(), within=FRACTION, confidence=confidence)
    assert others is not None, "a judged group has a seed that does not select"  # noqa: S101
    return Winner(group=best, selected=float(means[best]), others=others)


def winner_by_halves(table: pd.DataFrame, *, seed: int = 0) -> Winner | None:
    """Select on half of the seeds, estimate on the other half, and average over all splits.

    Of more than `MOST_SPLITS` splits, `DRAWN` are drawn by `seed`. A group takes part in a split
    where it has a seed in both halves. None for fewer than two seeds.
    """
    values = table.to_numpy(dtype=float)
    if len(values) < 2:
        return None
    there = np.isfinite(values)
    filled = np.where(there, values, 0.0)
    selecting = halves(len(values), most=MOST_SPLITS, drawn=DRAWN, seed=seed).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (selecting @ filled) / (selecting @ there)
        others = ((1 - selecting) @ filled) / ((1 - selecting) @ there)
    means = np.where(np.isfinite(others), means, np.nan)
    rows = np.flatnonzero(np.isfinite(means).any(axis=1))
    if not len(rows):
        return None
    won = np.nanargmax(means[rows], axis=1)
    whole = table.mean()
    best = int(whole.index[int(whole.argmax())])
    return Winner(
        group=best,
        selected=float(whole[best]),
        others=Estimate(n=len(values), mean=float(others[rows, won].mean())),
        splits=len(rows),
        chosen_again=float((table.columns[won] == best).mean()),
    )


def winner_finding(
    design: Design,
    *,
    select_seeds: Collection[int] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Finding:
    """Say what the best of a design is worth: as measured, shrunken, and on other seeds.

    Args:
        design: what was measured.
        select_seeds: those that select; None selects on halves, over all splits.
        confidence: of the shrunken interval, and of that over seeds which did not select.
        seed: of the splits that are drawn.

    Raises:
        InputError: `select_seeds` are none of the seeds, or all of them.

    """
    title = "what the winner is worth"
    table = design.table
    won = (
        winner_by_halves(table, seed=seed)
        if select_seeds is None
        else winner_on(table, select_seeds, confidence=confidence)
    )
    units = counted(len(design.groups), design.unit)
    if won is None:
        return Finding(
            title=title,
            sentence=f"The best of {units} has no honest estimate ({design.seed_words}): it takes "
            "two seeds, one that selects and one that judges.",
        )
    name = design.name_of(won.group)
    images = "validation" if design.metric == "val" else "test"
    drawn = shrunken_means(table, members=members(design), confidence=confidence)
    numbers: dict[str, float | int | str | None] = {
        "winner": name,
        "selected": won.selected,
        "others": won.others.mean,
        "others_low": won.others.low,
        "others_high": won.others.high,
        "splits": won.splits,
        "chosen_again": won.chosen_again,
    }
    sentences = [f"{name.capitalize()}, the best of {units}, has {points(won.selected)}%"]
    if drawn is not None and won.group in drawn.table.index:
        row = {name: float(column[won.group]) for name, column in drawn.table.items()}
        numbers |= {"shrunken": row["shrunk"], "low": row["low"], "high": row["high"]}
        sentences[0] += (
            f"; shrunken {points(row['shrunk'])}%, {100 * confidence:g}% interval "
            f"{interval_words(row['low'], row['high'])}"
        )
        leader = int(drawn.table["shrunk"].idxmax())
        lead = float(drawn.table["shrunk"].max())
        numbers["shrunken_winner"] = name
        if lead > row["shrunk"] + ROUNDING:
            numbers["shrunken_winner"] = design.name_of(leader)
            sentences[0] += f", where {design.name_of(leader)} leads with {points(lead)}%"
    sentences[0] += "."
    sentences += _judged(design, won, table, confidence)
    sentences.append(
        f"Seeds that did not select undo the luck of seeds alone, not a selection made on the same "
        f"{images} images."
    )
    return Finding(
        title=title,
        sentence=" ".join(sentences),
        method="selection on some seeds, estimate on the others; empirical Bayes",
        assumes="seeds are independent; all accuracies are of the same images",
        numbers=numbers,
    )


def _judged(design: Design, won: Winner, table: pd.DataFrame, confidence: float) -> list[str]:
    """Say what seeds that did not select have of the winner."""
    away = won.selected - won.others.mean
    luck = f"{points(abs(away))} points {'below' if away >= 0 else 'above'} that"
    if won.splits:
        half = len(table) // 2
        splits = counted(won.splits, "split")
        judged = (
            f"Selected on {counted(half, 'seed')} and measured on the other {len(table) - half}, "
            f"the best has {points(won.others.mean)}%, {luck} (mean of {splits}, without an "
            f"interval, for they share seeds); {design.name_of(won.group)} is the best in "
            f"{won.chosen_again:.0%} of them."
        )
        return [judged]
    interval = "without an interval"
    if won.others.low is not None and won.others.high is not None:
        interval = (
            f"{100 * confidence:g}% interval {interval_words(won.others.low, won.others.high)}"
        )
    return [
        (
            f"On {counted(won.others.n, 'seed')} that did not select it has "
            f"{points(won.others.mean)}%, {interval}; {luck}."
        )
    ]
