"""How sure a choice is: what may be no better than what was left out, and what may be the best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from nas_core.cells.genotype import Genotype
from topo_sweep.analysis.accuracy import (
    FRACTION,
    accuracies,
    estimate,
    per_seed,
    summary,
    t_interval,
)
from topo_sweep.analysis.inference.naming import listed
from topo_sweep.analysis.inference.noise import members
from topo_sweep.analysis.inference.pairs import all_pairs
from topo_sweep.analysis.ranking import Ranking
from topo_sweep.analysis.statistics.agreement import MOST_PAIRED
from topo_sweep.analysis.statistics.anytime import anytime_interval
from topo_sweep.analysis.text import counted
from topo_sweep.spec.trials import network_name


def sureness(ranking: Ranking, chosen: Iterable[str]) -> list[str]:
    """Say which of the chosen may be no better than the first left out, and how many the best.

    Args:
        ranking: by class or by topology.
        chosen: genotypes of the ranking.

    Returns:
        Sentences; none where seeds are too few to say anything.

    """
    return [*_beside_left_out(ranking, set(chosen)), *_best_set(ranking)]


def margin(trials: pd.DataFrame, metric: str, order: Sequence[str]) -> str:
    """Say how far the best is ahead of the second, with an interval over common seeds.

    Args:
        trials: one row a training.
        metric: 'val' or 'test'.
        order: genotypes of what was ranked, best first.

    """
    if len(order) < 2:
        return "there is one topology, so nothing was chosen"
    points = _points(trials, metric).set_index("seed")
    first, second = (points.loc[points["genotype"] == each, "value"] for each in order[:2])
    best, next_best = (network_name(Genotype.from_string(each)) for each in order[:2])
    if best == next_best:
        best, next_best = "the best", "the second"
    ahead = estimate(100 * (first - second).dropna())
    if ahead is None:
        return f"{best} and {next_best} share no seed, so neither is known to be better"
    where = "ahead of" if ahead.mean >= 0 else "first by adjusted means, though behind"
    opening = f"{best} is {where} {next_best} by {abs(ahead.mean):.2f} points"
    if ahead.low is None:
        where = "on one seed" if ahead.n == 1 else f"on each of {ahead.n} common seeds"
        return f"{opening} {where}: without an interval that is no evidence"
    assert ahead.high is not None  # noqa: S101 - an interval has two ends
    low, high = (ahead.low, ahead.high) if ahead.mean >= 0 else (-ahead.high, -ahead.low)
    sure = "clear of zero" if low > 0 else "not clear of zero"
    return (
        f"{opening}, 95% interval {low:.2f} to {high:.2f} over {ahead.n} common seeds: "
        f"{sure}, and the best of {len(order)} looks better than it is"
    )


def surely_above(
    trials: pd.DataFrame, metric: str, genotypes: Iterable[str], accuracy: float, *, adaptive: bool
) -> str:
    """Say which networks are above an accuracy by their intervals, and not by their means alone.

    Args:
        trials: one row a training.
        metric: 'val' or 'test'.
        genotypes: the networks whose means are above.
        accuracy: a fraction.
        adaptive: whether results decided who got more seeds; then intervals hold at any time.

    """
    interval = anytime_interval if adaptive else t_interval
    means = summary(_points(trials, metric), ["genotype"])
    chosen = means[means["genotype"].isin(list(genotypes))]
    # All that might have been chosen count, one-sided, so that none seems above by chance.
    confidence = 1 - 2 * 0.05 / len(means)
    low, _ = interval(
        chosen["mean"], chosen["sd"], chosen["n"], within=FRACTION, confidence=confidence
    )
    are = f"{int((low > accuracy).sum())} of {counted(len(chosen), 'network')}"
    return f"surely above {accuracy:.2%}, allowing for all {len(means)} that were measured: {are}"


def _points(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return `genotype`, `seed` and `value` of what has a result."""
    ended = trials[trials["status"] != "failed"]
    return per_seed(ended.assign(accuracy=accuracies(ended, metric)), ["genotype"], "accuracy")


def _beside_left_out(ranking: Ranking, chosen: set[str]) -> list[str]:
    """Compare with the first left out, at the level at which all pairs are compared."""
    design, table = ranking.design, ranking.table
    taken = table["genotype"].isin(chosen).to_numpy()
    if taken.all() or (table["n"] < 2).all() or len(table) > MOST_PAIRED:
        return []
    group = pd.Series(design.groups.index, design.groups["genotype"])
    order = group[table["genotype"]].to_numpy()
    left = int(order[~taken][0])
    pairs = all_pairs(design.table[order], members=members(design))
    worse = (pairs.table["second"] == left) & (pairs.sure() > 0)
    surely_better = set(pairs.table.loc[worse, "first"])
    unsure = [int(number) for number in order[taken] if number not in surely_better]
    count, name = int(taken.sum()), design.name_of(left)
    if not unsure:
        return [f"each of the {count} chosen is surely better than the first left out, {name}"]
    may = (
        f"of the {count} chosen {len(unsure)} may be no better than the first left out, {name} "
        f"(paired by seed): {listed(design, unsure)}"
    )
    return [may]


def _best_set(ranking: Ranking) -> list[str]:
    """Say how many of what was ranked may be the best."""
    judged = ranking.table["in_best_set"].dropna()
    if len(judged) < 2:
        return []
    of = counted(len(judged), ranking.design.unit)
    return [f"the best of {of} is among {int(judged.sum())} of them with 95% confidence"]
