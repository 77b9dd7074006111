"""Statistics on a sweep's trials: means over seeds, 95% intervals, ranks and their table.

Pure: a DataFrame as a store gives it goes in, plain data or text comes out. Accuracies are
fractions 0..1 everywhere but in printed text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from nas_core.cells.genotype import Genotype, known_name
from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import (
    FRACTION,
    ROUNDING,
    equal_seeds_caution,
    summary,
    t_interval,
)
from topo_sweep.analysis.comparable import operation_words
from topo_sweep.analysis.design import Design, design_of, diverged_runs
from topo_sweep.analysis.inference.best import PLACES, places
from topo_sweep.analysis.inference.naming import rank_words, yes_no
from topo_sweep.analysis.inference.noise import members
from topo_sweep.analysis.inference.shrinkage import shrunken_means
from topo_sweep.analysis.statistics.additive import apart
from topo_sweep.analysis.statistics.anytime import anytime_interval
from topo_sweep.analysis.text import (
    GIVEN,
    NO_INTERVAL,
    aligned,
    counted,
    interval_words,
    n_words,
    points,
    single_seed_caution,
)
from topo_sweep.spec.trials import network_name

COLUMNS: Final = (
    "rank", *PLACES, "genotype", "topology", "class_id", "n", "runs",
    "mean", "adjusted_mean", "shrunk_mean", "sd", "ci_low", "ci_high", "diverged",
)  # fmt: skip
"""The columns of a ranking's table: `n` counts seeds, `runs` trainings, `diverged` those of them
that diverged. `adjusted_mean` is the mean as if all had the same seeds, and decides the rank; with
the same seeds it is the mean. `rank_low`, `rank_high` and `in_best_set` are as
`inference.best.places` gives them, `shrunk_mean` as `inference.shrinkage.shrunken_means`. These and
`sd` (ddof 1) and `ci_*` are missing where n = 1, `ci_*` also where all accuracies are equal."""

_INTERVALS: Final = f"Intervals are 95% t intervals over training seeds, {GIVEN}."
_ANYTIME: Final = (
    "Seeds went where they told most (an adaptive sweep), so intervals are 95% anytime-valid ones "
    f"over training seeds, {GIVEN}; the order was chosen by these accuracies, which flatter it."
)
_PLACES: Final = (
    "With 95% confidence the best is among the {best} of {judged} in the best set, and so all "
    "true ranks lie in their intervals; shrunken means leave out the luck of seeds."
)
_ADJUSTED: Final = (
    "Seeds differ, so the order is that of adjusted means: as if each {} had all of them."
)
_POOLED: Final = "Pooled by class; --by topology for each topology."


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranking:
    """Networks of one protocol, data set and phase, best first.

    Args:
        table: one row a group with the columns `COLUMNS`, sorted by rank.
        design: what was measured, and which accuracy counts.
        min_seeds: groups with fewer seeds were left out.
        left_out: how many those are.
        adaptive: whether results decided who got more seeds, so that intervals hold at any time.

    """

    table: pd.DataFrame
    design: Design
    min_seeds: int
    left_out: int
    adaptive: bool = False

    @property
    def metric_name(self) -> str:
        """The metric in words."""
        return self.design.metric_name

    @property
    def is_adjusted(self) -> bool:
        """Whether any group's mean is another than as if it had the seeds of all."""
        return bool(((self.table["mean"] - self.table["adjusted_mean"]).abs() > ROUNDING).any())

    @property
    def seeds(self) -> str:
        """How many seeds the groups have: 'n = 3' or 'n = 2 to 5'."""
        return n_words(self.table["n"])

    @property
    def header(self) -> str:
        """What a reader of the numbers must know, in one line."""
        groups = counted(len(self.table), self.design.unit)
        opening = f"{self.metric_name.capitalize()} of {groups}, means over seeds ({self.seeds})"
        setting = [f"data {self.design.data}", f"protocol {self.design.protocol_hash}"]
        setting += [self.design.phase] if self.design.phase else []
        pooled = [_POOLED] if self.design.by == "class" else []
        return " ".join([f"{opening}; {'; '.join(setting)}.", *pooled, *self._cautions()])

    def _cautions(self) -> list[str]:
        """Say what the numbers cannot tell, and what is left out."""
        n = self.table["n"]
        intervals = _ANYTIME if self.adaptive else _INTERVALS
        sentences = [intervals] if (n > 1).any() else []
        sentences += [_ADJUSTED.format(self.design.unit)] if self.is_adjusted else []
        if strangers := len(apart(self.design.table)):
            groups = counted(strangers, self.design.unit)
            sentences.append(f"{groups} of other seeds than the rest: not comparable with it.")
        if judged := int(self.table["in_best_set"].notna().sum()):
            best = int(self.table["in_best_set"].sum())
            sentences.append(_PLACES.format(best=best, judged=judged))
        sentences += single_seed_caution(n, **NO_INTERVAL) + equal_seeds_caution(self.table)
        if diverged := int(self.table["diverged"].sum()):
            trials = counted(diverged, "diverged trial")
            sentences.append(f"{trials} counted, with the last accuracy.")
        if self.left_out:
            groups = counted(self.left_out, self.design.unit)
            sentences.append(f"{groups} with fewer than {self.min_seeds} seeds left out.")
        if self.design.failed:
            sentences.append(f"{counted(self.design.failed, 'failed trial')} left out.")
        return sentences


