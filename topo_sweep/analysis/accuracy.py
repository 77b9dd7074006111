"""Which accuracy of a trial counts, what it is called, and means over seeds with their intervals.

The seed is the unit: what was measured with one seed is averaged first. Pure: rows as a store
gives them go in. Rankings, choices, tables, pictures and the comparison with the paper share this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from warnings import catch_warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from nas_core.errors import InputError
from nas_core.protocols.data import DATASETS
from topo_sweep.analysis.text import counted

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

Range = tuple[float, float]
"""The least and the greatest value that something can have."""

ANY: Final[Range] = (-np.inf, np.inf)
FRACTION: Final[Range] = (0.0, 1.0)
PERCENT: Final[Range] = (0.0, 100.0)
COUNT: Final[Range] = (0.0, np.inf)

DIGITS: Final = 9
"""To which accuracies are rounded where equal ones count: one image of 100,000 more is 1e-5."""

ROUNDING: Final = 10.0**-DIGITS
"""Less between accuracies, or as their standard deviation, is rounding."""

NO_VARIANCE: Final = ROUNDING**2
"""A variance below this is rounding."""

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
    return split_words(
        str(rows["dataset"].iloc[0]),
        holdout=common_count(rows, "holdout") or 0,
        train_limit=common_count(rows, "train_limit"),
        train_images=common_count(rows, "train_images"),
        test_images=common_count(rows, "test_images"),
    )


def common_count(rows: pd.DataFrame, column: str) -> int | None:
    """Return the number that all rows have in a column; None where there is none."""
    if column not in rows:
        return None
    counts = rows[column].dropna()
    return int(counts.iloc[0]) if len(counts) else None


def split_words(
    dataset: str,
    *,
    holdout: int,
    train_limit: int | None,
    train_images: int | None = None,
    test_images: int | None = None,
) -> str:
    """Return a data set and how it is split, in words.

    `train_images` and `test_images` are those of the data set as it was found, None where that is
    not known; they are named where they are not those of the whole.
    """
    held_out = f"{holdout:,} images held out" if holdout else "no hold-out"
    limited = "" if train_limit is None else f", {train_limit:,} trained on"
    part = ""
    if not is_whole(dataset, train_images, test_images):
        part = f"; not the whole set: {train_images:,} training and {test_images:,} test images"
    return f"{dataset} ({held_out}{limited}{part})"


def is_whole(dataset: str, train_images: int | None, test_images: int | None) -> bool:
    """Return whether a data set has as many images as it should, or may have: None is unknown."""
    if train_images is None or test_images is None:
        return True
    info = DATASETS[dataset]
    return (train_images, test_images) == (info.train_images, info.test_images)


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
    """Return `group_means` on which the order of rows has no effect.

    Raises:
        InputError: the rows lack a column.

    """
    needed = [*dict.fromkeys([*by, column, "lost" if "lost" in rows else "status"])]
    check_columns(rows, needed)
    return group_means(rows[needed].sort_values(column), by, column)


def check_columns(rows: pd.DataFrame, needed: Iterable[str]) -> None:
    """Refuse rows that lack a column; the error names it and those that there are."""
    for name in needed:
        if name not in rows:
            raise InputError(
                f"these rows have no column {name!r}, only {', '.join(map(str, rows))}: leave it "
                "in them"
            )


def per_seed(rows: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return the points of each group, as `averaged` gives them: one a `seed`.

    Raises:
        InputError: the rows lack a column.

    """
    return averaged(rows, [*by, "seed"], column)


