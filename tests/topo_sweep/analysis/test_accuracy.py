"""Which accuracy counts, and means over seeds with their intervals."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from nas_core.errors import InputError
from topo_sweep.analysis.accuracy import (
    accuracies,
    chosen_metric,
    data_words,
    half_width,
    per_seed,
    summary,
)


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


def test_a_summary_has_the_t_interval_of_a_calculation_by_hand() -> None:
    # 4.302653 is the 97.5% point of Student's t with 2 degrees of freedom.
    trials = rows(*(("a", seed, value, "ok") for seed, value in enumerate((1.0, 2.0, 3.0))))
    points = per_seed(trials, ["network"], "test_accuracy")

    (group,) = summary(points, ["network"]).to_dict("records")

    assert (group["n"], group["mean"], group["sd"], group["lost"]) == (3, 2.0, 1.0, 0)
    assert group["ci_high"] - 2.0 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert 2.0 - group["ci_low"] == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_one_seed_has_no_interval() -> None:
    assert math.isnan(half_width(0.5, 1))
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
