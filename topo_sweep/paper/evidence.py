"""What sweeps give a comparison with the paper: their rows, joined, grouped and told in words.

No store is opened here, and nothing is known of a table of the paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import PRESETS, Protocol
from topo_sweep.analysis import searches as searching
from topo_sweep.analysis.accuracy import accuracies, data_words, group_means
from topo_sweep.analysis.selection import chosen_on_test_images
from topo_sweep.analysis.text import counted
from topo_sweep.store.precedence import merged

DATA: Final = ("dataset", "holdout", "train_limit", "fingerprint")
"""Columns that say which images; rows that differ in one are never averaged."""

SETTING: Final = ("protocol_hash", *DATA)

SKIPS: Final[Mapping[str, tuple[str, ...]]] = {
    **{cell: (column,) for column, cell in searching.SKIPS.items()},
    "both cells": tuple(searching.SKIPS),
}
"""The columns that count the skip connections of a cell, or of both, by its name."""

CHOSEN: Final = "chosen on the test images: optimistic"
"""The note of a number whose cell a sweep took as `found:` or the like; see `chosen_notes`."""

_DEEP = 10
"""Cells from which on a network is taken for a final one; the paper has 5 and 20."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """One sweep.

    Args:
        name: its folder's name.
        trials: one row a training, as its store gives them: with all columns also where there is
            no row.
        searches: one row a search, likewise.
        protocols: of its trainings, by hash; presets are known without it.
        search_protocols: of its searches, by hash.
        layout: the form in which its images were found.
        origins: where its networks or wirings come from, as its requests say.
        seeds_beforehand: of an adaptive sweep those that were asked for before any result was
            there; None of another, in which results chose none.

    """

    name: str
    trials: pd.DataFrame
    searches: pd.DataFrame
    protocols: Mapping[str, Protocol]
    search_protocols: Mapping[str, SearchProtocol]
    layout: str
    origins: Sequence[str] = ()
    seeds_beforehand: Sequence[int] | None = None

    def marked(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows of this sweep with the columns that `Evidence` names for both."""
        beforehand = self.seeds_beforehand
        return rows.assign(
            source=self.name,
            layout=self.layout,
            chosen=" ".join(chosen_on_test_images(self.origins)),
            adaptive=beforehand is not None,
            beforehand=True if beforehand is None else rows["seed"].isin(beforehand),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluated:
    """Searches that found a cell, and their shallow evaluations by one setting.

    Args:
        searches: with the mean `accuracy` (percent) and `parameters` of each search's evaluations
            in place of those of its supernet, NaN where it has none.
        trials: the evaluations, failed ones included; no rows before the first.
        counted: the evaluations that did not fail.
        search_notes: sentences on searches that are left out or diverged.
        trial_notes: likewise on evaluations.

    """

    searches: pd.DataFrame
    trials: pd.DataFrame
    counted: pd.DataFrame
    search_notes: list[str]
    trial_notes: list[str]

    def means(self, column: str) -> pd.Series[float]:
        """Return `accuracy` or `parameters` of the searches that have it, by search id."""
        values: pd.Series[float] = self.searches.set_index("search_id")[column]
        return values.dropna().sort_index()


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """The rows of several sweeps, each training and each search once.

    Both have the further columns `source`, `layout`, `chosen` (a sentence if test accuracy chose
    what the sweep trains, else ''), `adaptive` (whether results chose who got more seeds there) and
    `beforehand` (whether they did not choose this seed); `searches` also has `pooling` ('max' or
    'avg', by its operations); `trials` also has `role` ('shallow' or
    'final'), `accuracy` (test accuracy of the last epoch in percent, NaN for a failed training, 0
    for a diverged one without any) and `search_seed` of the search that it evaluates.
    """

    trials: pd.DataFrame
    searches: pd.DataFrame
    protocols: Mapping[str, Protocol]
    search_protocols: Mapping[str, SearchProtocol]

    def shallow_evaluations(self, searches: pd.DataFrame) -> pd.DataFrame:
        """Return the evaluations of these searches, of any setting."""
        trials = self.trials
        of_search = trials["search_id"].isin(searches["search_id"])
        return trials[of_search & (trials["role"] == "shallow")]

    def evaluated(self, searches: pd.DataFrame, columns: Sequence[str]) -> Iterator[Evaluated]:
        """Yield searches that agree in these columns, once a setting of their evaluations."""
        for group in groups(searches, columns):
            successful, search_notes = usable(group, "genotype")
            if successful.empty:
                continue
            evaluations = self.shallow_evaluations(group)
            for trials in list(groups(evaluations, SETTING)) or [evaluations]:
                counting, trial_notes = usable(trials, "accuracy")
                evaluated = successful
                for column in ("accuracy", "parameters"):
                    means = group_means(counting, ["search_id"], column).set_index("search_id")
                    accuracy = evaluated["search_id"].map(means["value"])
                    evaluated = evaluated.assign(**{column: accuracy})
                yield Evaluated(
                    searches=evaluated,
                    trials=trials,
                    counted=counting,
                    search_notes=search_notes,
                    trial_notes=trial_notes,
                )


def gather(sources: Sequence[Source]) -> Evidence:
    """Join trainings with the searches that found their cells.

    The same sweep given twice, or a copy of it, changes nothing. Of a row that several sweeps hold
    the one counts that a store would give: ok before diverged before failed.
    """
    # Sweeps may share searches: those of SS1 are in `depth` and in `subspaces`. The sweep with the
    # most searches comes first and is named as the source of what it shares.
    sources = sorted(sources, key=lambda source: -len(source.searches))
    protocols = {preset.protocol_hash: preset for preset in PRESETS.values()}
    search_protocols: dict[str, SearchProtocol] = {}
    for source in sources:
        protocols |= source.protocols
        search_protocols |= source.search_protocols
    searches = _merged([source.marked(source.searches) for source in sources], "search_id")
    pooling = searches["operations"].str.extract("(max|avg)_pool", expand=False)
    trials = _merged([source.marked(source.trials) for source in sources], "trial_id")
    roles = {key: role(protocols.get(key)) for key in trials["protocol_hash"].unique()}
    trials = trials.assign(
        accuracy=100 * accuracies(trials[trials["status"] != "failed"], "test"),
        role=trials["protocol_hash"].map(roles),
        search_seed=trials["search_id"].map(searches.set_index("search_id")["seed"]),
    )
    return Evidence(
        trials=trials,
        searches=searches.assign(pooling=pooling),
        protocols=protocols,
        search_protocols=search_protocols,
    )


def _merged(frames: Sequence[pd.DataFrame], key: str) -> pd.DataFrame:
    """Return the rows of all frames, a key once, as rows of the first sweep that holds the key.

    Figure 2 is made of the searches of one sweep, so a search stays in the larger one also where
    the row that counts comes from a smaller one.
    """
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    rows = merged(filled, key)
    if key == "search_id":
        first = pd.concat(filled).drop_duplicates(key).set_index(key)["source"]
        rows = rows.assign(source=rows[key].map(first))
    return rows


def role(protocol: Protocol | None) -> str:
    """Return which of the paper's two evaluations a protocol stands for, also at a small size.

    'final' has an auxiliary head or ten cells and more; all else is 'shallow', and what is not
    as in the paper is said beside the numbers.
    """
    deep = protocol is not None and (protocol.auxiliary or protocol.cells >= _DEEP)
    return "final" if deep else "shallow"


def groups(rows: pd.DataFrame, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield the rows that agree in all these columns, a missing value being one of its own."""
    for _, group in rows.groupby(list(columns), dropna=False, sort=True):
        yield group


def settings_with_results(trials: pd.DataFrame) -> list[pd.DataFrame]:
    """Return trainings, a frame a setting; settings in which all failed are left out."""
    return [rows for rows in groups(trials, SETTING) if rows["accuracy"].notna().any()]


def skip_counts(searches: pd.DataFrame, columns: Sequence[str]) -> pd.Series[float]:
    """Return how many skip connections each search found in the cells of these columns."""
    counts: pd.Series[float] = searches[list(columns)].astype(float).sum(axis=1)
    return counts


def usable(rows: pd.DataFrame, result: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that have a result, and sentences on those that have none or diverged.

    Args:
        rows: trainings or searches, with `status`.
        result: the column of the result: 'accuracy' of a training, 'genotype' of a search.

    """
    noun = "training" if result == "accuracy" else "search"
    kept = rows[rows[result].notna()]
    sentences = []
    if failed := len(rows) - len(kept):
        sentences.append(f"Left out as failed: {counted(failed, noun)}.")
    if diverged := int((kept["status"] == "diverged").sum()):
        sentences.append(f"Counted although diverged: {counted(diverged, noun)}.")
    return kept, sentences


def chosen_notes(rows: pd.DataFrame) -> list[str]:
    """Return by which test accuracy the networks of these rows were chosen, a sentence a sweep."""
    chosen = rows.loc[rows["chosen"] != "", ["source", "chosen"]].drop_duplicates()
    return [f"{source}: {said}" for source, said in chosen.itertuples(index=False)]


def setting_text(rows: pd.DataFrame) -> str:
    """Return data, protocol and sweeps of trainings of one setting, in words."""
    return f"ours: {data_words(rows)}; {protocol_text(rows)}"


def protocol_text(rows: pd.DataFrame) -> str:
    """Return protocol and sweeps of trainings of one setting, in words."""
    key = str(rows["protocol_hash"].iloc[0])
    names = [name for name, preset in PRESETS.items() if preset.protocol_hash == key]
    return f"protocol {names[0] if names else key}, {sweeps_text(rows)}"


def sweeps_text(rows: pd.DataFrame) -> str:
    """Return which sweeps the rows come from."""
    names = sorted(set(rows["source"]))
    return f"{'sweep' if len(names) == 1 else 'sweeps'} {', '.join(names)}"
