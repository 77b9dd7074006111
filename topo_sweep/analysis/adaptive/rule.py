"""Who gets the next seed: a race of groups that ends when the best are told from the rest.

All groups begin with the same few seeds. Then a round gives one more to each group of a doubtful
pair: one of the `top` highest means against one of the others, where the other may still be better
by more than the delta. The race ends when no pair is doubtful. Nobody is thrown out for good: the
top is taken anew each round, and a pair that becomes doubtful again goes on.

Why a race, and not OCBA or a knowledge gradient: those spend a budget well, but what they select
comes without a statement. To stop when the doubtful pairs are none is the rule of LUCB
(Kalyanakrishnan, Tewari, Auer and Stone 2012); to give a seed to all of them at once, as successive
elimination does (Even-Dar, Mannor and Mansour 2006), makes rounds that fill packs and clusters.

Why its statement holds. Let T be the truly best `top` groups. If a group outside the chosen were
better than a chosen one by more than the delta, then so would be one of T outside the chosen than a
chosen one outside T, since as many of T are missing as strangers are in. So only the
top x (groups - top) pairs across T count, whichever T is. Each has the error rate
(1 - confidence) / that number, and its interval holds at all times at once (`anytime.py`), so that
looking after every round costs nothing more. Groups take the seeds in one order, so a pair is
compared on the seeds that both have. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from topo_sweep.analysis.accuracy import Floats, accuracies, chosen_metric
from topo_sweep.analysis.statistics.additive import additive
from topo_sweep.analysis.statistics.anytime import anytime_pairs
from topo_sweep.spec.adaptive import Adaptive
from topo_sweep.spec.networks import TopologySweep

Run = tuple[int, int]
"""A group's number and a seed."""

Ending = Literal["", "told apart", "budget", "too few"]
"""Why a race ended; '' is that it goes on."""

