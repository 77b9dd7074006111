"""Which accuracy of a trial counts, what it is called, and means over seeds with their intervals.

The seed is the unit: what was measured with one seed is averaged first. Pure: rows as a store
gives them go in. Rankings, choices, tables and pictures share this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from nas_core.errors import InputError
from topo_sweep.analysis.text import counted

if TYPE_CHECKING:
    import pandas as pd

METRICS: Final = {
    "val": "last-epoch validation accuracy",
    "test": "last-epoch test accuracy",
}


def chosen_metric(metric: str | None, *, holdout: int) -> str:
    """Return 'val' or 'test'; None is 'val' where there is a hold-out, else 'test'.

    Raises:
        InputError: neither, or 'val' without a hold-out.

    """
    if metric is None:
        return "val" if holdout else "test"
    if metric not in METRICS:
        raise InputError(f"the metric is val or test, got {metric!r}")
    if metric == "val" and not holdout:
        raise InputError(
            "these trials have no validation accuracy, for no images were held out: use "
            "--metric test, or run a sweep with a hold-out"
        )
    return metric


def accuracies(rows: pd.DataFrame, metric: str) -> pd.Series[float]:
    """Return each trial's accuracy; a diverged trial without one counts as 0.

    Raises:
        InputError: a trial that ended ok without this accuracy.

    """
    values = rows[f"{metric}_accuracy"].astype(float)
    broken = rows.loc[values.isna() & (rows["status"] != "diverged"), "trial_id"]
    if len(broken):
        raise InputError(
            f"no {METRICS[metric]} in {counted(len(broken), 'trial')} that ended ok, such as "
            f"{broken.min()}: rank by the other --metric"
        )
    return values.fillna(0.0)


def data_words(rows: pd.DataFrame) -> str:
    """Return the data set and how it was split, in words; all rows have the same."""
    first = rows.iloc[0]
    held_out = f"{first['holdout']:,} images held out" if first["holdout"] else "no hold-out"
    all_of_them = rows["train_limit"].isna().iloc[0]
    limited = "" if all_of_them else f", {first['train_limit']:,} trained on"
    return f"{first['dataset']} ({held_out}{limited})"


def averaged(rows: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return `by`, `value` (the mean of `column`) and `lost` (whether anything was) of each group.

    What is lost says the column `lost`, else a diverged `status`. The order of rows has no effect.
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


def half_width(sd: ArrayLike, n: ArrayLike) -> NDArray[np.float64]:
    """Return half of a 95% Student t interval of a mean; NaN where n is 1.

    Args:
        sd: standard deviation of the values (ddof 1).
        n: how many they are.

    """
    count = np.asarray(n, dtype=float)
    width: NDArray[np.float64] = stdtrit(count - 1.0, 0.975) * np.asarray(sd) / np.sqrt(count)
    return width
