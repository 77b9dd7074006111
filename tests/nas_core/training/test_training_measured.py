"""Accuracies that are measured in some epochs alone: nothing else depends on which."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nas_core.errors import InputError
from nas_core.training.epochs import EpochMetrics
from nas_core.training.training import Training
from tests.nas_core.training.trainings import (
    TINY,
    facts,
    reference,
    started,
    stopped_after,
    unchanged,
)

ACCURACIES = ("val_accuracy", "test_accuracy")
LONG = TINY.with_values({"epochs": 5})
DIVERGING = TINY.with_values({"learning_rate": 1e30, "epochs": 9})


def ended(training: Training) -> Training:
    list(training.epochs())
    return training


def measured_in(training: Training) -> list[int]:
    """Return the epochs that have both accuracies; the others have none."""
    for epoch in training.history:
        assert (epoch.val_accuracy is None) == (epoch.test_accuracy is None)
    return [epoch.epoch for epoch in training.history if epoch.test_accuracy is not None]


def all_but_accuracies(epoch: EpochMetrics) -> dict[str, object]:
    return {name: value for name, value in facts(epoch).items() if name not in ACCURACIES}


@pytest.mark.parametrize(("test_every", "measured"), [(2, [1, 3, 4]), (3, [2, 4]), (99, [4])])
def test_accuracies_are_measured_every_so_many_epochs_and_in_the_last(
    test_every: int, measured: list[int]
) -> None:
    assert measured_in(ended(started(protocol=LONG, test_every=test_every))) == measured


@pytest.mark.parametrize("test_every", [2, 3])
def test_a_training_comes_to_the_same_end_to_the_bit_however_often_it_is_measured(
    test_every: int,
) -> None:
    always, seldom = reference(), ended(started(test_every=test_every))

    assert unchanged(always.tensors(), seldom.tensors())
    assert facts(seldom.history[-1]) == facts(always.history[-1])
    for one, other in zip(always.history, seldom.history, strict=True):
        assert all_but_accuracies(one) == all_but_accuracies(other)
        if other.test_accuracy is not None:
            assert facts(one) == facts(other)


def test_the_epoch_that_diverges_is_the_last_and_is_measured() -> None:
    always, seldom = (ended(started(protocol=DIVERGING, test_every=n)) for n in (1, 99))

    assert seldom.diverged
    assert not math.isfinite(seldom.history[-1].train_loss)
    assert len(seldom.history) < 9
    assert seldom.history[-1].test_accuracy is not None
    one, other = facts(always.history[-1]), facts(seldom.history[-1])
    assert [one[name] for name in ACCURACIES] == [other[name] for name in ACCURACIES]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3), (3, 2)])
def test_a_checkpoint_goes_on_with_another_number_to_the_same_end(
    before: int, after: int, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    first = started(path=path, test_every=before)
    stopped_after(1, first)

    second = ended(started(path=path, test_every=after))

    assert facts(second.history[0]) == facts(first.history[0])
    assert facts(second.history[-1]) == facts(reference().history[-1])
    assert unchanged(second.tensors(), reference().tensors())


def test_every_epoch_that_never_comes_is_refused() -> None:
    with pytest.raises(InputError, match="test_every counts epochs from 1, got 0"):
        started(test_every=0)
