"""What operation attention changes: searches without it beside those that agree in all else.

They are paired by search seed; what the paper says of them is in `paper/ablations.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from nas_core.cells.genotype import Genotype
from topo_sweep.paper.differences import (
    known_search_protocol,
)
from topo_sweep.paper.evidence import (
    DATA,
    SETTING,
    Evidence,
    groups,
    shallow_evaluations,
)
from topo_sweep.paper.records import Entry, entry, estimate

if TYPE_CHECKING:
    from collections.abc import Hashable

_COLUMNS: Final = ("space", "operations", "cells", "topology", "reduction_topology", "images")
"""Settings that a search's row tells, besides its data."""

_UNKNOWN: Final = "unknown:"


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairing:
    """Searches along one fixed wiring, by one protocol and on the same images.

    Args:
        equal: searches with attention `none`, at least one; failed ones have no genotype.
        attended: those that found a cell with attention `once` and agree in everything else.
        note: how sure that is, or why there are none.

    """

    equal: pd.DataFrame
    attended: pd.DataFrame
    note: str


def pairings(evidence: Evidence) -> Iterator[Pairing]:
    """Yield the searches with equal attention, a pairing a protocol and data."""
    searches = evidence.searches
    fixed = searches[searches["topology"].notna()]
    if fixed.empty:
        return
    rows = fixed.assign(all_else=_all_else(evidence, fixed))
    for group in groups(rows, ("all_else", *_COLUMNS, *DATA)):
        # Protocols that are known differ in nothing now; of others there may be several.
        by_attention = group.groupby("attention")["protocol_hash"]
        torn = any(len(set(hashes)) > 1 for _, hashes in by_attention)
        once = group[(group["attention"] == "once") & group["genotype"].notna()]
        for equal in groups(group[group["attention"] == "none"], ("protocol_hash",)):
            attended = once.iloc[:0] if torn else once
            yield Pairing(equal=equal, attended=attended, note=_note(equal, attended, torn=torn))


def _all_else(evidence: Evidence, searches: pd.DataFrame) -> pd.Series[str]:
    """Return for each search a text that is equal where all settings but attention are.

    It is the hash of its protocol without attention. Where the protocol is not known, method and
    epochs must do, besides the columns that tell settings.
    """
    texts: dict[Hashable, str] = {}
    for _, rows in searches.groupby(["protocol_hash", "method"]):
        protocols = (known_search_protocol(evidence, row) for _, row in rows.iterrows())
        known = next((own for own in protocols if own is not None), None)
        text = f"{_UNKNOWN} {rows['method'].iloc[0]}, {rows['epochs'].max()} epochs"
        if known is not None:
            text = known.with_values({"attention": "none"}).protocol_hash
        texts |= dict.fromkeys(rows.index, text)
    return pd.Series(texts)


def _note(equal: pd.DataFrame, attended: pd.DataFrame, *, torn: bool) -> str:
    if torn:
        return (
            "Not paired: these searches have several protocols that are not known here, so none "
            "can be told to differ in attention alone."
        )
    if not set(equal["seed"]) & set(attended["seed"]):
        return (
            "Not paired: no search with attention once has a seed of these and agrees with them in "
            "everything else; `topo-sweep run ablation_equal --topology N` makes both."
        )
    paired = "Paired with searches that agree in everything but attention"
    if equal["all_else"].iloc[0].startswith(_UNKNOWN):
        return f"{paired}, as far as their columns tell: their protocols are not known here."
    return f"{paired}."


def attention_effect(evidence: Evidence, pairing: Pairing, trials: pd.DataFrame) -> list[Entry]:
    """Return what attention changes, search by search of the same seed; nothing without pairs.

    Args:
        evidence: holds the evaluations of `pairing.attended`.
        pairing: which searches belong together.
        trials: evaluations of `pairing.equal` by one setting; those of the others by the same
            setting are set against them.

    """
    found = pairing.equal[pairing.equal["genotype"].notna()]
    equal, attended = (own.set_index("seed")["genotype"] for own in (found, pairing.attended))
    seeds = [seed for seed in equal.index if seed in attended.index]
    if not seeds:
        return []
    cells = [[Genotype.from_string(own[seed]) for own in (equal, attended)] for seed in seeds]
    changed = [_changed_edges(*pair) for pair in cells]
    edges = len(cells[0][0].normal.edges) + len(cells[0][0].reduction.edges)
    return [
        entry(
            "shallow test accuracy, attention none - once, points",
            "paired by search seed",
            estimate(_differences(trials, shallow_evaluations(evidence, pairing.attended))),
        ),
        Entry(
            quantity="common seeds whose genotypes differ at all",
            row="attention none against once",
            ours=float(sum(own > 0 for own in changed)),
            n=len(seeds),
            decimals=0,
        ),
        entry(
            f"edges with another operation, of {edges} in both cells",
            "attention none against once, mean",
            estimate(changed),
        ),
    ]


def _changed_edges(first: Genotype, second: Genotype) -> int:
    """Return how many edges of the same wiring have another operation."""
    pairs = (
        pair
        for one, other in ((first.normal, second.normal), (first.reduction, second.reduction))
        for pair in zip(one.edges, other.edges, strict=True)
    )
    return sum(one.operation != other.operation for one, other in pairs)


def _differences(equal: pd.DataFrame, settings: Sequence[pd.DataFrame]) -> list[float]:
    """Return equal minus attended of each common search seed, over common training seeds.

    Args:
        equal: trainings of one setting.
        settings: trainings of the searches with attention, a frame a setting.

    """
    for attended in settings:
        if len(equal) and len(attended) and _same_setting(equal, attended):
            first, second = (
                own.groupby(["found_seed", "seed"])["accuracy"].mean() for own in (equal, attended)
            )
            return list((first - second).dropna().groupby("found_seed").mean())
    return []


def _same_setting(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Whether trainings, each of one setting, have the same."""
    return len(pd.concat([first, second])[list(SETTING)].drop_duplicates()) == 1
