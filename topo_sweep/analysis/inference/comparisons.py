"""Two results of the same groups beside each other: epochs, seeds, members, images, sweeps.

Each is a Kendall's tau-b, see `agreement.py`; what they say together is in `proxies.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from nas_core.cells.genotype import Genotype
from topo_sweep.analysis.accuracy import METRICS
from topo_sweep.analysis.design import Design, design_of
from topo_sweep.analysis.statistics.additive import adjusted_means
from topo_sweep.analysis.statistics.agreement import Agreement, agreement, mean_agreement
from topo_sweep.analysis.statistics.halves import halves
from topo_sweep.analysis.text import counted, n_words

SHARES: Final = (0.1, 0.25, 0.5, 0.75)
"""Of all epochs, those after which the accuracy is compared with the last."""

_SPLITS: Final = 200
_DRAWS: Final = 100
_FEWEST_GROUPS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two results of the same groups.

    Args:
        what: the two, in words.
        joined: what a group is: 'class', 'topology' or 'genotype'.
        seeds: how many each side has, in words.
        same: their agreement as they are; of results of the same trainings it has the noise of
            these in common.
        across: the mean over splits of the seeds into halves, one result from one half and one
            from the other, so that no training is on both sides.
        note: why there is no agreement, or what was left out.

    """

    what: str
    joined: str
    seeds: str = ""
    same: Agreement | None = None
    across: Agreement | None = None
    note: str = ""


def balanced(table: pd.DataFrame) -> pd.DataFrame:
    """Return the larger of two parts of a table that misses nothing: of all groups or all seeds.

    Args:
        table: a row a seed, a column a group, NaN where nothing was trained.

    """
    return max(table.dropna(), table.dropna(axis=1), key=lambda part: part.size)


def across_halves(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    splits: int = _SPLITS,
    confidence: float = 0.95,
    seed: int = 0,
) -> Agreement | None:
    """Compare `first` on one half of the seeds with `second` on the other, over splits.

    Of an odd number of seeds the halves differ by one. All splits are taken where there are no
    more than `splits`, else so many random ones. With `first` and `second` the same this is
    what a ranking by half of the seeds can agree at all.

    Args:
        first: a row a seed, a column a group; nothing is missing.
        second: the same seeds and groups.
        splits: the most.
        confidence: of the interval.
        seed: of random splits.

    Returns:
        None where there are fewer than two seeds, or no tau.

    """
    one, other = (table.to_numpy(dtype=float) for table in (first, second))
    n = len(one)
    if n < 2:
        return None
    pairs = []
    for chosen in halves(n, most=splits, drawn=splits, seed=seed):
        pairs.append((one[chosen].mean(axis=0), other[~chosen].mean(axis=0)))
        if n % 2:  # of an even number the other direction is among the splits
            pairs.append((one[~chosen].mean(axis=0), other[chosen].mean(axis=0)))
    return mean_agreement(pairs, confidence=confidence)


def of_halves(design: Design, *, confidence: float = 0.95) -> Comparison:
    """Compare half of the seeds with the other half: how far a ranking agrees with itself."""
    table = balanced(design.table)
    what, seeds = "half of the seeds against the other half", len(table)
    if seeds < 2:
        note = "it takes two seeds that the groups share"
        return Comparison(what=what, joined=design.unit, note=note)
    left_out = design.table.size - table.size
    return Comparison(
        what=what,
        joined=design.unit,
        seeds=f"n = {seeds // 2} against {seeds - seeds // 2}",
        across=across_halves(table, table, confidence=confidence),
        note=_left_out(design.table, table) if left_out else "",
    )


