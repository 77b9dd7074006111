"""How well one ranking stands for another: few epochs, other seeds, other images, other sweeps.

Beside what was compared stands what can be reached at all: the agreement of a sweep with itself,
and how many of the true best its ranking holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from topo_sweep.analysis.design import Design
from topo_sweep.analysis.findings import Finding, Number
from topo_sweep.analysis.inference.comparisons import (
    Comparison,
    balanced,
    of_epochs,
    of_halves,
    of_images,
    of_members,
    of_sweeps,
)
from topo_sweep.analysis.statistics.agreement import MOST_PAIRED, Agreement, tau_text
from topo_sweep.analysis.statistics.recall import recalls, shown_recalls
from topo_sweep.analysis.text import counted


def proxies_finding(
    design: Design,
    trials: pd.DataFrame,
    curves: pd.DataFrame | None = None,
    others: Sequence[tuple[str, Design]] = (),
    *,
    unsuitable: Sequence[str] = (),
    confidence: float = 0.95,
) -> Finding:
    """Say how far the ranking agrees with itself, and other rankings with it.

    Args:
        design: the groups and their accuracies.
        trials: the rows that it is made of.
        curves: their learning curves as `topo_sweep.load_curves` gives them; None leaves out the
            comparison of epochs.
        others: designs of other sweeps with what they are, such as ('the final evaluation', ...).
        unsuitable: sentences on those that are left out.
        confidence: of the intervals.

    """
    halves = of_halves(design, confidence=confidence)
    comparisons = [halves, of_members(design, confidence=confidence)]
    if curves is not None:
        comparisons += of_epochs(design, trials, curves, confidence=confidence)
    comparisons.append(of_images(design, trials, confidence=confidence))
    comparisons += [
        of_sweeps(design, other, f"this sweep against {what}", confidence=confidence)
        for what, other in others
    ]
    table = balanced(design.table)
    recall = recalls(table)
    numbers: dict[str, Number] = {"groups": table.shape[1], "seeds": table.shape[0]}
    if (ceiling := halves.across) is not None:
        numbers |= {
            "ceiling": ceiling.tau,
            "ceiling_low": ceiling.low,
            "ceiling_high": ceiling.high,
        }
    shown = {"Kendall's tau": _shown(comparisons, confidence)}
    return Finding(
        title="what stands for what",
        sentence=" ".join([_sentence(design, halves, recall, confidence), *unsuitable]),
        method="Kendall's tau-b, its interval by leaving out each group in turn; recall by "
        "simulation from the variance between groups and within",
        assumes="groups as a sample; for recall normal true values and equal, independent noise",
        numbers=numbers,
        tables={"comparisons": _rows(comparisons), "recall": recall},
        shown=shown | ({"recall": shown_recalls(recall)} if len(recall) else {}),
    )


def _sentence(design: Design, halves: Comparison, recall: pd.DataFrame, confidence: float) -> str:
    if halves.across is None:
        why = halves.note or "all means are equal"
        return f"How far this ranking agrees with itself is unknown: {why}."
    groups = counted(halves.across.n, design.unit)
    tau = tau_text(halves.across, confidence=confidence)
    ceiling = (
        f"Half of the seeds ranks like the other half with Kendall's tau = {tau} over {groups}, "
        f"{halves.seeds} seeds; a repetition with as many would agree as well"
    )
    most = recall[recall["seeds"] == recall["seeds"].max()].to_dict("records")
    if not most:
        return f"{ceiling}."
    row = next((row for row in most if row["best"] == 10), most[-1])
    best = int(row["best"])
    many = (
        f" Intervals of tau compare all pairs, and are left out above {MOST_PAIRED} groups."
        if halves.across.n > MOST_PAIRED
        else ""
    )
    return (
        f"{ceiling}; {row['recall'] * best:.1f} of the true best {best} are expected among the "
        f"{best} best means at hand ({row['chance'] * best:.1f} by chance).{many}"
    )


def _rows(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    rows = []
    for each in comparisons:
        row: dict[str, object] = {"what": each.what, "joined": each.joined, "seeds": each.seeds}
        for name, found in (("", each.same), ("across_", each.across)):
            row[f"{name}n"] = None if found is None else found.n
            for part in ("tau", "low", "high"):
                row[f"{name}{part}"] = None if found is None else getattr(found, part)
        rows.append(row | {"note": each.note})
    return pd.DataFrame(rows).astype(
        {
            f"{side}{part}": "Int64" if part == "n" else float
            for side in ("", "across_")
            for part in ("n", "tau", "low", "high")
        }
    )


def _shown(comparisons: Sequence[Comparison], confidence: float) -> list[tuple[str, ...]]:
    header = ("comparison", "groups", "seeds", "as they are", "across halves of seeds", "note")
    rows: list[tuple[str, ...]] = [header]
    for each in comparisons:
        known = each.same or each.across
        groups = "-" if known is None else str(known.n)
        taus = tuple(_short(found, confidence) for found in (each.same, each.across))
        rows.append((each.what, groups, each.seeds or "-", *taus, each.note))
    return rows


def _short(found: Agreement | None, confidence: float) -> str:
    words = tau_text(found, confidence=confidence)
    return words.replace(f"{100 * confidence:g}% interval ", "")
