"""Table IV of the paper, single cells in their final evaluation, beside ours."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd

from nas_core.cells.genotype import Genotype, known_name
from nas_core.protocols.training import stable_hash
from topo_sweep.analysis.accuracy import PERCENT, estimate, group_means
from topo_sweep.analysis.text import aligned
from topo_sweep.paper.differences import (
    TAKEN_OVER,
    evaluation_differences,
    is_taken_over,
    search_differences,
)
from topo_sweep.paper.evidence import (
    CHOSEN,
    Evidence,
    chosen_notes,
    setting_text,
    settings_with_results,
    usable,
)
from topo_sweep.paper.published import find, rows_of
from topo_sweep.paper.records import ComparedTable, Entry, by_quantity, entry

COUNTERPARTS: Final[Mapping[str, str]] = {
    "DARTS_V1": "DARTS (first order) + cutout",
    "DARTS_V2": "DARTS (second order) + cutout",
    "PDARTS": "P-DARTS CIFAR10 + cutout",
    "PC_DARTS": "PC-DARTS + cutout",
    "search_darts_1st": "DARTS (first order) + cutout",
    "search_darts_2nd": "DARTS (second order) + cutout",
    "search_pcdarts": "PC-DARTS + cutout",
    "search_pdarts cifar10": "P-DARTS CIFAR10 + cutout",
    "search_pdarts cifar100": "P-DARTS CIFAR100 + cutout",
    "search_edarts cifar10": "eDARTS CIFAR10 + cutout",
    "search_edarts cifar100": "eDARTS CIFAR100 + cutout",
}
"""A cell, a method, or a method and the data set it searched on: its row in Table IV."""

_DAY: Final = 24 * 3600.0


def table_4(evidence: Evidence) -> list[ComparedTable]:
    """Compare final evaluations on CIFAR-10 or CIFAR-100, a cell a row."""
    trials = evidence.trials
    final = trials[(trials["role"] == "final") & trials["dataset"].isin(["cifar10", "cifar100"])]
    return [_table_4(evidence, rows) for rows in settings_with_results(final)]


def _table_4(evidence: Evidence, rows: pd.DataFrame) -> ComparedTable:
    kept, notes = usable(rows, "accuracy")
    dataset = str(kept["dataset"].iloc[0])
    # A training that names its search comes before others of the same cell, and speaks for them.
    kept = kept.sort_values("search_id", kind="stable")
    labels = [_label(row, _finders(evidence, row)) for _, row in kept.iterrows()]
    entries: list[Entry] = []
    finders_of_all = []
    beside = {}
    for label, trainings in kept.assign(label=labels).groupby("label"):
        finders = _finders(evidence, trainings.iloc[0])
        finders_of_all.append(finders)
        beside[str(label)] = _counterpart(trainings.iloc[0], finders)
        entries += _entries(str(label), dataset, trainings, finders, beside[str(label)])
        if len(finders) > 1:
            notes.append(_found_by(str(label), finders))
    notes += chosen_notes(kept)
    notes += [TAKEN_OVER] if any(map(is_taken_over, beside.values())) else []
    searches = pd.concat(finders_of_all).drop_duplicates("search_id")
    return ComparedTable(
        table="4",
        title=f"Table IV: final evaluation on {dataset}",
        setting=f"{setting_text(kept)}; n counts training seeds of one cell",
        differs=(
            *evaluation_differences(evidence, kept, dataset, beside=beside),
            *search_differences(evidence, searches),
        ),
        entries=by_quantity(entries),
        notes=tuple(notes),
        extra="\n".join(["All rows of the paper's Table IV, as printed:", *_all_printed()]),
    )


def _entries(
    label: str, dataset: str, trainings: pd.DataFrame, finders: pd.DataFrame, counterpart: str
) -> Iterator[Entry]:
    """Yield error, size and cost of a cell, beside the row `counterpart` of the paper's table."""
    first = trainings.iloc[0]
    paper = functools.partial(find, "4", counterpart)
    remarks = [f"beside {counterpart}"] if counterpart else []
    remarks += [f"found by {len(finders)} searches"] if len(finders) > 1 else []
    remarks += [CHOSEN] if (trainings["chosen"] != "").any() and not _known(first) else []
    errors = 100 - group_means(trainings, ["seed"], "accuracy")["value"]
    yield entry(
        "test error, %",
        label,
        estimate(errors, within=PERCENT),
        paper(f"{dataset}_test_error_percent"),
        note="; ".join(remarks),
    )
    size = float(first["parameters"]) / 1e6
    yield entry("parameters, millions", label, size, paper("parameters_million"))
    if len(finders):
        days = paper("search_gpu_days")
        yield entry(
            "search, days (paper: GPU days)",
            label,
            float(finders["search_seconds"].iloc[0]) / _DAY,
            theirs=days.value if days else "",
            note=f"on {finders['device'].iloc[0]}",
            decimals=None,
        )