def of_members(
    design: Design, *, draws: int = _DRAWS, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare members of a class with each other: two of each class, the mean over random draws.

    They are the same experiment, so this is the agreement of a ranking with its own repetition.
    """
    what = "one member of a class against another"
    classes = design.groups["class_id"].loc[design.runs["group"]].to_numpy()
    runs = design.runs.assign(class_id=pd.array(classes, dtype="Int64")).dropna(subset="class_id")
    table = runs.pivot_table(index="seed", columns="member", values="accuracy")
    class_of = runs.drop_duplicates("member").set_index("member")["class_id"]
    means = adjusted_means(table)
    several = [
        group.to_numpy() for _, group in means.groupby(class_of.loc[means.index]) if len(group) > 1
    ]
    if len(several) < _FEWEST_GROUPS:
        return Comparison(what=what, joined="class", note="no two classes have several members")
    random = np.random.default_rng(seed)
    drawn = [
        np.transpose([random.choice(members, 2, replace=False) for members in several])
        for _ in range(draws)
    ]
    return Comparison(
        what=what,
        joined="class",
        seeds=n_words(runs.groupby("member")["seed"].nunique()),
        across=mean_agreement(drawn, confidence=confidence),
    )


def of_epochs(
    design: Design, trials: pd.DataFrame, curves: pd.DataFrame, *, confidence: float = 0.95
) -> list[Comparison]:
    """Compare accuracies after some of the epochs with those after the last.

    A training that had diverged by then counts as in `design_of`.

    Args:
        design: of these trials.
        trials: one row a trial.
        curves: of the same trainings, with the columns `trial_id`, `epoch` (from 0) and that of
            the design's metric.
        confidence: of the intervals.

    """
    column = f"{design.metric}_accuracy"
    ended = trials[trials["status"] == "ok"]
    measured = curves[curves[column].notna() & curves["trial_id"].isin(ended["trial_id"])]
    counts = measured.groupby("epoch")["trial_id"].nunique()
    everywhere = counts.index[counts == len(ended)].to_numpy()
    total = int(curves["epoch"].max()) + 1 if len(curves) else 0
    earlier = everywhere[everywhere < total - 1]
    if not len(earlier):
        note = "no epoch before the last was measured in all trainings"
        return [Comparison(what="few epochs against all", joined=design.unit, note=note)]
    wanted = [round(share * total) - 1 for share in SHARES]
    chosen = sorted({int(earlier[np.abs(earlier - epoch).argmin()]) for epoch in wanted})
    comparisons = []
    for epoch in chosen:
        then = curves[curves["epoch"] == epoch].set_index("trial_id")[column]
        at = trials.assign(**{column: trials["trial_id"].map(then)})
        early = design_of(at, by=design.by, metric=design.metric)
        what = f"after {epoch + 1} of {total} epochs against all"
        comparisons.append(_of_same_trainings(what, early, design, confidence))
    return comparisons


def of_images(design: Design, trials: pd.DataFrame, *, confidence: float = 0.95) -> Comparison:
    """Compare accuracies on the validation images with those on the test images."""
    metric = "test" if design.metric == "val" else "val"
    what = f"{METRICS['val']} against {METRICS['test']}"
    results = trials[trials["status"] == "ok"]
    if results[f"{metric}_accuracy"].isna().any():
        held_out = bool((trials["holdout"] > 0).all())
        why = f"not all trainings have {METRICS[metric]}" if held_out else "no images were held out"
        return Comparison(what=what, joined=design.unit, note=why)
    other = design_of(trials, by=design.by, metric=metric)
    return _of_same_trainings(what, design, other, confidence)


def of_sweeps(first: Design, second: Design, what: str, *, confidence: float = 0.95) -> Comparison:
    """Compare two sweeps by what they have in common.

    That is classes where both are by class, else genotypes, and where they share fewer than two
    the classes of their normal wirings, over which means are taken.
    """
    joined, sides = _in_common(first, second)
    if joined is None:
        return Comparison(what=what, joined="class", note="they have no two groups in common")
    seeds = f"{first.seed_words} against {second.seed_words}"
    compared = agreement(*sides, confidence=confidence)
    left_out = max(map(len, sides)) - (0 if compared is None else compared.n)
    note = f"{left_out} of {max(map(len, sides))} have no partner" if left_out else ""
    return Comparison(what=what, joined=joined, seeds=seeds, same=compared, note=note)


def _left_out(whole: pd.DataFrame, part: pd.DataFrame) -> str:
    """Return which seeds or groups a balanced part has not."""
    seeds, groups = (a - b for a, b in zip(whole.shape, part.shape, strict=True))
    what = counted(seeds, "seed") if seeds else counted(groups, "group")
    return f"{what} with missing trainings left out"


def _of_same_trainings(what: str, first: Design, second: Design, confidence: float) -> Comparison:
    whole = second.table
    table = balanced(whole)
    part = first.table.loc[table.index, table.columns]
    return Comparison(
        what=what,
        joined=first.unit,
        seeds=first.seed_words,
        same=agreement(first.means, second.means, confidence=confidence),
        across=across_halves(part, table, confidence=confidence),
        note=_left_out(whole, table) if table.size < whole.size and len(table) > 1 else "",
    )


def _in_common(
    first: Design, second: Design
) -> tuple[str | None, tuple[pd.Series[float], pd.Series[float]]]:
    means = [design.means for design in (first, second)]
    keys: list[tuple[str, list[pd.Index[Any]]]] = []
    both_by_class = first.by == second.by == "class"
    if not both_by_class:
        named = [pd.Index(design.groups["genotype"]) for design in (first, second)]
        keys.append((first.unit, named))
    keys.append(("class", [_classes(design) for design in (first, second)]))
    for joined, names in keys:
        sides = [
            mean.set_axis(name).groupby(level=0).mean()
            for mean, name in zip(means, names, strict=True)
        ]
        if len(sides[0].index.intersection(sides[1].index)) >= _FEWEST_GROUPS:
            return joined, (sides[0], sides[1])
    return None, (means[0], means[1])


def _classes(design: Design) -> pd.Index[Any]:
    """Return the class of each group's normal wiring, and how many nodes it has."""
    wirings = [Genotype.from_string(text).normal.topology for text in design.groups["genotype"]]
    return pd.Index([f"{wiring.class_id} of {wiring.nodes} nodes" for wiring in wirings])
