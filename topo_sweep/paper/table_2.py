"""Table II of the paper, its four ways to search, beside our searches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from topo_sweep.paper.differences import described, search_differences
from topo_sweep.paper.evidence import (
    DATA,
    SKIPS,
    Evaluated,
    Evidence,
    evaluated,
    groups,
    skip_counts,
)
from topo_sweep.paper.published import printed, published, rows_of
from topo_sweep.paper.records import ComparedTable, Entry, beside, entry, estimate

if TYPE_CHECKING:
    import pandas as pd

METHODS: Final[Mapping[str, str]] = {
    "search_darts_2nd": "DARTS",
    "search_subset": "DARTS + data subset",
    "search_sparse": "DARTS + epoch update",
    "search_subset_sparse": "DARTS + data subset + epoch update",
}
"""Our presets and what Table II calls them, in its order."""

_HOUR: Final = 3600.0


def table_2(evidence: Evidence) -> list[ComparedTable]:
    """Compare the four search methods; the seed of the search is the unit."""
    searches = evidence.searches
    plain = (
        searches["method"].isin(METHODS)
        & (searches["space"] == "all")
        & searches["topology"].isna()
        & (searches["attention"] == "none")
    )
    by_setting = evaluated(evidence, searches[plain], (*DATA, "cells"))
    return [_table_2(evidence, ours) for ours in by_setting]


def skips_a_search(row: str, columns: Sequence[str]) -> float:
    """Return how many skip connections a search of Table II found on average.

    Args:
        row: a method, as the table calls it.
        columns: the cells, 'skips_normal' or 'skips_reduction', to be added up.

    """
    return _total_skips(row, columns) / printed("2", row, "runs").number


def published_skips() -> dict[str, dict[str, float]]:
    """Return skips a search by our method and 'skips_normal' or 'skips_reduction', for pictures."""
    return {
        method: {column: skips_a_search(row, (column,)) for column in SKIPS["both cells"]}
        for method, row in METHODS.items()
    }


def _total_skips(row: str, columns: Sequence[str]) -> float:
    return sum(printed("2", row, f"{column}_total_over_runs").number for column in columns)


def _table_2(evidence: Evidence, ours: Evaluated) -> ComparedTable:
    setting, differs = described(evidence, ours.searches, ours.counted)
    methods = list(_by_method(ours.searches))
    return ComparedTable(
        table="2",
        title="Table II: four ways to search, and the cells they find",
        setting=f"{setting}; n counts searches (paper: five a method)",
        differs=(*differs, *search_differences(evidence, ours.searches)),
        entries=(*_evaluations(methods), *_skips(methods), *_cost(methods)),
        notes=(*ours.search_notes, *ours.trial_notes, _skips_note(), _cost_note(ours.searches)),
    )


_Method = tuple[str, str, "pd.DataFrame"]
"""Label, row in Table II, and searches of a method."""


def _by_method(searches: pd.DataFrame) -> Iterator[_Method]:
    """Yield the methods in printed order; searches by several protocols stay apart."""
    for method, row in METHODS.items():
        by_protocol = list(groups(searches[searches["method"] == method], ("protocol_hash",)))
        for group in by_protocol:
            key = str(group["protocol_hash"].iloc[0])
            yield f"{row} [{key[:8]}]" if len(by_protocol) > 1 else row, row, group


def _evaluations(methods: Sequence[_Method]) -> Iterator[Entry]:
    for label, row, searches in methods:
        yield entry(
            "shallow test accuracy, %",
            label,
            estimate(searches["accuracy"].dropna()),
            **beside(printed("2", row, "shallow_accuracy_percent")),
        )
    for label, row, searches in methods:
        yield entry(
            "parameters of the evaluated networks, millions",
            label,
            estimate(searches["parameters"].dropna() * 1e-6),
            decimals=3,
            **beside(printed("2", row, "parameters_million")),
        )


def _skips(methods: Sequence[_Method]) -> Iterator[Entry]:
    for cell in ("normal", "reduction"):
        for label, row, searches in methods:
            theirs = printed("2", row, f"skips_{cell}_total_over_runs")
            # A total over another number of searches has no difference to speak of.
            as_many = len(searches) == printed("2", row, "runs").number
            yield Entry(
                quantity=f"skip connections in the {cell} cell, total over the searches",
                row=label,
                ours=float(searches[f"skips_{cell}"].sum()),
                n=len(searches),
                decimals=0,
                theirs=theirs.value,
                theirs_value=theirs.number if as_many else None,
            )
    for cells, columns in SKIPS.items():
        for label, row, searches in methods:
            total, runs = _total_skips(row, columns), printed("2", row, "runs").value
            each = skips_a_search(row, columns)
            yield entry(
                f"skip connections a search, {cells}",
                label,
                estimate(skip_counts(searches, columns)),
                theirs=f"{total:g}/{runs} = {each:.1f}",
                theirs_value=each,
            )


def _cost(methods: Sequence[_Method]) -> Iterator[Entry]:
    hours = {
        label: (row, searches["search_seconds"].astype(float) / _HOUR)
        for label, row, searches in methods
    }
    darts = METHODS["search_darts_2nd"]
    for label, (_, measured) in hours.items():
        yield entry("search hours, mean", label, estimate(measured.dropna()), decimals=None)
    for label, (row, measured) in hours.items():
        yield Entry(
            quantity="search hours, least",
            row=label,
            ours=float(measured.min()),
            n=len(measured),
            theirs=printed("2", row, "search_gpu_hours_minimum").value,
            decimals=None,
        )
    first = printed("2", darts, "search_gpu_hours_minimum")
    for label, (row, measured) in hours.items():
        if row != darts:
            theirs = printed("2", row, "search_gpu_hours_minimum")
            ratio = first.number / theirs.number
            yield Entry(
                quantity="cost ratio: least hours of DARTS / least hours of the method",
                row=label,
                ours=float(hours[darts][1].min() / measured.min()) if darts in hours else None,
                n=len(measured),
                theirs=f"{first.value}/{theirs.value} = {ratio:.1f}",
                theirs_value=ratio,
                decimals=1,
            )


def _skips_note() -> str:
    each = ", ".join(f"{skips_a_search(row, SKIPS['both cells']):.1f}" for row in rows_of("2"))
    text = ", ".join(printed("text", row, "skips_a_search").value for row in rows_of("2"))
    before, after = (
        printed("text", "introduction", f"skips_a_search_{when}").value
        for when in ("before", "after")
    )
    return (
        f"The paper disagrees with itself on skips: its table's totals make {each} a search, its "
        f"section IV-B says {text}, its introduction {before} to {after}."
    )


def _cost_note(searches: pd.DataFrame) -> str:
    devices = ", ".join(sorted({str(device) for device in searches["device"]}))
    ratios = ", ".join(f"{number.value}x" for number in published() if number.column == "ratio")
    return (
        f"Our hours are of {devices}, the paper's are GPU hours, the least of five runs; so the "
        f"ratios are of least hours too. The paper's text also gives cost ratios of {ratios}; "
        "which searches those compare is not known here."
    )
