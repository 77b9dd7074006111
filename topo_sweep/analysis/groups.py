"""Means of groups over seeds, as rankings, choices and pictures show them. Pure.

The seed is the unit: what was measured with one seed is averaged first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from topo_sweep.analysis.accuracy import half_width

if TYPE_CHECKING:
    import pandas as pd


def averaged(rows: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return a row for each group, the same whatever the order of the rows.

    Args:
        rows: `by`, `column`, and `lost` (whether something diverged) or else `status`.
        by: columns that name a group.
        column: what was measured.

    Returns:
        `by`, `value` (the mean of `column`) and `lost` (whether any row of the group is).

    """
    rows = rows.sort_values([*by, column])  # the order in which floats are added up
    lost = rows["lost"] if "lost" in rows else rows["status"] == "diverged"
    groups = rows.assign(value=rows[column].astype(float), lost=lost).groupby(list(by))
    means: pd.DataFrame = groups.agg(value=("value", "mean"), lost=("lost", "any")).reset_index()
    return means


def per_seed(rows: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return the points of each group, as `averaged` gives them: one a `seed`."""
    return averaged(rows, [*by, "seed"], column)


def summary(points: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return `by`, `n`, `mean`, `sd` (ddof 1), `lost`, `ci_low` and `ci_high` of each group.

    `n` counts the points, `lost` those that are. `ci_*` are the ends of a 95% Student t interval;
    they and `sd` are NaN where n is 1.
    """
    groups = points.groupby(list(by))
    table = groups["value"].agg(n="count", mean="mean", sd="std").assign(lost=groups["lost"].sum())
    half = half_width(table["sd"], table["n"])
    ends = {"ci_low": table["mean"] - half, "ci_high": table["mean"] + half}
    whole: pd.DataFrame = table.assign(**ends).reset_index()
    return whole