def rank(
    trials: pd.DataFrame,
    *,
    by: str | None = None,
    metric: str | None = None,
    min_seeds: int = 1,
    adaptive: bool = False,
) -> Ranking:
    """Rank networks by their mean accuracy over seeds, as if all had the same seeds.

    Accuracies of one seed are averaged first (members of a class, evaluations of a search), so
    that the seed is the unit: means, standard deviations (ddof 1) and 95% Student t intervals
    are over those averages and `n` counts seeds. What decides is the adjusted mean, of a fit of
    groups and seeds, so that none wins by lacking a bad seed; where all have the same seeds it is
    the mean. Equal ones share a rank, and the next rank counts all before it (1, 2, 2, 4).
    Intervals are of the mean of a group's own seeds, cut at 0 and 1, which no mean can leave; equal
    accuracies have none, for they do not show that there is no spread.

    A diverged trial counts with the accuracy that its diverged network had, about chance level;
    where its row has none it counts as 0, so that a missing number cannot flatter. Failed trials
    have no result: they are left out and counted.

    Args:
        trials: one row a trial, as `topo_sweep.load_results` gives them.
        by: 'topology' (each canonical genotype by itself) or 'class' (members pooled); None is by
            class in a sweep of topologies, else by topology.
        metric: 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.
        min_seeds: groups with fewer seeds are left out and counted.
        adaptive: whether results decided who got more seeds, as in an adaptive sweep: then
            intervals are those of `anytime_interval`, since ordinary ones miss too often.

    Returns:
        The `Ranking`: its `table` has one row a network or class and the columns `COLUMNS`,
        accuracies as fractions 0..1; its `header` says in words what the numbers are of.

    Raises:
        InputError: nothing to rank, or trials of several protocols, data sets or phases (named),
            or a metric or pooling that these trials do not allow.

    >>> from topo_sweep import load_results
    >>> ranking = rank(load_results("results/studies/subspaces-digits"))
    >>> len(ranking.table), ranking.metric_name, ranking.seeds
    (160, 'last-epoch test accuracy', 'n = 1')
    >>> ranking.table["rank"].head(4).tolist(), ranking.table["mean"].head(4).round(4).tolist()
    ([1, 2, 2, 4], [0.95, 0.9472, 0.9472, 0.9417])

    """
    if min_seeds < 1:
        raise InputError(f"--min-seeds is 1 or more, got {min_seeds}")
    design = design_of(trials, by=by, metric=metric)
    groups = _grouped(design, adaptive=adaptive)
    kept = groups[groups["n"] >= min_seeds]
    if kept.empty:
        most = groups["n"].max()
        raise InputError(
            f"none of {counted(len(groups), design.unit)} has {min_seeds} seeds: use --min-seeds "
            f"{most}, or run more seeds"
        )
    return Ranking(
        table=_ranked(kept.join(_judged(design, kept.index, adaptive=adaptive))),
        design=design,
        min_seeds=min_seeds,
        left_out=len(groups) - len(kept),
        adaptive=adaptive,
    )


def to_records(ranking: Ranking, top: int | None = None) -> list[dict[str, Any]]:
    """Return the first `top` rows as plain Python values, NaN as None.

    Each also names its cell, both wirings, metric, protocol and data, so that it can stand alone.
    """
    records = []
    for record in _top(ranking, top).to_dict("records"):
        genotype = Genotype.from_string(record["genotype"])
        about = {
            "name": network_name(genotype),
            "wiring": genotype.normal.topology.index,
            "reduction_wiring": genotype.reduction.topology.index,
            "metric": ranking.design.metric,
            "protocol_hash": ranking.design.protocol_hash,
            "data": ranking.design.data,
        }
        numbers = {str(key): None if pd.isna(value) else value for key, value in record.items()}
        records.append(numbers | about)
    return records


