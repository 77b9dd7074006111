"""Does a search do better than chance: what is found by each, beside random cells. Pure.

One comparison is made in `chance.py`; the rows come from `control_rows.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any, Final

import numpy as np
import pandas as pd

from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import ROUNDING, accuracies, chosen_metric
from topo_sweep.analysis.comparable import EXPERIMENT, texts_of
from topo_sweep.analysis.control_rows import ANY_WIRING
from topo_sweep.analysis.findings import Finding, left_out
from topo_sweep.analysis.statistics.chance import Control, beside_random
from topo_sweep.analysis.statistics.corrections import holm
from topo_sweep.analysis.text import counted, interval_words

TITLE: Final = "does a search do better than chance"
_NO_CONTROL: Final = (
    "No random cell was trained beside the found ones, so no search result is called good here: "
    "ask for the sweep again with --random-cells {}, or train a sweep of kind: random by the same "
    "protocol and seeds."
)
_FEWEST: Final = 20
"""So many random cells are asked for where found ones are several: their spread is known then."""
_NOTHING_FOUND: Final = (
    "No cell that a search found is evaluated here, so there is none to set beside random cells."
)
_METHOD: Final = (
    "Student's t test on the means of distinct cells, Holm over all comparisons; a single found "
    "cell by its place, p = (r + 1) / (N + 1) where r of N random cells are as good"
)
_ASSUMES: Final = (
    "random cells are a fair draw, the cells of a side are independent, found ones spread as "
    "random ones do, and all is given these training seeds, this split and this test set"
)


def controls_finding(
    found: pd.DataFrame,
    random: pd.DataFrame,
    *,
    beside: Sequence[tuple[str, pd.DataFrame]] = (),
    metric: str | None = None,
    confidence: float = 0.95,
) -> Finding:
    """Return whether searches do better than chance.

    Random cells are compared with what was found among the same operations and along the same
    wiring, those of any wiring with what was found along whatever wiring.

    Args:
        found: see `found_cells`.
        random: see `random_cells`, of the same sweep.
        beside: those of other sweeps, with names; what was trained otherwise is left out.
        metric: 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.
        confidence: of the intervals, and 1 less the chance to call any comparison a difference
            where there is none.

    Raises:
        InputError: found and random cells were not trained by one protocol on the same images, or
            do not have that accuracy.

    """
    everything = [found, random, *(rows for _, rows in beside)]
    failed = sum(int((rows["status"] == "failed").sum()) for rows in everything)
    found, random, *others = (rows[rows["status"] != "failed"] for rows in everything)
    if found.empty or not any(map(len, (random, *others))):
        sentence = _NOTHING_FOUND if found.empty else _no_control(found, 1 - confidence)
        return Finding(title=TITLE, sentence=sentence, numbers={"failed": failed})
    metric = chosen_metric(metric, holdout=int(found["holdout"].iloc[0]))
    found, random = _measured(found, found, metric), _measured(random, found, metric)
    unsuitable = []
    for (name, _), rows in zip(beside, others, strict=True):
        try:
            random = pd.concat([random, _measured(rows, found, metric)])
        except InputError as error:
            unsuitable.append(left_out(name, error))
    no_control = _no_control(found, 1 - confidence)
    if random.empty:
        return Finding(title=TITLE, sentence=" ".join([no_control, *unsuitable]))
    controls, notes = _matched(found, random, confidence)
    notes += unsuitable
    if failed:
        notes.append(f"{counted(failed, 'failed training')} left out.")
    if diverged := sum(int((rows["status"] == "diverged").sum()) for rows in (found, random)):
        notes.append(f"{counted(diverged, 'diverged training')} counted, with the last accuracy.")
    if not controls:
        return Finding(title=TITLE, sentence=" ".join([no_control, *notes]))
    table = _judged(controls, 1 - confidence)
    notes = [*_too_few(table, 1 - confidence), *notes]
    return Finding(
        title=TITLE,
        sentence=" ".join([_sentence(table, confidence), *notes]),
        method=_METHOD,
        assumes=_ASSUMES,
        numbers={
            "comparisons": len(table),
            "better": int((table["verdict"] == "better").sum()),
            "worse": int((table["verdict"] == "worse").sum()),
            "failed": failed,
        },
        tables={"comparisons": table, "found_cells": _cells(controls)},
        shown={"found minus random cells, points": _shown(table, confidence)},
    )


def _no_control(found: pd.DataFrame, alpha: float) -> str:
    """Say that there is no control, and how many random cells would be one."""
    comparisons = found.groupby(_COMPARED)["genotype"].nunique()
    needed = _FEWEST
    if (comparisons == 1).any():
        needed = max(needed, _needed(len(comparisons), alpha))
    return _NO_CONTROL.format(needed)


def _needed(comparisons: int, alpha: float) -> int:
    """Return beside how many random cells a single found one can stand out, in each comparison."""
    return ceil(comparisons / alpha - ROUNDING) - 1


def _too_few(table: pd.DataFrame, alpha: float) -> list[str]:
    """Say which comparisons may be unable to show anything, whatever the found cell is."""
    needed = _needed(int(table["p_value"].notna().sum()), alpha)
    few = (table["found"] == 1) & (table["random"] > 1) & (table["random"] < needed)
    few &= table["verdict"] != "better"  # beside one that stood out, fewer are enough
    if not few.any():
        return []
    where = "here" if len(table) == 1 else f"in {int(few.sum())} of these comparisons"
    return [
        f"To be sure that a single found cell can stand out {where}, {needed} random ones are due."
    ]


def _measured(rows: pd.DataFrame, found: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return rows that were trained like the found cells with the `accuracy` that counts."""
    _check_trained_alike(found, rows)
    return rows.assign(accuracy=accuracies(rows, metric))


