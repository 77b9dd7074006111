"""Section IV-C of the paper: searches in SS1 with networks of 5 to 20 cells, beside ours."""

from __future__ import annotations

from typing import Final

from topo_sweep.analysis.accuracy import PERCENT, estimate
from topo_sweep.paper import figure_2
from topo_sweep.paper.claims import HOW_TO_READ, Contrast, by_seed, claim_entries
from topo_sweep.paper.differences import described
from topo_sweep.paper.evidence import DATA, Evaluated, Evidence, groups
from topo_sweep.paper.published import printed
from topo_sweep.paper.records import ComparedTable, entry

SPACE: Final = "SS1"

DEPTHS: Final = (5, 10, 16, 20)
"""Cells of the search network at which the paper searched in SS1, ten times each."""

_SIMILAR: Final = (
    "The paper calls the cells of 16 and 20 similar and prints no threshold for it, so 20 - 16 is "
    "reported and not judged. Nor does it print an accuracy by depth."
)


def better_than_shallow() -> list[Contrast]:
    """Return the half of the claim that is judged: 16 and 20 cells are better than 5."""
    return [_deeper(16, 5), _deeper(20, 5)]


def depth(evidence: Evidence) -> list[ComparedTable]:
    """Compare depths and test the claim; searches that differ in nothing but their depth a time.

    At two depths or more, one of them not of figure 2, which has SS1 at 5 and 16 cells.
    """
    searches = evidence.searches
    in_space = (searches["space"] == SPACE) & searches["topology"].isna()
    chosen = searches[in_space & searches["cells"].isin(DEPTHS)]
    alike = {
        key: protocol.model_copy(update={"cells": DEPTHS[0]}).protocol_hash
        for key, protocol in evidence.search_protocols.items()
    }
    all_else = [alike.get(key, key) for key in chosen["protocol_hash"]]
    tables = []
    for group in groups(chosen.assign(all_else=all_else), ("method", "all_else", *DATA)):
        depths = set(group["cells"])
        if len(depths) > 1 and depths - set(figure_2.DEPTHS):
            evaluated = evidence.evaluated(group, ("all_else",))
            tables += [_depth(evidence, ours) for ours in evaluated if len(ours.counted)]
    return tables


def _depth(evidence: Evidence, ours: Evaluated) -> ComparedTable:
    setting, differs = described(
        evidence, ours.searches, ours.counted, free=("cells", "operations")
    )
    accuracy, left_out = by_seed(ours.searches)
    entries = [
        entry(
            f"test accuracy of the cells found in {SPACE}, %",
            f"{cells} cells",
            estimate(accuracy[SPACE, cells], within=PERCENT),
        )
        for cells in DEPTHS
        if (SPACE, cells) in accuracy
    ]
    similar, _, better = printed("depth", SPACE, "claim").value.partition(", ")
    entries += claim_entries(
        f"the cells of 16 and of 20: {better}", better_than_shallow(), accuracy
    )
    entries += claim_entries(similar, [_deeper(20, 16, judged=False)], accuracy)
    return ComparedTable(
        table="depth",
        title=f"Section IV-C: the depth of the search network in {SPACE}",
        setting=f"{setting}; {SPACE} with {ours.searches['pooling'].iloc[0]} pooling; "
        "n counts search seeds (paper: 10), whose evaluations are averaged",
        differs=differs,
        entries=tuple(entries),
        notes=(*ours.search_notes, *ours.trial_notes, *left_out, _SIMILAR, HOW_TO_READ),
    )


def _deeper(deep: int, shallow: int, *, judged: bool = True) -> Contrast:
    weights = {(SPACE, deep): 1.0, (SPACE, shallow): -1.0}
    return Contrast(label=f"{deep} - {shallow} cells", weights=weights, judged=judged)
