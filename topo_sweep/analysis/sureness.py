"""How sure a choice is: what may be no better than what was left out, and what may be the best."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from topo_sweep.analysis.accuracy import accuracies, estimate, per_seed
from topo_sweep.analysis.inference.naming import listed
from topo_sweep.analysis.inference.noise import members
from topo_sweep.analysis.inference.pairs import all_pairs
from topo_sweep.analysis.ranking import Ranking
from topo_sweep.analysis.statistics.agreement import MOST_PAIRED
from topo_sweep.analysis.text import counted


def sureness(ranking: Ranking, chosen: Iterable[str]) -> list[str]:
    """Say which of the chosen may be no better than the first left out, and how many the best.

    Args:
        ranking: by class or by topology.
        chosen: genotypes of the ranking.

    Returns:
        Sentences; none where seeds are too few to say anything.

    """
    return [*_beside_left_out(ranking, set(chosen)), *_best_set(ranking)]


def margin(trials: pd.DataFrame, ranking: Ranking) -> str:
    """Say how far the best is ahead of the second, with an interval over common seeds."""
    table = ranking.table
    if len(table) < 2:
        return "there is one topology, so nothing was chosen"
    trials = trials[trials["status"] != "failed"]
    trials = trials.assign(accuracy=accuracies(trials, ranking.design.metric))
    points = per_seed(trials, ("genotype",), "accuracy").set_index("seed")
    first, second = (
        points.loc[points["genotype"] == genotype, "value"]
        for genotype in table["genotype"].head(2)
    )
    best, next_best = table["topology"].head(2)
    ahead = estimate(100 * (first - second).dropna())
    if ahead is None:
        return f"topologies {best} and {next_best} share no seed, so neither is known to be better"
    opening = f"topology {best} is ahead of topology {next_best} by {ahead.mean:.2f} points"
    if ahead.low is None:
        where = "on one seed" if ahead.n == 1 else f"on each of {ahead.n} common seeds"
        return f"{opening} {where}: without an interval that is no evidence"
    sure = "clear of zero" if ahead.low > 0 else "not clear of zero"
    return (
        f"{opening}, 95% interval {ahead.low:.2f} to {ahead.high:.2f} over {ahead.n} common seeds: "
        f"{sure}, and the best of {len(table)} looks better than it is"
    )


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