def _check_trained_alike(found: pd.DataFrame, random: pd.DataFrame) -> None:
    for column, what in EXPERIMENT.items():
        values = sorted({text for rows in (found, random) for text in texts_of(rows[column])})
        if len(values) > 1:
            raise InputError(
                f"found and random cells are compared under one protocol on the same images, and "
                f"these have different {what}, {' and '.join(values)}: train random cells as the "
                "found ones were, with --random-cells N beside the searches"
            )


_COMPARED: Final = ["search", "space", "wiring"]
"""What the found cells of a comparison have in common."""

_Key = tuple[str, str, str, str]
"""Of a comparison: the search, its space, its wiring, and the wiring of the random cells."""


def _matched(
    found: pd.DataFrame, random: pd.DataFrame, confidence: float
) -> tuple[dict[_Key, Control], list[str]]:
    """Return the comparisons, and sentences on what is in none of them or only in part."""
    controls: dict[_Key, Control] = {}
    alone, used = [], set()
    for key, cells in found.groupby(_COMPARED):
        search, space, wiring = map(str, key)
        of_space = random[random["space"] == space]
        fits = [one for one in (wiring, ANY_WIRING) if (of_space["wiring"] == one).any()]
        for one in dict.fromkeys(fits):
            chance = of_space[of_space["wiring"] == one]
            controls[search, space, wiring, one] = beside_random(
                cells, chance, confidence=confidence
            )
            used.add((space, one))
        if not fits:
            alone.append(f"{search} in {space}, {wiring}")
    there = set(zip(random["space"], random["wiring"], strict=True))
    unused = [f"{space}, {wiring}" for space, wiring in sorted(there - used)]
    left_out = sum(control.left_out for control in controls.values())
    notes = []
    if alone:
        notes.append(f"Not judged, for want of random cells: {'; '.join(alone)}.")
    if unused:
        notes.append(f"Random cells of no search here: {'; '.join(unused)}.")
    if left_out:
        what = counted(left_out, "training")
        notes.append(f"Left out, since the other side lacks the seed: {what}.")
    if not all(control.seeds for control in controls.values()):
        notes.append("Where no seed is shared, what seeds differ by is in the difference.")
    return controls, notes


