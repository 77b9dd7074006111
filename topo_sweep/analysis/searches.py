"""What the pictures of searches show: a row a search with the accuracy of the cell it found.

Pure: frames as a store gives them go in, frames come out. The seed of the search is the unit:
the evaluations of a search are averaged before anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import METRICS, accuracies, chosen_metric, data_words, half_width

if TYPE_CHECKING:
    import pandas as pd

_EVALUATION: Final = {
    "protocol_hash": "evaluation protocols",
    "dataset": "data sets",
    "holdout": "hold-outs",
    "train_limit": "limits of training images",
    "fingerprint": "data set fingerprints",
}
_SEARCH: Final = {
    "attention": "operation attentions",
    "topology": "fixed wirings",
    "reduction_topology": "fixed reduction wirings",
    "dataset": "data sets",
}
_CHOICES: Final = {"method": "--method", "attention": "--attention", "space": "--space"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """Searches of one method whose cells were evaluated under one protocol.

    Args:
        rows: the columns of the searches and `value` (accuracy, a fraction, mean of the search's
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


def found(
    searches: pd.DataFrame,
    trials: pd.DataFrame,
    *,
    metric: str | None = None,
    method: str | None = None,
    attention: str | None = None,
    space: str | None = None,
    any_method: bool = False,
) -> Found:
    """Join searches with the evaluations of what they found.

    A diverged evaluation counts with the accuracy its network had, 0 where there is none.

    Args:
        searches: one row a search, as `ResultStore.searches` gives them.
        trials: one row an evaluation; `search_id` says of what.
        metric: 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.
        method: keep the searches of this method alone.
        attention: keep those with this operation attention alone.
        space: keep those in this space alone.
        any_method: let methods and settings of searches mix, to choose among all cells.

    Raises:
        InputError: nothing is left, or it mixes methods, settings or data (both are named).

    """
    chosen = choose(searches, method=method, attention=attention, space=space)
    if not any_method:
        check_one(chosen, {"method": "methods"} | _SEARCH)
    ended = chosen[chosen["genotype"].notna()]
    results = trials[(trials["status"] != "failed") & trials["search_id"].isin(ended["search_id"])]
    if results.empty:
        raise InputError(
            f"nothing to draw: {len(ended)} of {len(chosen)} searches found a cell, and none of "
            "these has an evaluation yet (`topo-sweep status` shows how far the run is)"
        )
    check_one(results, _EVALUATION)
    if not any_method:
        check_groups(ended)
    metric = chosen_metric(metric, holdout=int(results["holdout"].iloc[0]))
    values = results.assign(
        value=accuracies(results, metric), lost=results["status"] == "diverged"
    ).sort_values(["search_id", "value"])  # the order in which floats are added up
    averages = values.groupby("search_id").agg(value=("value", "mean"), lost=("lost", "any"))
    rows = ended.merge(averages.reset_index(), on="search_id")
    return Found(
        rows=rows.assign(lost=rows["lost"] | (rows["status"] == "diverged")),
        metric=metric,
        data=data_words(results),
        protocol_hash=str(results["protocol_hash"].iloc[0]),
        failed=len(chosen) - len(ended),
        waiting=len(ended) - len(rows),
    )


def choose(
    searches: pd.DataFrame,
    *,
    method: str | None = None,
    attention: str | None = None,
    space: str | None = None,
) -> pd.DataFrame:
    """Return the searches of a method, with an operation attention and in a space.

    Raises:
        InputError: there is none; says what there is.

    """
    if searches.empty:
        raise InputError(
            "there is no finished search to draw: start some with `topo-sweep run`, or wait "
            "(`topo-sweep status` shows how far a run is)"
        )
    rows = searches
    for column, value in (("method", method), ("attention", attention), ("space", space)):
        if value is None:
            continue
        own = rows[column].astype("string").fillna("none")
        there = sorted(set(own))
        if value not in there:
            raise InputError(f"no search has {column} {value}: there are {', '.join(there)}")
        rows = rows[own == value]
    return rows


def check_one(rows: pd.DataFrame, columns: dict[str, str]) -> None:
    """Refuse rows that differ in one of these columns; the values say what it is called.

    Raises:
        InputError: names the values and how to choose one.

    """
    for column, what in columns.items():
        values = sorted(set(rows[column].astype("string").fillna("none")))
        if len(values) > 1:
            option = _CHOICES.get(column)
            way = f"choose one with {option}" if option else "draw each as a sweep of its own"
            raise InputError(f"a picture never mixes {what}, here {' and '.join(values)}: {way}")


def check_groups(searches: pd.DataFrame) -> None:
    """Refuse searches in one space and with as many cells that differ in another setting.

    Raises:
        InputError: names both protocols.

    """
    for (operations, cells), group in searches.groupby(["operations", "cells"]):
        hashes = sorted(set(group["protocol_hash"]))
        if len(hashes) > 1:
            raise InputError(
                f"a picture never mixes search protocols, here {' and '.join(hashes)} with "
                f"{cells} cells in the space {operations}: draw each as a sweep of its own"
            )


def per_seed(rows: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return the points: `by`, `seed`, `value` (mean of `column` over the seed) and `lost`."""
    ordered = rows.sort_values([*by, "seed", column])
    marked = ordered if "lost" in ordered else ordered.assign(lost=ordered["status"] == "diverged")
    groups = marked.assign(value=marked[column].astype(float)).groupby([*by, "seed"])
    points: pd.DataFrame = groups.agg(value=("value", "mean"), lost=("lost", "any")).reset_index()
    return points


def summary(points: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return `n`, `mean`, `sd` (ddof 1), `ci_low`, `ci_high` of the points of each group.

    Intervals are 95% Student t intervals over search seeds, NaN where n = 1.
    """
    groups = points.groupby(list(by))
    values = groups["value"]
    table = values.agg(n="count", mean="mean", sd="std").assign(lost=groups["lost"].sum())
    half = half_width(table["sd"].to_numpy(dtype=float), table["n"].to_numpy(dtype=float))
    ends = {"ci_low": table["mean"] - half, "ci_high": table["mean"] + half}
    whole: pd.DataFrame = table.assign(**ends).reset_index()
    return whole
