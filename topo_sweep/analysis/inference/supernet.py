"""Does the supernet know: its shared weights' accuracy of a cell beside that of the cell alone.

The first is measured at the end of a search, see `one_hot_cells` of a sweep of searches; the second
is that of trainings of the same genotypes, in whatever sweep.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from nas_core.errors import InputError
from topo_sweep.analysis.control_rows import search_words
from topo_sweep.analysis.design import Design, design_of
from topo_sweep.analysis.findings import Finding, Number, left_out
from topo_sweep.analysis.inference.comparisons import of_halves
from topo_sweep.analysis.statistics.agreement import Agreement, agreement, mean_agreement, tau_text
from topo_sweep.analysis.text import counted

_TITLE = "does the supernet know"
_SETTING: Final = ["search", "space", "protocol_hash"]
_TAU: Final = ("tau", "low", "high")


def one_hot_accuracies(searches: pd.DataFrame) -> pd.DataFrame:
    """Return `search_id`, `genotype` and `accuracy` of every cell that a search measured.

    Args:
        searches: one row a search; the column `one_hot` may be missing, as in older stores.

    """
    rows = [
        {"search_id": search_id, "genotype": genotype, "accuracy": accuracy}
        for search_id, text in zip(searches["search_id"], _texts(searches), strict=True)
        if isinstance(text, str)
        for genotype, accuracy in json.loads(text)
    ]
    return pd.DataFrame(rows, columns=["search_id", "genotype", "accuracy"])


def supernet_agreement(
    searches: pd.DataFrame, alone: Design, *, confidence: float = 0.95
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return Kendall's tau with trainings alone of each search, and of each setting of searches.

    Of several searches it is the mean, over the cells that all of them have. All are set beside the
    same trainings alone, so that more searches do not make more cells: the interval is over cells,
    see `mean_agreement`.

    Args:
        searches: one row a search.
        alone: trainings of the same genotypes, by topology.
        confidence: of the intervals.

    Returns:
        A row a search that measured cells: `search` (method, depth and attention, in words),
        `space`, `protocol_hash`, `seed`, `search_id`, `measured`, `n` (of those with a training
        alone), `tau`, `low` and `high`, NaN where there is none. And a row a setting, which the
        first three make: `searches` (with a tau), `n`, `tau`, `low` and `high`.

    """
    means = alone.means.set_axis(alone.groups["genotype"])
    cells = one_hot_accuracies(searches)
    wide = cells.pivot_table(index="genotype", columns="search_id", values="accuracy")
    wide = wide.reindex(means.index)
    rows = []
    for search in searches.to_dict("records"):
        if (search_id := search["search_id"]) not in wide:
            continue
        found = agreement(wide[search_id], means, confidence=confidence)
        about = {"search": search_words(search)} | {
            name: search[name] for name in ("space", "protocol_hash", "seed", "search_id")
        }
        measured = int((cells["search_id"] == search_id).sum())
        rows.append(about | {"measured": measured} | _row(found, wide[search_id].count()))
    table = pd.DataFrame(rows).astype(dict.fromkeys(_TAU, float))
    settings = []
    for key, group in table.groupby(_SETTING, sort=False):
        known = group.loc[group["tau"].notna(), "search_id"].tolist()
        both = wide[known].assign(alone=means).dropna()
        pairs = [both[[each, "alone"]].to_numpy().T for each in known]
        found = mean_agreement(pairs, confidence=confidence)
        about = dict(zip(_SETTING, key, strict=True)) | {"searches": len(known)}
        settings.append(about | _row(found, len(both) if known else 0))
    return table, pd.DataFrame(settings).astype(dict.fromkeys(_TAU, float))


def _row(found: Agreement | None, n: int) -> dict[str, Any]:
    return {"n": n} | {part: getattr(found, part, None) for part in _TAU}


