"""Table II of the paper, its four ways to search, beside our searches."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from topo_sweep.analysis.accuracy import COUNT, PERCENT, estimate
from topo_sweep.paper.differences import described
from topo_sweep.paper.evidence import DATA, SKIPS, Evaluated, Evidence, groups, skip_counts
from topo_sweep.paper.published import printed, published, rows_of
from topo_sweep.paper.records import ComparedTable, Entry, by_quantity, entry

if TYPE_CHECKING:
    import pandas as pd

METHODS: Final[Mapping[str, str]] = {
    "search_darts_2nd": "DARTS",
    "search_subset": "DARTS + data subset",
    "search_sparse": "DARTS + epoch update",
    "search_subset_sparse": "DARTS + data subset + epoch update",
}
"""Our presets and what Table II calls them, in its order."""

_DARTS: Final = METHODS["search_darts_2nd"]
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
    by_setting = evidence.evaluated(searches[plain], (*DATA, "cells"))
    return [_table_2(evidence, ours) for ours in by_setting]


def skips_a_search(row: str, columns: Sequence[str]) -> float:
    """Return how many skip connections a search of Table II found on average.

    Its numbers are read as totals over the runs, which it does not say.

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
    return sum(printed("2", row, column).number for column in columns)


def _table_2(evidence: Evidence, ours: Evaluated) -> ComparedTable:
    setting, differs = described(evidence, ours.searches, ours.counted)
    methods = list(_by_method(ours.searches))
    least = {label: float(searches["search_seconds"].min()) for label, _, searches in methods}
    entries = [
        numbers
        for label, row, searches in methods
        for numbers in _entries(label, row, searches, least.get(_DARTS))
    ]
    return ComparedTable(
        table="2",
        title="Table II: four ways to search, and the cells they find",
        setting=f"{setting}; n counts searches (paper: five a method)",
        differs=differs,
        entries=by_quantity(entries),
        notes=(*ours.search_notes, *ours.trial_notes, _skips_note(), _cost_note(ours.searches)),
    )


def _by_method(searches: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield label, row in Table II and searches of each method, in printed order.

    Searches by several protocols stay apart.
    """
    for method, row in METHODS.items():
        by_protocol = list(groups(searches[searches["method"] == method], ("protocol_hash",)))
        for group in by_protocol:
            key = str(group["protocol_hash"].iloc[0])
            yield f"{row} [{key[:8]}]" if len(by_protocol) > 1 else row, row, group


def _entries(
    label: str, row: str, searches: pd.DataFrame, darts_seconds: float | None
) -> Iterator[Entry]:
    """Yield the numbers of a method; `darts_seconds` are the least of plain DARTS, if it ran."""
    paper = functools.partial(printed, "2", row)
    runs, n = paper("runs"), len(searches)
    accuracy, parameters = searches["accuracy"].dropna(), searches["parameters"].dropna() * 1e-6
    yield entry(
        "shallow test accuracy, %",
        label,
        estimate(accuracy, within=PERCENT),
        paper("shallow_accuracy_percent"),
    )
    yield entry(
        "parameters of the evaluated networks, millions",
        label,
        estimate(parameters, within=COUNT),
        paper("parameters_million"),
        decimals=3,
    )
    for cell in ("normal", "reduction"):
        total = paper(f"skips_{cell}")
        yield entry(
            f"skip connections in the {cell} cell, total over the searches",
            label,
            float(searches[f"skips_{cell}"].sum()),
            n=n,
            theirs=total.value,
            # A total over another number of searches has no difference to speak of.
            theirs_value=total.number if n == runs.number else None,
            decimals=0,
        )
    for cells, columns in SKIPS.items():
        each = skips_a_search(row, columns)
        yield entry(
            f"skip connections a search, {cells}",
            label,
            estimate(skip_counts(searches, columns), within=COUNT),
            theirs=f"{_total_skips(row, columns):g}/{runs.value} = {each:.1f}",
            theirs_value=each,
        )
    hours = searches["search_seconds"].astype(float) / _HOUR
    least, their_least = hours.min(), paper("search_gpu_hours_minimum")
    yield entry("search hours, mean", label, estimate(hours.dropna(), within=COUNT), decimals=None)
    yield entry(
        "search hours, least", label, float(least), n=n, theirs=their_least.value, decimals=None
    )
    if row != _DARTS:
        darts = printed("2", _DARTS, "search_gpu_hours_minimum")
        ratio = darts.number / their_least.number
        yield entry(
            "cost ratio: least hours of DARTS / least hours of the method",
            label,
            float(darts_seconds / _HOUR / least) if darts_seconds is not None else None,
            n=n,
            theirs=f"{darts.value}/{their_least.value} = {ratio:.1f}",
            theirs_value=ratio,
            decimals=1,
        )


def _skips_note() -> str:
    table = {row: skips_a_search(row, SKIPS["both cells"]) for row in rows_of("2")}
    text = {row: printed("text", row, "skips_a_search") for row in table}
    unlike = [
        f"{each:.1f} and {text[row].value} ({row})"
        for row, each in table.items()
        if round(each) != text[row].number
    ]
    before = printed("text", "introduction", "skips_a_search_before").value
    unlike.append(f"{text[_DARTS].value} (IV-B) and {before} (introduction) for {_DARTS}")
    return (
        "Skips of the paper's table are read as totals over its five runs, which its caption does "
        f"not say: both cells then make {', '.join(f'{each:.1f}' for each in table.values())} a "
        f"search, of which section IV-B says {', '.join(said.value for said in text.values())}. "
        f"What disagrees: {'; '.join(unlike)}."
    )


def _cost_note(searches: pd.DataFrame) -> str:
    devices = ", ".join(sorted({str(device) for device in searches["device"]}))
    ratios = ", ".join(
        f"{number.value}x faster than {number.row.rpartition(' than ')[2]}"
        for number in published()
        if number.column == "ratio"
    )
    return (
        f"Our hours are of {devices}, the paper's are GPU hours, the least of five runs; so the "
        f"ratios are of least hours too. Section IV-B calls the data subset with the epoch update "
        f"{ratios}."
    )
