"""Table III of the paper, known cells on its shallow and its final protocol, beside ours."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from scipy.stats import kendalltau

from nas_core.cells.genotype import Genotype, known_name
from topo_sweep.analysis.accuracy import PERCENT, data_words, estimate, group_means
from topo_sweep.paper.differences import TAKEN_OVER, evaluation_differences
from topo_sweep.paper.evidence import (
    DATA,
    Evidence,
    groups,
    protocol_text,
    settings_with_results,
    usable,
)
from topo_sweep.paper.published import printed, rows_of
from topo_sweep.paper.records import ComparedTable, Entry, entry
from topo_sweep.paper.table_4 import COUNTERPARTS

if TYPE_CHECKING:
    import pandas as pd

SHALLOW_PARAMETERS: Final[Mapping[str, int]] = {
    "DARTS_V1": 123_098,
    "DARTS_V2": 129_706,
    "PDARTS": 180_442,
    "PC_DARTS": 222_362,
}
"""Of the cells of Table III in 5 cells, 16 channels, 10 classes: counted, not printed."""

_ROLES: Final = ("shallow", "final")

_FOUR_CELLS: Final = (
    "With four cells the least two-sided p of a Kendall tau is 2/24 = 0.08: no order of four is "
    "evidence at 5%."
)

_ByCell = Mapping[str, float]
"""A number of each cell."""


def table_3(evidence: Evidence) -> list[ComparedTable]:
    """Compare known cells on the shallow and on the final protocol; training seeds are the unit."""
    trials = evidence.trials
    names = {text: known_name(Genotype.from_string(text)) for text in trials["genotype"].unique()}
    named = trials.assign(network=trials["genotype"].map(names))
    known = named[
        named["network"].isin(SHALLOW_PARAMETERS)
        & named["search_id"].isna()
        & (named["dataset"] != "cifar100")  # the table's accuracies are on CIFAR-10
    ]
    tables = []
    for rows in groups(known, DATA):
        settings = (
            settings_with_results(rows[rows["role"] == role]) or [rows.iloc[:0]] for role in _ROLES
        )
        tables += [
            _table_3(evidence, dict(zip(_ROLES, pair, strict=True)))
            for pair in itertools.product(*settings)
            if any(map(len, pair))
        ]
    return tables


def _table_3(evidence: Evidence, by_role: Mapping[str, pd.DataFrame]) -> ComparedTable:
    present = {role: rows for role, rows in by_role.items() if len(rows)}
    entries: list[Entry] = []
    differs: list[str] = []
    notes: list[str] = []
    means: dict[str, dict[str, float]] = {role: {} for role in _ROLES}
    for role, rows in present.items():
        kept, sentences = usable(rows, "accuracy")
        notes += [f"{role}: {sentence}" for sentence in sentences]
        beside = {name: COUNTERPARTS[name] for name in rows["network"].unique()}
        differs += evaluation_differences(evidence, rows, named=True, beside=beside)
        seeds = group_means(kept, ["network", "seed"], "accuracy")
        for name in SHALLOW_PARAMETERS:
            ours = estimate(seeds.loc[seeds["network"] == name, "value"], within=PERCENT)
            paper = printed("3", name, f"{role}_accuracy_percent")
            entries.append(entry(f"{role} test accuracy, %", name, ours, paper))
            if ours is not None:
                means[role][name] = ours.mean
    counted = by_role["shallow"].groupby("network")["parameters"].first().dropna()
    sizes = {str(name): float(size) for name, size in counted.items()}
    shallow, final = (_printed(f"{role}_accuracy_percent") for role in _ROLES)
    entries += [
        _tau("shallow and final accuracy", (means["shallow"], means["final"]), (shallow, final)),
        _tau(
            "shallow accuracy and parameters",
            (means["shallow"], sizes),
            (shallow, SHALLOW_PARAMETERS),
        ),
    ]
    images = data_words(next(iter(present.values())))
    protocols = "; ".join(f"{role}: {protocol_text(rows)}" for role, rows in present.items())
    return ComparedTable(
        table="3",
        title="Table III: known cells, shallow and final accuracy",
        setting=f"ours: {images}; {protocols}; n counts training seeds",
        differs=tuple(dict.fromkeys(differs)),
        entries=tuple(entries),
        notes=(
            *notes,
            *([TAKEN_OVER] if "final" in present else []),
            _FOUR_CELLS,
            _size_note(),
        ),
    )


def _printed(column: str) -> _ByCell:
    return {name: printed("3", name, column).number for name in rows_of("3")}


def _tau(row: str, ours: tuple[_ByCell, _ByCell], theirs: tuple[_ByCell, _ByCell]) -> Entry:
    """Return Kendall's tau between two numbers of each cell, ours and the paper's."""
    tau, p_value, cells = _kendall(*ours)
    paper_tau, paper_p, _ = _kendall(*theirs)
    return entry(
        "Kendall tau of the cells' means",
        row,
        tau,
        n=cells if tau is not None else 0,
        theirs=f"{paper_tau:.2f} (p {paper_p:.2f})",
        theirs_value=paper_tau,
        note="" if p_value is None else f"ours: exact p {p_value:.2f}; n counts cells",
    )


def _kendall(first: _ByCell, second: _ByCell) -> tuple[float | None, float | None, int]:
    """Return tau, its exact two-sided p, and of how many cells that have both numbers.

    Fewer than three cells or equal numbers throughout have no tau, and ties no exact p.
    """
    cells = [name for name in SHALLOW_PARAMETERS if name in first and name in second]
    pairs = [first[name] for name in cells], [second[name] for name in cells]
    fewest = min(len(set(numbers)) for numbers in pairs)
    if len(cells) < 3 or fewest == 1:
        return None, None, len(cells)
    result = kendalltau(*pairs)  # of so few the p is exact unless there are ties
    p_value = float(result.pvalue) if fewest == len(cells) else None
    return float(result.statistic), p_value, len(cells)


def _size_note() -> str:
    sizes = ", ".join(f"{SHALLOW_PARAMETERS[name]:,}" for name in rows_of("3"))
    return (
        "In the paper the order by shallow accuracy is exactly the order by parameters of the "
        f"shallow networks ({sizes}; counted by us), so shallow accuracy cannot be told from size."
    )
