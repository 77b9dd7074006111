"""What is shown of searches: which of them, and the accuracy of the cell that each found.

Pure: frames as a store gives them go in, frames come out. The evaluations of a search are
averaged before anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import METRICS, accuracies, averaged, chosen_metric, data_words
from topo_sweep.analysis.comparable import EXPERIMENT, check_one, nothing_finished, texts_of

if TYPE_CHECKING:
    import pandas as pd

_SETTINGS: Final = {
    "method": "methods",
    "attention": "operation attentions",
    "topology": "fixed wirings",
    "reduction_topology": "fixed reduction wirings",
    "dataset": "data sets",
}
"""Columns in which searches agree that are drawn together, and what several values are."""

SKIPS: Final = {"skips_normal": "normal cell", "skips_reduction": "reduction cell"}
"""Columns of a search that count the skip connections of what it found, and of which cell."""


@dataclass(frozen=True, kw_only=True)
class SearchQuery:
    """Which searches are asked for, and by which accuracy; None leaves it open.

    Args:
        metric: 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.
        method: those of this method alone.
        attention: those with this operation attention alone.
        space: those in this space alone.

    """

    metric: str | None = None
    method: str | None = None
    attention: str | None = None
    space: str | None = None

    def choose(self, searches: pd.DataFrame) -> pd.DataFrame:
        """Return the searches that are asked for.

        Raises:
            InputError: there is none; says what there is.

        """
        if searches.empty:
            raise nothing_finished("search to draw")
        for column in ("method", "attention", "space"):
            wanted = getattr(self, column)
            if wanted is None:
                continue
            texts = texts_of(searches[column])
            if wanted not in set(texts):
                there = ", ".join(sorted(set(texts)))
                raise InputError(f"no search has {column} {wanted}: there are {there}")
            searches = searches[texts == wanted]
        return searches


EVERYTHING: Final = SearchQuery()


@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluatedSearches:
    """Searches whose cells were evaluated under one protocol.

    Args:
        rows: the columns of the searches, `accuracy` (a fraction, the mean of the search's
            evaluations) and `lost` (whether the search or any of those diverged).
        metric: 'val' or 'test'.
        data: the data set of the evaluations and how it was split, in words.
        protocol_hash: names the protocol of the evaluations.
        failed: searches that found nothing.
        waiting: searches whose cell has no evaluation yet, or only failed ones.

    """

    rows: pd.DataFrame
    metric: str
    data: str
    protocol_hash: str
    failed: int
    waiting: int

    @property
    def metric_name(self) -> str:
        """The metric in words."""
        return METRICS[self.metric]


def join_evaluations(
    searches: pd.DataFrame,
    trials: pd.DataFrame,
    query: SearchQuery = EVERYTHING,
    *,
    any_method: bool = False,
) -> EvaluatedSearches:
    """Join searches with the evaluations of what they found.

    A diverged evaluation counts with the accuracy its network had, 0 where there is none.

    Args:
        searches: one row a search, as `ResultStore.searches` gives them.
        trials: one row an evaluation; `search_id` says of what.
        query: which of the searches, and which accuracy.
        any_method: let methods and settings of searches mix, to choose among all cells.

    Raises:
        InputError: nothing is left, or it mixes methods, settings or data (both are named).

    """
    chosen = query.choose(searches)
    if not any_method:
        check_one(chosen, _SETTINGS)
    ended = chosen[chosen["genotype"].notna()]
    results = trials[(trials["status"] != "failed") & trials["search_id"].isin(ended["search_id"])]
    if results.empty:
        raise InputError(
            f"nothing to draw: {len(ended)} of {len(chosen)} searches found a cell, and none of "
            "these has an evaluation yet (`topo-sweep status` shows how far the run is)"
        )
    check_one(results, EXPERIMENT | {"protocol_hash": "evaluation protocols"})
    if not any_method:
        for (operations, cells), group in ended.groupby(["operations", "cells"]):
            where = f" with {cells} cells in the space {operations}"
            check_one(group, {"protocol_hash": "search protocols"}, where)
    metric = chosen_metric(query.metric, holdout=int(results["holdout"].iloc[0]))
    results = results.assign(accuracy=accuracies(results, metric))
    means = averaged(results, ["search_id"], "accuracy").rename(columns={"value": "accuracy"})
    rows = ended.merge(means, on="search_id")
    return EvaluatedSearches(
        rows=rows.assign(lost=rows["lost"] | (rows["status"] == "diverged")),
        metric=metric,
        data=data_words(results),
        protocol_hash=str(results["protocol_hash"].iloc[0]),
        failed=len(chosen) - len(ended),
        waiting=len(ended) - len(rows),
    )


def chosen_search(
    searches: pd.DataFrame, *, search_id: str | None = None, seed: int | None = None
) -> pd.Series[Any]:
    """Return the newest search, of those with this seed, or the one whose id starts so.

    Raises:
        InputError: there is none, or the beginning of the id fits several.

    """
    if searches.empty:
        raise nothing_finished("search to draw")
    rows = searches.sort_values(["finished_at", "search_id"])
    if search_id is not None:
        rows = rows[rows["search_id"].str.startswith(search_id)]
        if len(rows) > 1:
            raise InputError(f"{search_id} is the beginning of {len(rows)} search ids: give more")
    if seed is not None:
        rows = rows[rows["seed"] == seed]
    if rows.empty:
        what = f"--search {search_id}" if search_id is not None else f"--seed {seed}"
        seeds = ", ".join(map(str, sorted(set(searches["seed"]))))
        raise InputError(
            f"no search fits {what}: there are {len(searches)}, such as "
            f"{searches['search_id'].iloc[-1]}, with seeds {seeds}"
        )
    return rows.iloc[-1]