def wide(points: pd.DataFrame, by: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return points as tables of a row a seed and a column a group: `value`, and which are `lost`.

    Args:
        points: as `per_seed` gives them.
        by: the column that names the group.

    """
    value, lost = (
        points.pivot_table(index="seed", columns=by, values=name) for name in ("value", "lost")
    )
    return value, lost > 0


class Interval(Protocol):
    """Gives the ends of intervals of means, as `t_interval` does."""

    def __call__(
        self,
        mean: ArrayLike,
        sd: ArrayLike,
        n: ArrayLike,
        *,
        within: Range,
        confidence: float = 0.95,
    ) -> tuple[Floats, Floats]:
        """Return the lower and the upper ends."""


def summary(
    points: pd.DataFrame,
    by: Sequence[str],
    *,
    within: Range = ANY,
    interval: Interval | None = None,
) -> pd.DataFrame:
    """Return `by`, `n`, `mean`, `sd` (ddof 1), `lost`, `ci_low` and `ci_high` of each group.

    `n` counts the points, `lost` those that are. `ci_*` are as `interval` gives them, by default
    `t_interval`; `sd` is NaN where n is 1.
    """
    groups = points.groupby(list(by))
    table = groups["value"].agg(n="count", mean="mean", sd="std").assign(lost=groups["lost"].sum())
    ends = interval or t_interval
    low, high = ends(table["mean"], table["sd"], table["n"], within=within)
    whole: pd.DataFrame = table.assign(ci_low=low, ci_high=high).reset_index()
    return whole


def equal_seeds_caution(table: pd.DataFrame) -> list[str]:
    """Return the sentence that is due where several seeds of a group are equal, else none.

    `table` is a `summary`.
    """
    equal = (table["n"] > 1) & table["ci_low"].isna()
    return ["Where all seeds are equal there is no interval either."] if equal.any() else []


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over `n` seeds with its spread.

    `low` and `high` are as `t_interval` gives them unless another was asked for, `sd` has ddof 1,
    `p_value` is the two-sided one of a mean of zero. With one seed there is no `sd`, and where
    there is no interval no `p_value`.
    """

    n: int
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


def estimate(
    values: Iterable[float],
    *,
    within: Range = ANY,
    interval: Interval | None = None,
    confidence: float = 0.95,
) -> Estimate | None:
    """Return mean, SD and interval over values that each belong to one seed; None for none.

    Another `interval` than `t_interval` comes without a `p_value`.
    """
    seeds = np.asarray(list(values), dtype=float)
    n = len(seeds)
    if n == 0:
        return None
    mean = float(seeds.mean())
    if n == 1:
        return Estimate(n=n, mean=mean)
    sd = float(seeds.std(ddof=1))
    ends = interval or t_interval
    low, high = map(float, ends(mean, sd, n, within=within, confidence=confidence))
    if np.isnan(low):
        return Estimate(n=n, mean=mean, sd=sd)
    if interval:
        return Estimate(n=n, mean=mean, sd=sd, low=low, high=high)
    p_value = 2 * float(stdtr(n - 1, -abs(mean) * n**0.5 / sd))
    return Estimate(n=n, mean=mean, sd=sd, low=low, high=high, p_value=p_value)


def t_interval(
    mean: ArrayLike,
    sd: ArrayLike,
    n: ArrayLike,
    *,
    within: Range = ANY,
    confidence: float = 0.95,
) -> tuple[Floats, Floats]:
    """Return the ends of Student t intervals of means.

    NaN where there is none: n is 1, or all values are equal, which shows no spread and not that
    there is none.

    Args:
        mean: of the values, one or many.
        sd: their standard deviation (ddof 1).
        n: how many they are.
        within: what no mean can leave; the ends are cut there, which takes nothing away from how
            often an interval holds the true mean.
        confidence: of each interval.

    """
    centre, spread, count = (np.asarray(part, dtype=float) for part in (mean, sd, n))
    half = stdtrit(count - 1.0, (1 + confidence) / 2) * np.where(spread > ROUNDING, spread, np.nan)
    half = half / np.sqrt(count)
    low, high = within
    return np.maximum(centre - half, low), np.minimum(centre + half, high)


def difference(
    first: Iterable[float],
    second: Iterable[float],
    *,
    equal_spread: bool = False,
    confidence: float = 0.95,
) -> Estimate | None:
    """Return the mean of `first` minus that of `second`, each over seeds of its own.

    The interval and the p-value are those of Welch's t test, which takes no variances for equal, or
    with `equal_spread` of Student's, which does: with two or three values Welch's errs too often.
    `n` counts the values of both, and there is no `sd`; where one side has a single value, or
    neither has any spread, there is the difference alone, and None where a side has no value.
    """
    from scipy.stats import ttest_ind  # half a second, and only comparisons with the paper need it

    sides = [np.asarray(list(values), dtype=float) for values in (first, second)]
    if not all(map(len, sides)):
        return None
    n, mean = sum(map(len, sides)), float(sides[0].mean() - sides[1].mean())
    if min(map(len, sides)) == 1 or max(side.std() for side in sides) < ROUNDING:
        return Estimate(n=n, mean=mean)
    with catch_warnings(action="ignore", category=RuntimeWarning):  # a side without spread
        test = ttest_ind(*sides, equal_var=equal_spread)
    low, high = map(float, test.confidence_interval(confidence))
    return Estimate(n=n, mean=mean, low=low, high=high, p_value=float(test.pvalue))
