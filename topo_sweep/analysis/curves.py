"""The mean learning curve of trainings, with its intervals over seeds. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import ANY, FRACTION, check_columns, per_seed, summary
from topo_sweep.analysis.comparable import nothing_finished

if TYPE_CHECKING:
    import pandas as pd


def mean_curve(curves: pd.DataFrame, column: str = "test_accuracy") -> pd.DataFrame:
    """Return the mean of a column in each epoch, over seeds.

    What belongs to one seed (the members of a class, networks with several reduction wirings) is
    averaged first, so that the seed is the unit. Failed trainings are left out. One that diverged
    counts in the epochs that it got through, so a later mean may be of fewer trainings. An epoch
    in which the column was not measured has no row.

    Args:
        curves: one row an epoch of a training, as `topo_sweep.load_curves` gives them; of one
            topology, one class or whatever else is to be averaged.
        column: what is averaged, such as `test_accuracy` or `train_loss`.

    Returns:
        A row an epoch with the columns `epoch`, `n` (seeds), `mean`, `sd` (ddof 1, NaN where n is
        1), `lost` (seeds with a training that diverged), `ci_low` and `ci_high`, the ends of 95%
        Student t intervals over training seeds; those of accuracies are cut at 0 and 1.

    Raises:
        InputError: no such column, no training that ended, or none that measured the column.

    >>> from topo_sweep import load_curves
    >>> curve = mean_curve(load_curves("results/studies/table2-digits/full"))
    >>> curve["epoch"].tolist(), curve["n"].tolist()
    ([0, 1, 2, 3, 4], [1, 1, 1, 1, 1])
    >>> curve["mean"].round(3).tolist()
    [0.439, 0.774, 0.951, 0.976, 0.98]

    """
    numbers = [str(name) for name in curves.select_dtypes(float)]
    if column not in numbers:
        raise InputError(f"no {column!r} in these curves: use {', '.join(numbers)}")
    check_columns(curves, ["status", "seed", "epoch"])
    ended = curves[curves["status"] != "failed"]
    if ended.empty:
        raise nothing_finished("training")
    measured = ended[ended[column].notna()]
    if measured.empty:
        raise InputError(
            f"these trainings did not measure {column} (val_accuracy takes a hold-out): "
            "use another column"
        )
    points = per_seed(measured, ["epoch"], column)
    return summary(points, ["epoch"], within=FRACTION if column.endswith("_accuracy") else ANY)