def _judged(controls: dict[_Key, Control], alpha: float) -> pd.DataFrame:
    """Return a row a comparison; `verdict` is 'better', 'worse', or '' where none is shown."""
    rows: list[dict[str, Any]] = []
    for (search, space, wiring, drawn), control in controls.items():
        estimate = control.estimate
        rows.append(
            {
                "search": search,
                "space": space,
                "wiring": wiring,
                "random_wiring": drawn,
                "searches": int(control.cells["searches"].sum()),
                "found": len(control.cells),
                "random": len(control.random),
                "seeds": len(control.seeds),
                "found_mean": control.cells["accuracy"].mean(),
                "random_mean": control.random.mean(),
                "difference": estimate.mean,
                "ci_low": np.nan if estimate.low is None else estimate.low,
                "ci_high": np.nan if estimate.high is None else estimate.high,
                "p_value": control.p_value,
                "rank_p": control.rank_p,
                "predicted_low": control.predicted[0],
                "predicted_high": control.predicted[1],
            }
        )
    table = pd.DataFrame(rows)
    p_holm = holm(table["p_value"])
    shown = p_holm <= alpha + ROUNDING
    # The place of a single cell says how good it is, and not how bad.
    worse = shown & (table["difference"] < 0) & (table["found"] > 1)
    verdict = np.select([shown & (table["difference"] > 0), worse], ["better", "worse"], "")
    return table.assign(p_holm=p_holm, verdict=verdict)


def _cells(controls: dict[_Key, Control]) -> pd.DataFrame:
    """Return a row a found cell and comparison; `p_holm` is over the found cells of all."""
    frames = [
        control.cells.reset_index().assign(
            search=search, space=space, wiring=wiring, random_wiring=drawn
        )
        for (search, space, wiring, drawn), control in controls.items()
    ]
    table = pd.concat(frames, ignore_index=True)
    return table.assign(p_holm=holm(table["p_value"]))


def _sentence(table: pd.DataFrame, confidence: float) -> str:
    if len(table) == 1:
        return _single(table.iloc[0], confidence)
    better, worse = (table[table["verdict"] == verdict] for verdict in ("better", "worse"))
    opening = f"Found cells do better than random ones in {len(better)} of {len(table)} comparisons"
    opening += f" ({'; '.join(map(_name, better.to_dict('records')))})" if len(better) else ""
    ending = "." if len(better) else ", so no search result is called good here."
    if len(worse):
        ending = f" and worse in {len(worse)}{ending}"
    return opening + ending


def _single(row: pd.Series[Any], confidence: float) -> str:
    cells = f"random cells of {_space(row['space'])}, {row['random_wiring']}"
    n = f"{row['found']} found"
    n += f" by {row['searches']} searches" if row["searches"] > row["found"] else ""
    n += f", {row['random']} random"
    n += f", {counted(row['seeds'], 'training seed')} in common" if row["seeds"] else ""
    if np.isnan(row["p_value"]):
        why = "one random cell is" if row["random"] == 1 else "cells that are all equal are"
        return f"Whether found cells do better than {cells} is not known: {why} no evidence ({n})."
    if row["found"] == 1:
        p_value = f"p = {row['p_value']:.2g} by its place; {n}"
        if row["verdict"] == "better":
            return f"The one found cell is better than chance gives among {cells} ({p_value})."
        return (
            f"The one found cell is not shown to be better than {cells} ({p_value}), so it is not "
            "called good here."
        )
    points = f"{100 * row['difference']:+.2f} points on average, {100 * confidence:g}% interval "
    points += f"{interval_words(row['ci_low'], row['ci_high'])}, p = {row['p_value']:.2g}"
    if row["verdict"]:
        return f"Found cells do {row['verdict']} than {cells}: {points} ({n})."
    return (
        f"No difference between found cells and {cells} was found: {points} ({n}); so no search "
        "result is called good here."
    )


def _name(row: dict[Any, Any]) -> str:
    beside = "" if row["random_wiring"] == row["wiring"] else f" beside {row['random_wiring']}"
    return f"{row['search']} in {row['space']}, {row['wiring']}{beside}"


def _space(space: str) -> str:
    return "all operations" if space == "all" else space


def _shown(table: pd.DataFrame, confidence: float) -> list[tuple[str, ...]]:
    header = ("search", "space", "wiring", "random cells", "found", "random", "difference")
    rows = [
        (
            *(str(row[name]) for name in ("search", "space", "wiring", "random_wiring")),
            *(str(row[name]) for name in ("found", "random")),
            f"{100 * row['difference']:+.2f}",
            interval_words(row["ci_low"], row["ci_high"]),
            _number(row["p_holm"]),
            interval_words(row["predicted_low"], row["predicted_high"]),
        )
        for row in table.to_dict("records")
    ]
    interval = f"{100 * confidence:g}% interval"
    return [(*header, interval, "p (Holm)", "one more random cell, %"), *rows]


def _number(p_value: float) -> str:
    return "-" if np.isnan(p_value) else f"{p_value:.2g}"
