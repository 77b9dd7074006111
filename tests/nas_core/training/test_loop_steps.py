"""A first epoch that takes long tells how far it is, once, and nothing else changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from nas_core.training import loop as loop_module
from nas_core.training.epochs import Steps
from nas_core.training.loop import Loop
from tests.nas_core.training import searches, trainings
from tests.nas_core.training.trainings import same

SHORT = {"batch_size": 8, "epochs": 2}
"""Nine steps an epoch of a training, three of a search."""

STARTS: dict[str, Callable[[], Loop[Any]]] = {
    "training": lambda: trainings.started(protocol=trainings.TINY.with_values(SHORT)),
    "search": lambda: searches.started(
        searches.FIRST.with_values(SHORT | {"batch_size": 4, "topology": 17})
    ),
}
KINDS = pytest.mark.parametrize("kind", STARTS)


class Stopwatch:
    """A clock that moves by one second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.mark.slow
@KINDS
def test_a_long_first_epoch_is_told_of_once_in_its_middle_and_changes_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = STARTS[kind]()
    assert not any(isinstance(report, Steps) for report in silent.reports()), "it takes no time"
    monkeypatch.setattr(loop_module, "STEPS_SECONDS", 0.0)

    telling = STARTS[kind]()
    reports = list(telling.reports())

    assert isinstance(reports[0], Steps)
    assert 0 < reports[0].share < 1
    assert reports[0].epoch_seconds > 0
    assert reports[1:] == telling.history, "no epoch after the first tells"
    assert same(telling, silent)


@KINDS
def test_those_who_want_epochs_alone_get_no_steps(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "STEPS_SECONDS", 0.0)
    loop = STARTS[kind]()
    assert list(loop.epochs()) == loop.history


def test_an_epoch_is_as_long_as_its_steps_and_its_evaluation_at_a_third(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "perf_counter", Stopwatch())
    loop = STARTS["training"]()

    told = next(iter(loop.reports()))

    # A second a step; five have passed after the sixth. 70 images to train on, 60 + 50 to test.
    assert isinstance(told, Steps)
    whole = 9 + (60 + 50) / 3 / 8
    assert told.epoch_seconds == pytest.approx(whole)
    assert told.share == pytest.approx(6 / whole)


def test_an_epoch_without_evaluation_is_as_long_as_its_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "perf_counter", Stopwatch())
    loop = trainings.started(protocol=trainings.TINY.with_values(SHORT), test_every=2)

    told = next(iter(loop.reports()))

    assert told == Steps(share=6 / 9, epoch_seconds=9.0)


def test_an_epoch_of_few_steps_is_told_of_at_its_end_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_module, "STEPS_SECONDS", 0.0)
    loop = trainings.started()  # three steps
    assert list(loop.reports()) == loop.history