MOST_FAILED: Final = 2
"""Seeds that may fail before a group is out of the race."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Standing:
    """What the results so far say of the groups that race.

    Args:
        top: the groups of highest mean, best first.
        means: of each group without what its seeds add to all; NaN where it is out.
        doubtful: pairs of a group outside the top and one of it, of which the former may be better
            by more than the delta; an array (pairs, 2).
        doubt: of each group by how much more at most, over its pairs; a fraction, 0 where none is
            doubtful, and infinite where nothing is known.
        reach: no group outside the top is better than one of it by more; a fraction, or infinite.

    """

    top: tuple[int, ...]
    means: Floats
    doubtful: NDArray[np.int_]
    doubt: Floats
    reach: float

    @property
    def still_racing(self) -> int:
        """How many groups are in a doubtful pair."""
        return int((self.doubt > 0).sum())


def standing(table: Floats, settings: Adaptive, *, out: Collection[int] = ()) -> Standing:
    """Return what the results say.

    Args:
        table: accuracies, a row a seed and a column a group; NaN where there is no result. Every
            group that is not out has one.
        settings: how many are wanted, and how surely.
        out: groups that race no more; there must be more others than are wanted.

    """
    table, count = table[~np.isnan(table).all(axis=1)], table.shape[1]
    groups = np.array([group for group in range(count) if group not in out])
    means = np.full(count, np.nan)
    means[groups] = additive(table[:, groups]).means
    ordered = groups[np.lexsort((groups, -means[groups]))]
    top, rest = ordered[: settings.top], ordered[settings.top :]
    alpha = (1 - settings.confidence) / (settings.top * (count - settings.top))
    pairs = anytime_pairs(table, alpha=alpha)
    across = np.ix_(rest, top)
    upper = pairs.difference[across] + pairs.half_width[across]
    excess = np.maximum(upper - settings.delta, 0.0)
    doubt = np.zeros(count)
    doubt[rest], doubt[top] = excess.max(axis=1), excess.max(axis=0)
    others, chosen = np.nonzero(excess)
    return Standing(
        top=tuple(map(int, top)),
        means=means,
        doubtful=np.column_stack([rest[others], top[chosen]]),
        doubt=doubt,
        reach=float(upper.max()),
    )


def next_groups(now: Standing, seeds: NDArray[np.int_], *, batch: int = 1) -> list[int]:
    """Return the groups of the next round, most doubtful first; several times for several seeds.

    Of a doubtful pair the group with fewer seeds goes on, or both where they have as many: only
    seeds that both have tell more of it.

    Args:
        now: what the results say.
        seeds: how many each group was given.
        batch: how many runs a round has at least, if that at most doubles a group's seeds.

    """
    other, chosen = now.doubtful.T
    behind = np.zeros(len(seeds), bool)
    behind[other[seeds[other] <= seeds[chosen]]] = True
    behind[chosen[seeds[chosen] <= seeds[other]]] = True
    groups = np.flatnonzero(behind)
    groups = groups[np.lexsort((groups, -now.doubt[groups]))]
    most = int(seeds[groups].min()) if len(groups) else 1
    each = min(max(batch // max(len(groups), 1), 1), most)
    return [int(group) for _ in range(each) for group in groups]


@dataclass(frozen=True, eq=False, kw_only=True)
class Race:
    """How far a race is, and what it asks for.

    Args:
        wanted: the runs of this round that are still to do, most telling first; none where the race
            has ended.
        ended: 'told apart' (its statement holds), 'budget' (it is spent), 'too few' (so many groups
            failed that no more are left than are wanted), or '' while it goes on.
        round: the number of this round, from 1; of the last one, where the race has ended.
        given: of each group its seeds, in order: those that ended and those that are wanted.
        results: of each group how many results it has.
        out: the groups that failed too often to race on.
        standing: what the results so far say; None before all first seeds are there.

    """

    wanted: tuple[Run, ...]
    ended: Ending
    round: int
    given: tuple[tuple[int, ...], ...]
    results: tuple[int, ...]
    out: frozenset[int]
    standing: Standing | None

    @property
    def spent(self) -> int:
        """How many results it took so far, of all groups together."""
        return sum(self.results)


def race(
    table: pd.DataFrame,
    settings: Adaptive,
    *,
    seeds: Sequence[int],
    failed: Collection[Run] = (),
    budget: int | None = None,
) -> Race:
    """Return how far a race is, from its results alone.

    The race is run again from its start: a round is decided only when all results of those before
    are there, and from these alone. So it comes to the same decisions whether it was stopped or
    not, and in whichever order results arrived.

    Args:
        table: accuracies (fractions), a row a seed and a column each group, numbered from 0; NaN
            where there is no result. What no round asked for is not looked at.
        settings: how many are wanted, how surely, and in which batches.
        seeds: two or more that every group begins with; those above the largest follow.
        failed: runs that gave no result and are not asked for again. A group is out with
            `MOST_FAILED` of them.
        budget: results that the whole race may have; None is no limit.

    """
    first = sorted(seeds)
    # A seed is reached only through all before it, and a round at most doubles what a group has.
    later = {*map(int, table.index), *(seed for _, seed in failed)}.difference(range(first[-1] + 1))
    most = 2 * (len(first) + len(later))
    order = np.array([*first, *range(first[-1] + 1, first[-1] + 1 + most)])
    groups, rows = table.shape[1], np.arange(len(order))[:, None]
    values = table.reindex(index=order, columns=range(groups)).to_numpy(dtype=float)
    lost = np.zeros(values.shape, bool)
    for group, seed in failed:
        lost[order == seed, group] = True
    decided = [group for _ in first for group in range(groups)]
    counts, number = np.full(groups, len(first)), 1
    while True:
        is_given = rows < counts
        results = np.where(is_given, values, np.nan)
        spent = int((~np.isnan(results)).sum())
        failures = (is_given & lost).sum(axis=0)
        out = frozenset(np.flatnonzero(failures >= MOST_FAILED).tolist())
        missing = _missing(decided, counts, np.isnan(values) & ~lost, out)
        now: Standing | None = None
        ended: Ending = "too few" if groups - len(out) <= settings.top else ""
        if not ended and (number > 1 or not missing):
            now = standing(results, settings, out=out)
            if not missing and not len(now.doubtful):
                ended = "told apart"
        if missing and not ended and budget is not None and spent >= budget:
            ended = "budget"
        if missing or ended or now is None:
            break
        decided = next_groups(now, counts, batch=settings.batch)
        counts = counts + np.bincount(decided, minlength=groups)
        number += 1
    if ended == "budget" and len(missing) == len(decided):
        number -= 1  # nothing of it was run
    left = 0 if ended else len(missing) if budget is None else budget - spent
    wanted = tuple((group, int(order[row])) for group, row in missing[:left])
    has_ended = is_given & (~np.isnan(values) | lost)
    given = [order[has_ended[:, group]].tolist() for group in range(groups)]
    for group, seed in wanted:
        given[group].append(seed)
    return Race(
        wanted=wanted,
        ended=ended,
        round=number,
        given=tuple(tuple(sorted(seeds)) for seeds in given),
        results=tuple((~np.isnan(results)).sum(axis=0).tolist()),
        out=out,
        standing=now,
    )


def race_of(
    spec: TopologySweep,
    trials: pd.DataFrame,
    *,
    budget: int | None = None,
    retry_failed: bool = False,
) -> Race:
    """Return how far the race of an adaptive sweep is, from the rows of its store.

    Args:
        spec: the request, with its `adaptive` settings; see `TopologySweep.racing`.
        trials: one row a trial.
        budget: as in `race`.
        retry_failed: whether failed runs are asked for again.

    """
    genotypes = [str(genotype) for genotype in spec.genotype_list()]
    metric = chosen_metric(None, holdout=spec.data.holdout)
    table, failed = race_table(trials, genotypes, metric)
    return race(
        table,
        spec.adaptive or Adaptive(),
        seeds=spec.seeds,
        failed=() if retry_failed else failed,
        budget=budget,
    )


def _missing(
    decided: Sequence[int],
    counts: NDArray[np.int_],
    absent: NDArray[np.bool_],
    out: Collection[int],
) -> list[tuple[int, int]]:
    """Return group and row of what a round decided and is not there, in the order of decisions.

    `counts` are those with this round.
    """
    rows = counts - np.bincount(decided, minlength=len(counts))
    missing = []
    for group in decided:
        row = int(rows[group])
        rows[group] += 1
        if group not in out and absent[row, group]:
            missing.append((group, row))
    return missing


def race_table(
    trials: pd.DataFrame, genotypes: Sequence[str], metric: str
) -> tuple[pd.DataFrame, frozenset[Run]]:
    """Return the results of a race from rows of a store, and which runs failed.

    A diverged run counts as the worst of its seed that ended ok: with its own accuracy, about
    chance, one of them would outweigh all other differences.

    Args:
        trials: one row a trial; of other genotypes they are left out.
        genotypes: those that race, in the order of the groups.
        metric: 'val' or 'test'.

    Returns:
        Accuracies, a row a seed and a column a group; and of each failed run group and seed.

    """
    groups = {genotype: group for group, genotype in enumerate(genotypes)}
    rows = trials[trials["genotype"].isin(groups)]
    rows = rows.assign(group=rows["genotype"].map(groups))
    failures = rows[rows["status"] == "failed"]
    failed = frozenset(zip(failures["group"].tolist(), failures["seed"].tolist(), strict=True))
    rows = rows[rows["status"] != "failed"]
    rows = rows.assign(value=accuracies(rows, metric))
    worst = rows[rows["status"] == "ok"].groupby("seed")["value"].min()
    floor = rows["seed"].map(worst).fillna(-np.inf)
    is_lost = rows["status"] == "diverged"
    rows = rows.assign(value=rows["value"].where(~is_lost, np.maximum(rows["value"], floor)))
    table = rows.pivot_table(index="seed", columns="group", values="value")
    return table.reindex(columns=range(len(genotypes))), failed