def supernet_finding(
    searches: pd.DataFrame,
    trials: pd.DataFrame,
    *,
    beside: Sequence[tuple[str, pd.DataFrame]] = (),
    metric: str | None = None,
    confidence: float = 0.95,
) -> Finding:
    """Say how far shared weights rank cells as training each alone does.

    Args:
        searches: one row a search, as `OpenedSweep.searches` gives them.
        trials: one row a training of the same sweep; those of other cells are left out.
        beside: trainings of other sweeps, with names; what was trained otherwise is left out.
        metric: 'val' or 'test' of the trainings; None is 'val' where there is a hold-out.
        confidence: of the intervals.

    Raises:
        InputError: trainings of several protocols or data sets.

    """
    cells = one_hot_accuracies(searches)
    if cells.empty:
        why = "no search here has measured any: ask for some with one_hot_cells"
        return Finding(title=_TITLE, sentence=f"Nothing to compare: {why}.")
    same, unsuitable = _of_cells(trials, cells), []
    for name, rows in beside:
        both = pd.concat([same, _of_cells(rows, cells)])
        try:
            if _has_results(both):
                design_of(both, by="topology", metric=metric)
            same = both
        except InputError as error:
            unsuitable.append(left_out(name, error))
    if not _has_results(same):
        count = counted(cells["genotype"].nunique(), "cell")
        why = f"none of the {count} that searches have measured was trained alone"
        sentence = " ".join([f"Nothing to compare: {why}.", *unsuitable])
        return Finding(title=_TITLE, sentence=sentence)
    alone = design_of(same, by="topology", metric=metric)
    table, settings = supernet_agreement(searches, alone, confidence=confidence)
    ceiling = of_halves(alone, confidence=confidence).across
    without = len(searches) - len(table)
    said = _sentence(settings, table, alone, without=without, confidence=confidence)
    numbers: dict[str, Number] = {
        "searches": len(table),
        "cells": len(alone.groups),
        "without_training": int(cells["genotype"].nunique()) - len(alone.groups),
        "ceiling": None if ceiling is None else ceiling.tau,
    }
    return Finding(
        title=_TITLE,
        sentence=" ".join([said, *unsuitable]),
        method="Kendall's tau-b of shared weights with trainings alone, its mean over searches; "
        "the interval by leaving out each cell in turn",
        assumes="random cells as a sample of the space, and given these searches and these "
        "trainings alone; batch norms of the shared weights "
        "normalise by what they saw of all operations",
        numbers=numbers,
        tables={"searches": table, "settings": settings},
        shown={"Kendall's tau": _shown(settings, confidence)},
    )


def _of_cells(trials: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the trainings of these cells, random or found, in a list or by a search, alike."""
    return trials[trials["genotype"].isin(cells["genotype"])].assign(kind="genotypes")


def _has_results(trials: pd.DataFrame) -> bool:
    return bool((trials["status"] != "failed").any())


def _texts(searches: pd.DataFrame) -> Sequence[object]:
    return searches["one_hot"].tolist() if "one_hot" in searches else [None] * len(searches)


def _sentence(
    settings: pd.DataFrame, table: pd.DataFrame, alone: Design, *, without: int, confidence: float
) -> str:
    parts = []
    for row in settings.to_dict("records"):
        where = f"{row['search']} in {row['space']}: " if len(settings) > 1 else ""
        parts.append(
            f"{where}{_said(row)}, Kendall's tau = {_tau(row, confidence)} over "
            f"n = {row['n']} random cells, {counted(row['searches'], 'search')}"
        )
    left = int(table["measured"].max()) - int(table["n"].max())
    notes = [f" {counted(left, 'cell')} without a training alone left out."] if left else []
    notes += [f" Searches that measured none: {without}."] if without else []
    beside = f"beside trainings alone ({alone.metric_name}, {alone.seed_words} seeds)"
    return f"Shared weights {beside}: {'; '.join(parts)}.{''.join(notes)}"


def _said(row: Mapping[Hashable, Any]) -> str:
    """Return what an interval allows to say; without one that is nothing."""
    if np.isnan(row["low"]):
        return "nothing is claimed without an interval"
    if row["low"] > 0:
        return "they rank cells alike more often than not"
    if row["high"] < 0:
        return "they rank cells the other way round more often than not"
    return "no agreement was found, which does not show that there is none"


def _tau(row: Mapping[Hashable, Any], confidence: float) -> str:
    if np.isnan(row["tau"]):
        return "-"
    if np.isnan(row["low"]):
        return tau_text(Agreement(tau=row["tau"], n=row["n"]))
    found = Agreement(tau=row["tau"], n=row["n"], low=row["low"], high=row["high"])
    return tau_text(found, confidence=confidence)


def _shown(settings: pd.DataFrame, confidence: float) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("search", "space", "searches", "random cells", "tau")]
    for row in settings.to_dict("records"):
        counts = (str(row["searches"]), str(row["n"]))
        rows.append((row["search"], row["space"], *counts, _tau(row, confidence)))
    return rows