def format_table(ranking: Ranking, top: int | None = None) -> str:
    """Return the header and the first `top` rows for people; accuracies in percent."""
    best = _top(ranking, top)
    texts = best.astype(str)
    columns = {
        "rank": texts["rank"],
        **_names(ranking, best),
        "n": texts["n"],
        "runs": texts["runs"],
        "mean %": list(map(points, best["mean"])),
        "adjusted": list(map(points, best["adjusted_mean"])),
        "shrunken": list(map(points, best["shrunk_mean"])),
        "SD": list(map(points, best["sd"])),
        "95% interval": list(map(interval_words, best["ci_low"], best["ci_high"])),
        "ranks": list(map(rank_words, best["rank_low"], best["rank_high"])),
        "best set": list(map(yes_no, best["in_best_set"])),
        "diverged": texts["diverged"],
    }
    for column, name in (("shrunk_mean", "shrunken"), ("rank_low", "ranks")):
        if ranking.table[column].isna().all():
            del columns[name]
    if ranking.table["in_best_set"].isna().all():
        del columns["best set"]
    if not ranking.is_adjusted:
        del columns["adjusted"]
    if (ranking.table["runs"] == ranking.table["n"]).all():
        del columns["runs"]
    if not ranking.table["diverged"].any():
        del columns["diverged"]
    rows = [tuple(columns), *zip(*columns.values(), strict=True)]
    left = [number for number, name in enumerate(columns) if name in {"genotype", "wiring"}]
    lines = [ranking.header, *aligned(rows, left=left)]
    if more := len(ranking.table) - len(best):
        lines.append(f"({more} more: --top {len(ranking.table)})")
    return "\n".join(lines)


def _grouped(design: Design, *, adaptive: bool) -> pd.DataFrame:
    """Return a row a group, unranked, shown by its smallest topology."""
    interval = anytime_interval if adaptive else t_interval
    means = summary(design.points, ("group",), within=FRACTION, interval=interval)
    means = means.set_index("group").assign(adjusted_mean=design.means)
    return means.join(diverged_runs(design.runs, "group")).join(design.groups)


def _judged(design: Design, groups: pd.Index[int], *, adaptive: bool) -> pd.DataFrame:
    """Return which places groups may have among each other, and their shrunken means.

    Of an adaptive sweep all are missing, as with one seed: they allow for no look before the last.
    """
    table, size = design.table[groups].iloc[: 1 if adaptive else None], members(design)
    drawn = shrunken_means(table, members=size)
    means = pd.Series(np.nan, groups) if drawn is None else drawn.table["shrunk"]
    return places(table, members=size).assign(shrunk_mean=means)


def _ranked(groups: pd.DataFrame) -> pd.DataFrame:
    """Add competition ranks; inside a tie the smallest topology comes first."""
    ordered = groups.sort_values("adjusted_mean", ascending=False)
    means = ordered["adjusted_mean"].to_numpy()
    starts = np.append(True, -np.diff(means) > ROUNDING)[: len(means)]
    ranks = np.maximum.accumulate(np.where(starts, np.arange(1, len(means) + 1), 0))
    ranked = ordered.assign(rank=ranks).sort_values(["rank", "topology", "genotype"])
    return ranked[list(COLUMNS)].reset_index(drop=True)


def _names(ranking: Ranking, rows: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns that say which network a row is; genotypes are too long to print."""
    genotypes = [Genotype.from_string(text) for text in rows["genotype"]]
    wirings = [str(genotype.normal.topology) for genotype in genotypes]
    if ranking.design.unit == "genotype":
        names = [
            known_name(genotype) or f"normal {operation_words(genotype.normal)}"
            for genotype in genotypes
        ]
        return {"genotype": names, "wiring": wirings}
    topologies, classes = (list(map(str, rows[name])) for name in ("topology", "class_id"))
    if ranking.design.unit == "class":
        return {"class": classes, "topology": topologies, "wiring": wirings}
    return {"topology": topologies, "class": classes, "wiring": wirings}


def _top(ranking: Ranking, top: int | None) -> pd.DataFrame:
    return ranking.table if top is None else ranking.table.head(top)
