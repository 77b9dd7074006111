"""Table IV of the paper, single cells in their final evaluation, beside ours."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from nas_core.cells.genotype import Genotype, known_name
from nas_core.protocols.training import stable_hash
from topo_sweep.analysis.text import aligned
from topo_sweep.paper.differences import evaluation_differences, search_differences
from topo_sweep.paper.evidence import Evidence, setting_text, settings_with_results, usable
from topo_sweep.paper.published import find, rows_of
from topo_sweep.paper.records import ComparedTable, Entry, beside, entry, estimate

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
    errors, sizes, days = [], [], []
    finders_of_all = []
    for label, trainings in kept.assign(label=labels).groupby("label"):
        name, first = str(label), trainings.iloc[0]
        finders = _finders(evidence, first)
        finders_of_all.append(finders)
        counterpart = _counterpart(first, finders)
        theirs = functools.partial(find, "4", counterpart)
        remarks = [f"beside {counterpart}"] if counterpart else []
        if len(finders) > 1:
            remarks.append(f"found by {len(finders)} searches")
            notes.append(_found_by(name, finders))
        errors.append(
            entry(
                "test error, %",
                name,
                estimate(100 - trainings.groupby("seed")["accuracy"].mean()),
                note="; ".join(remarks),
                **beside(theirs(f"{dataset}_test_error_percent")),
            )
        )
        sizes.append(
            Entry(
                quantity="parameters, millions",
                row=name,
                ours=float(first["parameters"]) / 1e6,
                **beside(theirs("parameters_million")),
            )
        )
        if len(finders):
            paper_days = theirs("search_gpu_days")
            days.append(
                Entry(
                    quantity="search, days (paper: GPU days)",
                    row=name,
                    ours=float(finders["search_seconds"].iloc[0]) / _DAY,
                    theirs=paper_days.value if paper_days else "",
                    note=f"on {finders['device'].iloc[0]}",
                    decimals=None,
                )
            )
    searches = pd.concat(finders_of_all).drop_duplicates("search_id")
    return ComparedTable(
        table="4",
        title=f"Table IV: final evaluation on {dataset}",
        setting=f"{setting_text(kept)}; n counts training seeds of one cell",
        differs=(
            *evaluation_differences(evidence, kept, "final", dataset),
            *search_differences(evidence, searches),
        ),
        entries=(*errors, *sizes, *days),
        notes=tuple(notes),
        extra="\n".join(["All rows of the paper's Table IV, as printed:", *_all_printed()]),
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
    same = searches[named | (searches["genotype"] == training["genotype"])].assign(other=~named)
    order = ["other", "method", "dataset", "seed", "search_id"]
    finders: pd.DataFrame = same.sort_values(order).drop(columns="other")
    return finders


def _known(training: pd.Series[Any]) -> str | None:
    return known_name(Genotype.from_string(training["genotype"]))


def _label(training: pd.Series[Any], finders: pd.DataFrame) -> str:
    """Return what people call the cell of a training."""
    if len(finders):
        return _search_label(finders.iloc[0])
    genotype = Genotype.from_string(training["genotype"])
    return known_name(genotype) or f"cell {stable_hash(str(genotype), digits=6)}"


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
    rows = [
        [
            row,
            *(
                number.value if (number := find("4", row, name)) else "-"
                for name in columns.values()
            ),
        ]
        for row in rows_of("4")
    ]
    return aligned([["architecture", *columns], *rows], left=(0, 5))
