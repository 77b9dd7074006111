"""Which accuracy of a trial counts, what it is called, and means over seeds with their intervals.

The seed is the unit: what was measured with one seed is averaged first. Pure: rows as a store
gives them go in. Rankings, choices, tables, pictures and the comparison with the paper share this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

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
    limit = None if rows["train_limit"].isna().iloc[0] else int(first["train_limit"])
    return split_words(str(first["dataset"]), holdout=int(first["holdout"]), train_limit=limit)


def split_words(dataset: str, *, holdout: int, train_limit: int | None) -> str:
    """Return a data set and how it is split, in words."""
    held_out = f"{holdout:,} images held out" if holdout else "no hold-out"
    limited = "" if train_limit is None else f", {train_limit:,} trained on"
    return f"{dataset} ({held_out}{limited})"


def group_means(rows: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return the mean of a column over each group of rows, a row a group.

    Args:
        rows: trainings, or what was averaged from trainings. Values are added up in their order,
            which may show in the last digit of a mean.
        by: the columns in which the rows of a group agree.
        column: what is averaged.

    Returns:
        The columns `by`; `value`, the mean; and `lost`, whether any training of the group diverged.
        That is read from the column `lost` of rows that were averaged before, else from `status`.

    """
    lost = rows["lost"] if "lost" in rows else rows["status"] == "diverged"
    groups = rows.assign(value=rows[column].astype(float), lost=lost).groupby(list(by))
    means: pd.DataFrame = groups.agg(value=("value", "mean"), lost=("lost", "any")).reset_index()
    return means


def averaged(rows: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return `group_means` on which the order of rows has no effect."""
    return group_means(rows.sort_values([*by, column]), by, column)


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


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over `n` seeds with its spread; all but `n` and `mean` are None where n = 1.

    `low` and `high` are the 95% Student t interval, `sd` has ddof 1, `p_value` is the two-sided
    one of a mean of zero.
    """

    n: int
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


def estimate(values: Iterable[float]) -> Estimate | None:
    """Return mean, SD and interval over values that each belong to one seed; None for none."""
    seeds = np.asarray(list(values), dtype=float)
    n = len(seeds)
    if n == 0:
        return None
    mean = float(seeds.mean())
    if n == 1:
        return Estimate(n=n, mean=mean)
    sd = float(seeds.std(ddof=1))
    error = sd / n**0.5
    half = float(half_width(sd, n))
    # Without any spread the interval is a point, and only a mean of zero agrees with zero.
    p_value = 2 * float(stdtr(n - 1, -abs(mean) / error)) if error else float(mean == 0)
    return Estimate(n=n, mean=mean, sd=sd, low=mean - half, high=mean + half, p_value=p_value)


def half_width(sd: ArrayLike, n: ArrayLike) -> NDArray[np.float64]:
    """Return half of a 95% Student t interval of a mean; NaN where n is 1.

    Args:
        sd: standard deviation of the values (ddof 1).
        n: how many they are.

    """
    count = np.asarray(n, dtype=float)
    width: NDArray[np.float64] = stdtrit(count - 1.0, 0.975) * np.asarray(sd) / np.sqrt(count)
    return width


def difference(first: Iterable[float], second: Iterable[float]) -> Estimate | None:
    """Return the mean of `first` minus that of `second`, each over seeds of its own.

    The interval and the p-value are those of Welch's t test, which takes no variances for equal.
    `n` counts the values of both, and there is no `sd`; where one side has a single value there is
    the difference alone, and None where it has none.
    """
    sides = [np.asarray(list(values), dtype=float) for values in (first, second)]
    counts = [len(side) for side in sides]
    if 0 in counts:
        return None
    n, mean = sum(counts), float(sides[0].mean() - sides[1].mean())
    if 1 in counts:
        return Estimate(n=n, mean=mean)
    squares = [float(side.var(ddof=1)) / len(side) for side in sides]
    error = sum(squares) ** 0.5
    if not error:
        return Estimate(n=n, mean=mean, low=mean, high=mean, p_value=float(mean == 0))
    shares = (square**2 / (count - 1) for square, count in zip(squares, counts, strict=True))
    freedom = error**4 / sum(shares)
    half = float(stdtrit(freedom, 0.975)) * error
    p_value = 2 * float(stdtr(freedom, -abs(mean) / error))
    return Estimate(n=n, mean=mean, low=mean - half, high=mean + half, p_value=p_value)
