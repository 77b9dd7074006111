"""How sure a choice is: what may be no better than what was left out, and what may be the best."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

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
