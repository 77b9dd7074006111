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
from topo_sweep.analysis.findings import Finding
from topo_sweep.analysis.inference.naming import listed
from topo_sweep.analysis.inference.noise import members
from topo_sweep.analysis.inference.shrinkage import shrunken_means
from topo_sweep.analysis.statistics.additive import additive
from topo_sweep.analysis.statistics.halves import halves
from topo_sweep.analysis.text import counted, interval_words, points
from topo_sweep.spec.int_sets import format_int_set

MOST_SPLITS: Final = 252
"""Of ten seeds these are all; of more, splits are drawn."""

DRAWN: Final = 200


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The group with the best mean, and what other seeds than selected it say.

    All means are as if each group had all seeds of the table: what a seed does to all groups is
    taken away from its accuracies, as `additive` fits it.

    Args:
        group: it has the best mean over the seeds that select, of equal ones it is the first.
        selected: its mean over those.
        others: the estimate on other seeds: of this group where seeds were named, with an interval
            that has what seeds do to all groups in it; else the mean over splits, without an
            interval, of whichever group won on a half.
        left_out: groups that took no part, for want of a seed that selects or of one that judges.
        splits: how many splits were averaged, 0 where seeds were named.
        chosen_again: in which share of the splits this group won, None where seeds were named.
        in_some: how many groups took part in some of the splits and not in others.

    """

    group: int
    selected: float
    others: Estimate
    left_out: tuple[int, ...] = ()
    splits: int = 0
    chosen_again: float | None = None
    in_some: int = 0


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
    of_seed = pd.Series(additive(table).of_seed, table.index)
    level = table.sub(of_seed, axis="index")
    means = level[selecting].mean().where(level[~selecting].notna().any())
    if means.isna().all():
        raise InputError(
            "no group has results both on the seeds that select and on others: name other seeds"
        )
    best = int(means.index[int(means.argmax())])
    judging = table.loc[~selecting, best].dropna()
    others = estimate(
        judging - of_seed[judging.index].mean(), within=FRACTION, confidence=confidence
    )
    assert others is not None, "a judged group has a seed that does not select"  # noqa: S101
    return Winner(
        group=best,
        selected=float(means[best]),
        others=others,
        left_out=tuple(map(int, means.index[means.isna()])),
    )


def winner_by_halves(table: pd.DataFrame, *, seed: int = 0) -> Winner | None:
    """Select on half of the seeds, estimate on the other half, and average over all splits.

    Of more than `MOST_SPLITS` splits, `DRAWN` are drawn by `seed`. A group takes part in a split
    where it has a seed in both halves. None for fewer than two seeds.
    """
    values = table.to_numpy(dtype=float) - additive(table).of_seed[:, None]
    if len(values) < 2:
        return None
    there = np.isfinite(values)
    filled = np.where(there, values, 0.0)
    selecting = halves(len(values), most=MOST_SPLITS, drawn=DRAWN, seed=seed).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (selecting @ filled) / (selecting @ there)
        others = ((1 - selecting) @ filled) / ((1 - selecting) @ there)
    takes_part = np.isfinite(means) & np.isfinite(others)
    rows, judged = takes_part.any(axis=1), takes_part.any(axis=0)
    if not judged.any():
        return None
    won = np.where(takes_part, means, -np.inf)[rows].argmax(axis=1)
    with np.errstate(invalid="ignore"):
        whole = np.where(judged, filled.sum(axis=0) / there.sum(axis=0), -np.inf)
    best = int(whole.argmax())
    return Winner(
        group=int(table.columns[best]),
        selected=float(whole[best]),
        others=Estimate(n=len(values), mean=float(others[rows][np.arange(len(won)), won].mean())),
        left_out=tuple(map(int, table.columns[~judged])),
        splits=len(won),
        chosen_again=float((won == best).mean()),
        in_some=int((judged & ~takes_part[rows].all(axis=0)).sum()),
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
    if won is None:
        units = counted(len(design.groups), design.unit)
        return Finding(
            title=title,
            sentence=f"The best of {units} has no honest estimate ({design.seed_words}): it takes "
            "two seeds, one that selects and one that judges.",
        )
    units = counted(len(design.groups) - len(won.left_out), design.unit)
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
        "left_out": len(won.left_out),
        "in_some_splits": won.in_some,
    }
    sentences = [f"{name.capitalize()}, the best of {units}, has {points(won.selected)}%"]
    if drawn is not None and won.group in drawn.table.index:
        row = {name: float(column[won.group]) for name, column in drawn.table.items()}
        numbers |= {"shrunken": row["shrunk"], "low": row["low"], "high": row["high"]}
        sentences[0] += (
            f"; shrunken {points(row['shrunk'])}%, {100 * confidence:g}% interval "
            f"{interval_words(row['low'], row['high'])}"
        )
        leader = int(drawn.table.index[int(drawn.table["shrunk"].argmax())])
        lead = float(drawn.table["shrunk"].max())
        numbers["shrunken_winner"] = name
        if lead > row["shrunk"] + ROUNDING:
            numbers["shrunken_winner"] = design.name_of(leader)
            sentences[0] += f", where {design.name_of(leader)} leads with {points(lead)}%"
    sentences[0] += "."
    sentences += [*_judged(design, won, table, confidence), *_unbalanced(design, won)]
    sentences.append(
        f"Seeds that did not select undo the luck of seeds alone, not a selection made on the same "
        f"{images} images."
    )
    return Finding(
        title=title,
        sentence=" ".join(sentences),
        method="selection on some seeds, estimate on the others, of a fit of groups and seeds; "
        "empirical Bayes",
        assumes="seeds are independent, and each adds the same to all but for the noise; all "
        "accuracies are of the same images",
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
            f"interval, for they share seeds), in part since half as many seeds select worse; "
            f"{design.name_of(won.group)} is the best in {won.chosen_again:.0%} of them."
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


def _unbalanced(design: Design, won: Winner) -> list[str]:
    """Say what means are of, and which groups took no part or only in some splits."""
    said = []
    if design.table.isna().any(axis=None) or not won.splits:
        said.append(f"These means are as if each {design.unit} had all seeds.")
    if won.left_out:
        groups = listed(design, won.left_out)
        said.append(f"Without a seed that selects or one that judges, and so left out: {groups}.")
    if won.in_some:
        count = counted(won.in_some, design.unit)
        said.append(f"In some splits only, for want of seeds: {count}.")
    return said
