"""The mean learning curve of trainings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from nas_core.errors import InputError
from topo_sweep.analysis.curves import mean_curve


def epoch(number: int, seed: int, test: float | None, **values: Any) -> dict[str, Any]:
    row = {"epoch": number, "seed": seed, "test_accuracy": test, "status": "ok", "train_loss": 2.0}
    return row | values


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(rows).astype({"test_accuracy": float, "epoch": "Int64", "seed": "Int64"})


def test_the_seed_is_the_unit() -> None:
    curves = frame(
        *(epoch(0, 0, 0.2), epoch(0, 0, 0.4), epoch(0, 1, 0.5)),  # two members with seed 0
        *(epoch(1, 0, 0.6), epoch(1, 0, 0.8), epoch(1, 1, 0.9)),
    )

    curve = mean_curve(curves)

    assert curve["epoch"].tolist() == [0, 1]
    assert curve["n"].tolist() == [2, 2]
    np.testing.assert_allclose(curve["mean"], [0.4, 0.8])
    np.testing.assert_allclose(curve["sd"], np.std([0.3, 0.5], ddof=1))
    assert (curve["ci_low"] < curve["mean"]).all()
    assert (curve["mean"] < curve["ci_high"]).all()


def test_failed_trainings_are_left_out_and_diverged_ones_counted_as_far_as_they_got() -> None:
    curves = frame(
        *(epoch(0, 0, 0.5), epoch(1, 0, 0.7)),
        epoch(0, 1, 0.3, status="diverged"),
        epoch(0, 2, 0.9, status="failed"),
    )

    curve = mean_curve(curves)

    assert curve["n"].tolist() == [2, 1]
    assert curve["lost"].tolist() == [1, 0]
    np.testing.assert_allclose(curve["mean"], [0.4, 0.7])


def test_an_epoch_that_was_not_measured_has_no_row() -> None:
    curve = mean_curve(frame(epoch(0, 0, None), epoch(1, 0, 0.5)))
    assert curve["epoch"].tolist() == [1]


def test_intervals_of_accuracies_are_cut_and_those_of_losses_are_not() -> None:
    curves = frame(epoch(0, 0, 1.0, train_loss=1.0), epoch(0, 1, 0.9, train_loss=9.0))

    assert mean_curve(curves)["ci_high"].tolist() == [1.0]
    assert mean_curve(curves, "train_loss")["ci_high"].iloc[0] > 9


def test_the_order_of_rows_has_no_effect() -> None:
    rows = [epoch(0, 0, value) for value in (0.1, 0.7, 0.3, 0.9)]

    forwards, backwards = (mean_curve(frame(*each)) for each in (rows, reversed(rows)))

    pd.testing.assert_frame_equal(forwards, backwards, check_exact=True)


def test_a_column_that_is_not_there_is_refused_and_those_there_are_named() -> None:
    for column in ("val_accuracy", "status"):
        with pytest.raises(InputError) as refusal:
            mean_curve(frame(epoch(0, 0, 0.5)), column)
        assert str(refusal.value) == (
            f"no {column!r} in these curves: use test_accuracy, train_loss"
        )


def test_nothing_to_average_is_said_and_what_helps() -> None:
    failed = epoch(0, 0, 0.5, status="failed")
    with pytest.raises(InputError, match="no finished training: start some"):
        mean_curve(frame(failed))
    with pytest.raises(InputError, match=r"did not measure test_accuracy .*use another column"):
        mean_curve(frame(epoch(0, 0, None), failed))


@pytest.mark.parametrize("column", ["status", "seed", "epoch"])
def test_curves_without_what_the_mean_needs_are_refused(column: str) -> None:
    curves = frame(epoch(0, 0, 0.5)).drop(columns=column)
    with pytest.raises(InputError, match=f"these rows have no column '{column}', only"):
        mean_curve(curves)
