"""Which accuracy counts, and means over seeds with their intervals."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import (
    FRACTION,
    PERCENT,
    accuracies,
    chosen_metric,
    data_words,
    equal_seeds_caution,
    estimate,
    per_seed,
    summary,
    t_interval,
)

T_975 = {1: 12.706205, 2: 4.302653}
"""97.5% quantile of Student's t by degrees of freedom, from a printed table."""


def rows(*values: tuple[str, int, float | None, str]) -> pd.DataFrame:
    """Return trials of network, seed, test accuracy and status."""
    frame = pd.DataFrame(values, columns=["network", "seed", "test_accuracy", "status"])
    return frame.assign(trial_id=[f"trial {number}" for number in range(len(frame))])


def test_validation_counts_where_there_is_a_hold_out_unless_test_is_asked_for() -> None:
    assert [chosen_metric(None, holdout=images) for images in (0, 100)] == ["test", "val"]
    assert chosen_metric("test", holdout=100) == "test"
    with pytest.raises(InputError, match="no images were held out: use --metric test"):
        chosen_metric("val", holdout=0)
    with pytest.raises(InputError, match="val or test, got 'train'"):
        chosen_metric("train", holdout=100)


def test_a_diverged_trial_without_an_accuracy_counts_as_zero_and_an_ok_one_is_refused() -> None:
    lost = rows(("a", 0, 0.5, "ok"), ("a", 1, None, "diverged"), ("a", 2, 0.25, "diverged"))
    assert accuracies(lost, "test").tolist() == [0.5, 0.0, 0.25]

    with pytest.raises(
        InputError, match=r"no last-epoch test accuracy in 1 trial .* trial 1: rank"
    ):
        accuracies(rows(("a", 0, 0.5, "ok"), ("a", 1, None, "ok")), "test")


def test_what_one_seed_gave_is_averaged_first_and_lost_if_any_of_it_was() -> None:
    trials = rows(("a", 0, 0.2, "ok"), ("a", 0, 0.4, "diverged"), ("a", 1, 0.9, "ok"))

    points = per_seed(trials, ["network"], "test_accuracy")

    assert points["seed"].tolist() == [0, 1]
    assert points["value"].tolist() == pytest.approx([0.3, 0.9])
    assert points["lost"].tolist() == [True, False]


def test_rows_that_lack_a_column_are_refused_and_those_there_are_named() -> None:
    trials = rows(("a", 0, 0.2, "ok")).drop(columns=["seed", "trial_id"])
    with pytest.raises(InputError) as refusal:
        per_seed(trials, ["network"], "test_accuracy")
    assert str(refusal.value) == (
        "these rows have no column 'seed', only network, test_accuracy, status: leave it in them"
    )


def test_a_summary_has_the_t_interval_of_a_calculation_by_hand() -> None:
    trials = rows(*(("a", seed, value, "ok") for seed, value in enumerate((1.0, 2.0, 3.0))))
    points = per_seed(trials, ["network"], "test_accuracy")

    (group,) = summary(points, ["network"]).to_dict("records")

    assert (group["n"], group["mean"], group["sd"], group["lost"]) == (3, 2.0, 1.0, 0)
    assert group["ci_high"] - 2.0 == pytest.approx(T_975[2] / math.sqrt(3), rel=1e-6)
    assert 2.0 - group["ci_low"] == pytest.approx(T_975[2] / math.sqrt(3), rel=1e-6)


def test_one_seed_has_no_interval() -> None:
    assert np.isnan(t_interval(0.5, 0.5, 1)).all()
    alone = per_seed(rows(("a", 0, 0.5, "diverged")), ["network"], "test_accuracy")
    (group,) = summary(alone, ["network"]).to_dict("records")
    assert (group["n"], group["mean"], group["lost"]) == (1, 0.5, 1)
    assert all(math.isnan(group[name]) for name in ("sd", "ci_low", "ci_high"))


