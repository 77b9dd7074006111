"""What sweeps give a comparison with the paper.

Rows are joined with their searches here; no store is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import PRESETS, Protocol
from topo_sweep.analysis.accuracy import accuracies, data_words
from topo_sweep.analysis.text import counted
from topo_sweep.store.statuses import merged

DATA: Final = ("dataset", "holdout", "train_limit", "fingerprint")
"""Columns that say which images; rows that differ in one are never averaged."""

SETTING: Final = ("protocol_hash", *DATA)

ORIGINAL_LAYOUT: Final = "torchvision layout"
"""How the layout of CIFAR's original files begins."""

_DEEP = 10
"""Cells from which on a network is taken for a final one; the paper has 5 and 20."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """One sweep.

    Args:
        name: its folder's name.
        trials: one row a training, as its store gives them.
        searches: one row a search; no rows or columns for a sweep without any.
        protocols: of its trainings, by hash.
        search_protocols: of its searches, by hash, as far as they are known; of others only
            what stands in their rows can be compared.
        layout: the form in which its images were found.

    """

    name: str
    trials: pd.DataFrame
    searches: pd.DataFrame
    protocols: Mapping[str, Protocol]
    layout: str
    search_protocols: Mapping[str, SearchProtocol] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """The rows of several sweeps, each training and each search once.

    `trials` has further columns: `source`, `layout`, `role` ('shallow' or 'final'), `accuracy`
    (test accuracy of the last epoch in percent, NaN for a failed training, 0 for a diverged one
    without any) and those of the search that it evaluates with `found_` before their names.
    """

    trials: pd.DataFrame
    searches: pd.DataFrame
    protocols: Mapping[str, Protocol]
    search_protocols: Mapping[str, SearchProtocol]


def gather(sources: Sequence[Source]) -> Evidence:
    """Join trainings with the searches that found their cells.

    The same sweep given twice, or a copy of it, changes nothing. Of a row that several sweeps hold
    the one counts that a store would give: ok before diverged before failed.
    """
    # Sweeps may share searches (those of SS1 are in `depth` and `subspaces`): the larger one, of
    # which a whole figure is made, keeps them, also where they succeeded in another one alone.
    sources = sorted(sources, key=lambda source: -len(source.searches))
    protocols = {key: value for source in sources for key, value in source.protocols.items()}
    of_searches = {k: value for source in sources for k, value in source.search_protocols.items()}
    found = [_marked(s.searches, s) for s in sources if len(s.searches)]
    searches = merged(found, "search_id")
    if found:
        keepers = pd.concat([own[["search_id", "source"]] for own in found])
        by_id = keepers.drop_duplicates("search_id").set_index("search_id")["source"]
        searches = searches.assign(source=searches["search_id"].map(by_id))
    trials = merged([_marked(s.trials, s) for s in sources if len(s.trials)], "trial_id")
    if len(trials):
        trials = _described(trials, searches, protocols)
    return Evidence(
        trials=trials, searches=searches, protocols=protocols, search_protocols=of_searches
    )


def _described(
    trials: pd.DataFrame, searches: pd.DataFrame, protocols: Mapping[str, Protocol]
) -> pd.DataFrame:
    """Return the trials with the further columns of `Evidence`."""
    accuracy = 100 * accuracies(trials[trials["status"] != "failed"], "test")
    roles = {key: role(protocols.get(key)) for key in trials["protocol_hash"].unique()}
    trials = trials.assign(accuracy=accuracy, role=trials["protocol_hash"].map(roles))
    if len(searches):
        found = searches.add_prefix("found_").rename(columns={"found_search_id": "search_id"})
        trials = trials.merge(found, on="search_id", how="left")
    return trials


def role(protocol: Protocol | None) -> str:
    """Return which of the paper's two evaluations a protocol stands for, also at a small size.

    'final' has an auxiliary head or ten cells and more; all else is 'shallow', and what is not
    as in the paper is said beside the numbers.
    """
    deep = protocol is not None and (protocol.auxiliary or protocol.cells >= _DEEP)
    return "final" if deep else "shallow"


def groups(rows: pd.DataFrame, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield the rows that agree in all these columns, a missing value being one of its own."""
    if len(rows):
        for _, group in rows.groupby(list(columns), dropna=False, sort=True):
            yield group


def shallow_evaluations(evidence: Evidence, searches: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the evaluations of these searches, a frame a setting; one without rows for none."""
    trials = evidence.trials
    if trials.empty:
        return [trials]
    own = trials[trials["search_id"].isin(searches["search_id"]) & (trials["role"] == "shallow")]
    return list(groups(own, SETTING)) or [own]


def has_results(trials: pd.DataFrame) -> bool:
    """Whether any of these trainings did not fail."""
    return bool(len(trials)) and bool(trials["accuracy"].notna().any())


def usable(rows: pd.DataFrame, result: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that have a result, and sentences on those that have none or diverged.

    Args:
        rows: trainings or searches, with `status`.
        result: the column of the result: 'accuracy' of a training, 'genotype' of a search.

    """
    what = "training" if result == "accuracy" else "search"
    kept = rows[rows[result].notna()]
    notes = []
    if count := len(rows) - len(kept):
        notes.append(f"Left out as failed: {counted_of(count, what)}.")
    if count := int((kept["status"] == "diverged").sum()):
        notes.append(f"Counted although diverged: {counted_of(count, what)}.")
    return kept, notes


def counted_of(count: int, noun: str) -> str:
    """Return '1 search' or '2 searches'."""
    return f"{count:,} searches" if noun == "search" and count != 1 else counted(count, noun)


def setting_text(rows: pd.DataFrame) -> str:
    """Return data, protocol and sweeps of trainings of one setting, in words."""
    return f"ours: {data_words(rows)}; {protocol_text(rows)}"


def protocol_text(rows: pd.DataFrame) -> str:
    """Return protocol and sweeps of trainings of one setting, in words."""
    key = str(rows["protocol_hash"].iloc[0])
    names = [name for name, own in PRESETS.items() if own.protocol_hash == key]
    return f"protocol {names[0] if names else key}, {sweeps_text(rows)}"


def sweeps_text(rows: pd.DataFrame) -> str:
    """Return which sweeps the rows come from."""
    names = sorted(set(rows["source"]))
    return f"{'sweep' if len(names) == 1 else 'sweeps'} {', '.join(names)}"


def _marked(rows: pd.DataFrame, source: Source) -> pd.DataFrame:
    return rows.assign(source=source.name, layout=source.layout)