def _finders(evidence: Evidence, training: pd.Series[Any]) -> pd.DataFrame:
    """Return the searches that found the cell of a training, that which it names first.

    Where it names none (so `evaluate`, `promote` and cells given as found: train), all that found
    its genotype, none for a known cell.
    """
    searches = evidence.searches
    if pd.isna(training["search_id"]) and _known(training):
        return searches.iloc[:0]
    named = searches["search_id"] == training["search_id"]
    finders = searches[named | (searches["genotype"] == training["genotype"])]
    finders = finders.assign(other=finders["search_id"] != training["search_id"])
    finders = finders.sort_values(["other", "method", "dataset", "seed", "search_id"])
    return finders.drop(columns="other")


def _known(training: pd.Series[Any]) -> str | None:
    return known_name(Genotype.from_string(training["genotype"]))


def _label(training: pd.Series[Any], finders: pd.DataFrame) -> str:
    """Return what people call the cell of a training."""
    if len(finders):
        return _search_label(finders.iloc[0])
    return _known(training) or f"cell {stable_hash(training['genotype'], digits=6)}"


def _search_label(search: pd.Series[Any]) -> str:
    where = f"{search['method']} on {search['dataset']}"
    return f"{where}, seed {search['seed']} ({search['search_id'][:6]})"


def _found_by(label: str, finders: pd.DataFrame) -> str:
    """Return the sentence on a cell that several searches found."""
    names = "; ".join(_search_label(search) for _, search in finders.iterrows())
    return (
        f"{label}: {len(finders)} searches found this cell: {names}. Label and search days are "
        "of the first."
    )


def _counterpart(training: pd.Series[Any], finders: pd.DataFrame) -> str:
    """Return the row of the paper's table that this cell belongs beside; '' for none.

    Also where several searches found it that belong beside different rows, and it names none.
    """
    if finders.empty:
        return COUNTERPARTS.get(_known(training) or "", "")
    entitled = finders if pd.isna(training["search_id"]) else finders[:1]
    rows = {
        COUNTERPARTS.get(f"{method} {dataset}", COUNTERPARTS.get(method, ""))
        for method, dataset in zip(entitled["method"], entitled["dataset"], strict=True)
    }
    return rows.pop() if len(rows) == 1 else ""


def _all_printed() -> list[str]:
    columns = {
        "CIFAR-10 error %": "cifar10_test_error_percent",
        "CIFAR-100 error %": "cifar100_test_error_percent",
        "params M": "parameters_million",
        "GPU days": "search_gpu_days",
        "method": "method",
    }
    numbers = [[find("4", row, name) for name in columns.values()] for row in rows_of("4")]
    rows = [
        [row, *(number.value if number else "-" for number in printed)]
        for row, printed in zip(rows_of("4"), numbers, strict=True)
    ]
    return aligned([["architecture", *columns], *rows], left=(0, 5))