@pytest.mark.parametrize(
    ("holdout", "train_limit", "words"),
    [
        (0, None, "digits (no hold-out)"),
        (5000, None, "digits (5,000 images held out)"),
        (5000, 2500, "digits (5,000 images held out, 2,500 trained on)"),
    ],
)
def test_data_are_told_in_words(holdout: int, train_limit: int | None, words: str) -> None:
    frame = pd.DataFrame([{"dataset": "digits", "holdout": holdout, "train_limit": train_limit}])
    assert data_words(frame) == words


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((1437, 360), "digits (no hold-out)"),
        ((None, None), "digits (no hold-out)"),
        (
            (1437, 300),
            "digits (no hold-out; not the whole set: 1,437 training and 300 test images)",
        ),
        ((99, 360), "digits (no hold-out; not the whole set: 99 training and 360 test images)"),
    ],
)
def test_a_data_set_that_is_not_whole_is_told_with_its_counts(
    counts: tuple[int | None, int | None], words: str
) -> None:
    frame = pd.DataFrame([{"dataset": "digits", "holdout": 0, "train_limit": None}] * 2)
    for name, count in zip(("train_images", "test_images"), counts, strict=True):
        frame[name] = pd.array([None, count], "Int64")

    assert data_words(frame) == words


def test_an_estimate_has_the_t_interval_of_a_calculation_by_hand() -> None:
    ours = estimate([90.0, 92.0, 94.0])

    assert ours is not None
    assert (ours.n, ours.mean, ours.sd) == (3, 92.0, 2.0)
    half = T_975[2] * 2.0 / 3**0.5
    assert (ours.low, ours.high) == pytest.approx((92 - half, 92 + half), rel=1e-6)


def test_the_p_value_is_five_percent_where_the_interval_ends_at_zero() -> None:
    ours = estimate([1 - 1 / T_975[1], 1 + 1 / T_975[1]])  # mean 1, half width 1

    assert ours is not None
    assert ours.low == pytest.approx(0, abs=1e-6)
    assert ours.p_value == pytest.approx(0.05, abs=1e-6)


def test_intervals_of_accuracies_end_where_no_mean_can_be() -> None:
    trials = rows(
        ("a", 0, 0.97, "ok"), ("a", 1, 0.99, "ok"), ("b", 0, 0.0, "ok"), ("b", 1, 0.02, "ok")
    )
    points = per_seed(trials, ["network"], "test_accuracy")

    high, low = summary(points, ["network"], within=FRACTION).to_dict("records")
    ours = estimate([97.0, 99.0], within=PERCENT)

    half = T_975[1] * 0.01  # the SD of two values 0.02 apart is 0.02 / sqrt(2)
    assert (high["ci_low"], high["ci_high"]) == pytest.approx((0.98 - half, 1.0), rel=1e-6)
    assert (low["ci_low"], low["ci_high"]) == pytest.approx((0.0, 0.01 + half), rel=1e-6)
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((98 - 100 * half, 100), rel=1e-6)


def test_equal_seeds_have_no_interval_which_is_said() -> None:
    trials = rows(
        *(
            (name, seed, 0.1 * (name == "a") * seed + 0.7, "ok")
            for name in "ab"
            for seed in (0, 1, 2)
        )
    )
    table = summary(per_seed(trials, ["network"], "test_accuracy"), ["network"])

    assert table["ci_low"].isna().tolist() == [False, True]
    assert equal_seeds_caution(table) == ["Where all seeds are equal there is no interval either."]
    assert equal_seeds_caution(table.head(1)) == []


def test_one_value_has_no_spread_none_no_estimate_and_equal_ones_no_interval() -> None:
    single, equal = estimate([3.0]), estimate([0.1 + 0.2, 0.3, 0.3])

    assert estimate([]) is None
    assert single is not None
    assert (single.n, single.sd, single.low, single.p_value) == (1, None, None, None)
    assert equal is not None
    assert equal.sd == pytest.approx(0, abs=1e-9)
    assert (equal.n, equal.low, equal.high, equal.p_value) == (3, None, None, None)
