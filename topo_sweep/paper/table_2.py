"""Table II of the paper, its four ways to search, beside our searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from topo_sweep.paper.differences import (
    data_differences,
    evaluation_differences,
    search_differences,
)
from topo_sweep.paper.evidence import (
    DATA,
    Evidence,
    groups,
    setting_text,
    shallow_evaluations,
    sweeps_text,
    usable,
)
from topo_sweep.paper.published import printed, published, rows_of
from topo_sweep.paper.records import Comparison, Entry, beside, entry, estimate

if TYPE_CHECKING:
    import pandas as pd

METHODS: Final[Mapping[str, str]] = {
    "search_darts_2nd": "DARTS",
    "search_subset": "DARTS + data subset",
    "search_sparse": "DARTS + epoch update",
    "search_subset_sparse": "DARTS + data subset + epoch update",
}
"""Our presets and what Table II calls them."""

_HOUR: Final = 3600.0


def table_2(evidence: Evidence) -> list[Comparison]:
    """Compare the four search methods; the seed of the search is the unit."""
    searches = evidence.searches
    if searches.empty:
        return []
    plain = (
        searches["method"].isin(METHODS)
        & (searches["space"] == "all")
        & searches["topology"].isna()
        & (searches["attention"] == "none")
    )
    return [
        _table_2(evidence, group, trials)
        for group in groups(searches[plain], (*DATA, "cells"))
        if group["genotype"].notna().any()
        for trials in shallow_evaluations(evidence, group)
    ]


def _table_2(evidence: Evidence, searches: pd.DataFrame, trials: pd.DataFrame) -> Comparison:
    found, notes = usable(searches, "genotype")
    differs = search_differences(evidence, found)
    if len(trials):
        trials, more = usable(trials, "accuracy")
        notes += more
    if len(trials):
        setting = setting_text(trials)
        differs = evaluation_differences(evidence, trials, "shallow") + differs
        means = trials.groupby("search_id")[["accuracy", "parameters"]].mean()
        found = found.merge(means, on="search_id", how="left", suffixes=("_of_supernet", ""))
    else:
        setting = f"ours: no evaluation yet; {sweeps_text(found)}"
        differs = data_differences(found) + differs
        found = found.assign(accuracy=float("nan"), parameters=float("nan"))
    methods = _by_method(found)
    return Comparison(
        table="2",
        title="Table II: four ways to search, and the cells they find",
        setting=f"{setting}; n counts searches (paper: five a method)",
        differs=tuple(differs),
        entries=(
            *_means(methods, "shallow test accuracy, %", "accuracy", "shallow_accuracy_percent"),
            *_means(
                methods,
                "parameters of the evaluated networks, millions",
                "parameters",
                "parameters_million",
                scale=1e-6,
                decimals=3,
            ),
            *_skips(methods),
            *_cost(methods),
        ),
        notes=(
            *notes,
            _skips_note(),
            _cost_note(found),
        ),
    )


def _by_method(searches: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the searches by label and printed row, in printed order; protocols stay apart."""
    found = {}
    for method, row in METHODS.items():
        own = searches[searches["method"] == method]
        several = len(set(own["protocol_hash"])) > 1
        for key, group in own.groupby("protocol_hash"):
            found[f"{row} [{str(key)[:8]}]" if several else row, row] = group
    return found


def _means(
    methods: Mapping[tuple[str, str], pd.DataFrame],
    quantity: str,
    column: str,
    printed_column: str,
    *,
    scale: float = 1.0,
    decimals: int = 2,
) -> list[Entry]:
    return [
        entry(
            quantity,
            label,
            estimate(rows[column].dropna().astype(float) * scale),
            decimals=decimals,
            **beside(printed("2", row, printed_column)),
        )
        for (label, row), rows in methods.items()
    ]


def _skips(methods: Mapping[tuple[str, str], pd.DataFrame]) -> list[Entry]:
    entries = []
    for cell in ("normal", "reduction"):
        column = f"skips_{cell}_total_over_runs"
        entries += [
            Entry(
                quantity=f"skip connections in the {cell} cell, total over the searches",
                row=label,
                ours=float(rows[f"skips_{cell}"].sum()),
                n=len(rows),
                decimals=0,
                # A total over another number of searches has no difference to speak of.
                **beside(printed("2", row, column))
                if len(rows) == printed("2", row, "runs").number
                else {"theirs": printed("2", row, column).value},
            )
            for (label, row), rows in methods.items()
        ]
    for name, cells in (
        ("normal cell", ("normal",)),
        ("reduction cell", ("reduction",)),
        ("both cells", ("normal", "reduction")),
    ):
        for (label, row), rows in methods.items():
            total, each = _skips_a_search(row, cells)
            counts = rows[[f"skips_{cell}" for cell in cells]].astype(float).sum(axis=1)
            entries.append(
                entry(
                    f"skip connections a search, {name}",
                    label,
                    estimate(counts),
                    theirs=f"{total:g}/{printed('2', row, 'runs').value} = {each:.1f}",
                    theirs_value=each,
                )
            )
    return entries


def _skips_a_search(row: str, cells: Sequence[str]) -> tuple[float, float]:
    """Return the paper's total over these cells, and that divided by its number of runs."""
    total = sum(printed("2", row, f"skips_{cell}_total_over_runs").number for cell in cells)
    return total, total / printed("2", row, "runs").number


def _skips_note() -> str:
    each = ", ".join(f"{_skips_a_search(r, ('normal', 'reduction'))[1]:.1f}" for r in rows_of("2"))
    text = ", ".join(printed("text", row, "skips_a_search").value for row in rows_of("2"))
    ends = [
        printed("text", "introduction", f"skips_a_search_{end}").value
        for end in ("before", "after")
    ]
    return (
        f"The paper disagrees with itself on skips: its table's totals make {each} a search, its "
        f"section IV-B says {text}, its introduction {ends[0]} to {ends[1]}."
    )


def _cost_note(searches: pd.DataFrame) -> str:
    devices = ", ".join(sorted({str(device) for device in searches["device"]}))
    ratios = ", ".join(f"{own.value}x" for own in published() if own.column == "ratio")
    return (
        f"Our hours are of {devices}, the paper's are GPU hours, the least of five runs; so the "
        f"ratios are of least hours too. The paper's text also gives cost ratios of {ratios}; "
        "which searches those compare is not known here."
    )


def _cost(methods: Mapping[tuple[str, str], pd.DataFrame]) -> list[Entry]:
    hours = {key: rows["search_seconds"].astype(float) / _HOUR for key, rows in methods.items()}
    least = {key: own.min() for key, own in hours.items()}
    theirs = {row: printed("2", row, "search_gpu_hours_minimum") for row in METHODS.values()}
    darts, first = "DARTS", theirs["DARTS"]
    base = least.get((darts, darts))
    return [
        *(
            entry("search hours, mean", key[0], estimate(own.dropna()), decimals=None)
            for key, own in hours.items()
        ),
        *(
            Entry(
                quantity="search hours, least",
                row=label,
                ours=float(least[label, row]),
                n=len(methods[label, row]),
                theirs=theirs[row].value,
                decimals=None,
            )
            for label, row in methods
        ),
        *(
            Entry(
                quantity="cost ratio: least hours of DARTS / least hours of the method",
                row=label,
                ours=None if base is None else float(base / least[label, row]),
                n=len(methods[label, row]),
                theirs=f"{first.value}/{theirs[row].value} = "
                f"{first.number / theirs[row].number:.1f}",
                theirs_value=first.number / theirs[row].number,
                decimals=1,
            )
            for label, row in methods
            if row != darts
        ),
    ]
