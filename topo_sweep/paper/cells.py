"""Tables III and IV of the paper, single cells evaluated, beside our evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd
from scipy.stats import kendalltau

from nas_core.cells.genotype import Genotype, known_name
from nas_core.protocols.training import stable_hash
from topo_sweep.analysis.accuracy import data_words
from topo_sweep.analysis.text import aligned
from topo_sweep.paper.differences import (
    evaluation_differences,
    search_differences,
)
from topo_sweep.paper.evidence import (
    DATA,
    SETTING,
    Evidence,
    groups,
    has_results,
    protocol_text,
    setting_text,
    usable,
)
from topo_sweep.paper.published import find, printed, rows_of
from topo_sweep.paper.records import Comparison, Entry, beside, entry, estimate, shown

SHALLOW_PARAMETERS: Final[Mapping[str, int]] = {
    "DARTS_V1": 123_098,
    "DARTS_V2": 129_706,
    "PDARTS": 180_442,
    "PC_DARTS": 222_362,
}
"""Of the cells of Table III in 5 cells, 16 channels, 10 classes: counted, not printed."""

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

_FOUR_CELLS: Final = (
    "With four cells the least two-sided p of a Kendall tau is 2/24 = 0.08: no order of four is "
    "evidence at 5%."
)


def table_3(evidence: Evidence) -> list[Comparison]:
    """Compare known cells on the shallow and on the final protocol; training seeds are the unit."""
    trials = evidence.trials
    if trials.empty:
        return []
    names = {text: known_name(Genotype.from_string(text)) for text in trials["genotype"].unique()}
    named = trials.assign(network=trials["genotype"].map(names))
    known = named[
        named["network"].isin(SHALLOW_PARAMETERS)
        & named["search_id"].isna()
        & (named["dataset"] != "cifar100")  # the table's accuracies are on CIFAR-10
    ]
    found = []
    for images in groups(known, DATA):
        if not has_results(images):
            continue
        shallow, final = (
            [own for own in groups(images[images["role"] == role], SETTING) if has_results(own)]
            or [images.iloc[:0]]
            for role in ("shallow", "final")
        )
        found += [_table_3(evidence, {"shallow": a, "final": b}) for a in shallow for b in final]
    return found


def _table_3(evidence: Evidence, rows: Mapping[str, pd.DataFrame]) -> Comparison:
    entries, differs, notes, means = [], [], [], {}
    for role, own in rows.items():
        if own.empty:
            continue
        kept, more = usable(own, "accuracy")
        notes += [f"{role}: {note}" for note in more]
        differs += [
            f"{role} {text}" if text.startswith("evaluation") else text
            for text in evaluation_differences(evidence, own, role)
        ]
        seeds = kept.groupby(["network", "seed"])["accuracy"].mean()
        estimates = {name: estimate(seeds.get(name, ())) for name in SHALLOW_PARAMETERS}
        means[role] = {name: own.mean for name, own in estimates.items() if own is not None}
        entries += [
            entry(
                f"{role} test accuracy, %",
                name,
                found,
                **beside(printed("3", name, f"{role}_accuracy_percent")),
            )
            for name, found in estimates.items()
        ]
    sizes = rows["shallow"].groupby("network")["parameters"].first().dropna()
    counts = {str(name): float(size) for name, size in sizes.items()}
    entries += [
        _tau("shallow and final accuracy", "final_accuracy_percent", means.get("final", {}), means),
        _tau("shallow accuracy and parameters", None, counts, means),
    ]
    present = {name: own for name, own in rows.items() if len(own)}
    images = data_words(next(iter(present.values())))
    protocols = "; ".join(f"{name}: {protocol_text(own)}" for name, own in present.items())
    return Comparison(
        table="3",
        title="Table III: known cells, shallow and final accuracy",
        setting=f"ours: {images}; {protocols}; n counts training seeds",
        differs=tuple(dict.fromkeys(differs)),
        entries=tuple(entries),
        notes=(*notes, _FOUR_CELLS, _size_note()),
    )


def _size_note() -> str:
    sizes = ", ".join(f"{SHALLOW_PARAMETERS[name]:,}" for name in rows_of("3"))
    return (
        "In the paper the order by shallow accuracy is exactly the order by parameters of the "
        f"shallow networks ({sizes}; counted by us), so shallow accuracy cannot be told from size."
    )


def _tau(
    row: str,
    column: str | None,
    other: Mapping[str, float],
    means: Mapping[str, Mapping[str, float]],
) -> Entry:
    """Return Kendall's tau between shallow accuracy and something else, ours and the paper's."""
    shallow = means.get("shallow", {})
    names = [name for name in SHALLOW_PARAMETERS if name in shallow and name in other]
    paper_other = [
        SHALLOW_PARAMETERS[name] if column is None else printed("3", name, column).number
        for name in SHALLOW_PARAMETERS
    ]
    paper = [printed("3", name, "shallow_accuracy_percent").number for name in SHALLOW_PARAMETERS]
    tau, p_value = _kendall(paper, paper_other)
    ours, our_p = _kendall([shallow[name] for name in names], [other[name] for name in names])
    return Entry(
        quantity="Kendall tau of the cells' means",
        row=row,
        ours=ours,
        n=len(names) if ours is not None else 0,
        theirs=f"{tau:.2f} (p {p_value:.2f})",
        theirs_value=tau,
        note="" if our_p is None else f"ours: exact p {our_p:.2f}; n counts cells",
    )


def _kendall(first: Sequence[float], second: Sequence[float]) -> tuple[float | None, float | None]:
    """Return tau and its exact two-sided p, None where undefined.

    Fewer than three pairs or equal values throughout have no tau, and ties no exact p.
    """
    fewest = min(len(set(first)), len(set(second)))
    if len(first) < 3 or fewest == 1:
        return None, None
    if fewest < len(first):
        return float(kendalltau(first, second).statistic), None
    result = kendalltau(first, second, method="exact")
    return float(result.statistic), float(result.pvalue)


def table_4(evidence: Evidence) -> list[Comparison]:
    """Compare final evaluations on CIFAR-10 or CIFAR-100, a cell a row."""
    trials = evidence.trials
    if trials.empty:
        return []
    final = trials[(trials["role"] == "final") & trials["dataset"].isin(["cifar10", "cifar100"])]
    return [_table_4(evidence, group) for group in groups(final, SETTING) if has_results(group)]


def _table_4(evidence: Evidence, rows: pd.DataFrame) -> Comparison:
    kept, notes = usable(rows, "accuracy")
    dataset = str(kept["dataset"].iloc[0])
    # A training that names its search comes before others of the same cell, and speaks for them.
    kept = kept.sort_values("search_id", kind="stable")
    named = kept.assign(label=[_label(row, _finders(evidence, row)) for _, row in kept.iterrows()])
    entries: list[Entry] = []
    searches = [evidence.searches.iloc[:0]]
    for label, own in named.groupby("label"):
        first = own.iloc[0]
        found = _finders(evidence, first)
        searches.append(found)
        counterpart = _counterpart(first, found)
        said = [f"beside {counterpart}"] if counterpart else []
        if len(found) > 1:
            said.append(f"found by {len(found)} searches")
            notes.append(_found_by(str(label), found))
        errors = 100 - own.groupby("seed")["accuracy"].mean()
        name = str(label)
        entries += [
            entry(
                "test error, %",
                name,
                estimate(errors),
                note="; ".join(said),
                **_table_4_value(counterpart, f"{dataset}_test_error_percent"),
            ),
            Entry(
                quantity="parameters, millions",
                row=name,
                ours=float(first["parameters"]) / 1e6,
                **_table_4_value(counterpart, "parameters_million"),
            ),
        ]
        if len(found):
            days = find("4", counterpart, "search_gpu_days")
            entries.append(
                Entry(
                    quantity="search, days (paper: GPU days)",
                    row=name,
                    ours=float(found["search_seconds"].iloc[0]) / _DAY,
                    theirs=days.value if days else "",
                    note=f"on {found['device'].iloc[0]}",
                    decimals=None,
                )
            )
    return Comparison(
        table="4",
        title=f"Table IV: final evaluation on {dataset}",
        setting=f"{setting_text(kept)}; n counts training seeds of one cell",
        differs=(
            *evaluation_differences(evidence, kept, "final", dataset),
            *search_differences(evidence, _each_once(searches)),
        ),
        entries=tuple(sorted(entries, key=lambda own: _ORDER.index(own.quantity))),
        notes=tuple(notes),
        extra="\n".join(["All rows of the paper's Table IV, as printed:", *_all_printed()]),
    )


_ORDER: Final = ("test error, %", "parameters, millions", "search, days (paper: GPU days)")


def _finders(evidence: Evidence, row: pd.Series[Any]) -> pd.DataFrame:
    """Return the searches that found the cell of a training, that which it names first.

    Where it names none (so `evaluate`, `promote` and cells given as found: train), all that found
    its genotype, none for a known cell.
    """
    searches = evidence.searches
    if searches.empty or (pd.isna(row["search_id"]) and _known(row)):
        return searches.iloc[:0]
    same = searches[
        (searches["genotype"] == row["genotype"]) | (searches["search_id"] == row["search_id"])
    ].sort_values(["method", "dataset", "seed", "search_id"])
    others = same["search_id"] != row["search_id"]
    found: pd.DataFrame = pd.concat([same[~others], same[others]])
    return found


def _known(row: pd.Series[Any]) -> str | None:
    return known_name(Genotype.from_string(row["genotype"]))


def _search_label(search: pd.Series[Any]) -> str:
    found = f"{search['method']} on {search['dataset']}"
    return f"{found}, seed {search['seed']} ({search['search_id'][:6]})"


def _found_by(label: str, searches: pd.DataFrame) -> str:
    """Return the sentence on a cell that several searches found."""
    names = "; ".join(_search_label(row) for _, row in searches.iterrows())
    return (
        f"{label}: {len(searches)} searches found this cell: {names}. Label and search days are "
        "of the first."
    )


def _each_once(searches: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(searches).drop_duplicates("search_id") if len(searches) > 1 else searches[0]


def _label(row: pd.Series[Any], finders: pd.DataFrame) -> str:
    """Return what people call the cell of a row."""
    if len(finders):
        return _search_label(finders.iloc[0])
    genotype = Genotype.from_string(row["genotype"])
    if name := known_name(genotype):
        return name
    return f"cell {stable_hash(str(genotype), digits=6)}"


def _counterpart(row: pd.Series[Any], finders: pd.DataFrame) -> str:
    """Return the row of the paper's table that this cell belongs beside; '' for none.

    Also where several searches found it that belong beside different rows, and it names none.
    """
    if finders.empty:
        return COUNTERPARTS.get(_known(row) or "", "")
    own = finders if pd.isna(row["search_id"]) else finders[:1]
    rows = set()
    for method, dataset in zip(own["method"], own["dataset"], strict=True):
        rows.add(COUNTERPARTS.get(f"{method} {dataset}", COUNTERPARTS.get(method, "")))
    return rows.pop() if len(rows) == 1 else ""


def _table_4_value(row: str, column: str) -> dict[str, Any]:
    return beside(find("4", row, column))


def _all_printed() -> list[str]:
    columns = {
        "architecture": None,
        "CIFAR-10 error %": "cifar10_test_error_percent",
        "CIFAR-100 error %": "cifar100_test_error_percent",
        "params M": "parameters_million",
        "GPU days": "search_gpu_days",
        "method": "method",
    }
    rows = [
        [row if key is None else _printed_or_dash(row, key) for key in columns.values()]
        for row in rows_of("4")
    ]
    return aligned([list(columns), *rows], left=(0, 5))


def _printed_or_dash(row: str, column: str) -> str:
    value = find("4", row, column)
    return value.value if value else shown(None)
