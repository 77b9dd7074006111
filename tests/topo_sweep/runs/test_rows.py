"""What a row and a curve say of how a trial ended, apart from who records it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from nas_core.errors import TopoSweepError
from nas_core.training.epochs import EpochMetrics, SearchEpoch
from tests.topo_sweep.runs.recorder_run import IDS, SPEC, ended, metrics
from tests.topo_sweep.runs.search_run import (
    FOUND,
    search_ended,
    search_epoch,
    search_of,
    search_spec,
)
from tests.topo_sweep.store.store_rows import T0
from topo_sweep.runs.rows import curve, row
from topo_sweep.runs.runner import AnyEpoch, Outcome, Report
from topo_sweep.spec.trials import Runnable
from topo_sweep.store.tables import SEARCHES, TRIALS

TRAINING: Runnable = SPEC.trials()[IDS[0]]
SEARCH: Runnable = search_of(search_spec())
WITHOUT_STEP: dict[str, Any] = {
    "alpha_steps": 0,
    "alpha_seconds": 0.0,
    "alpha_loss": None,
    "alpha_accuracy": None,
}


def of_training(reports: list[Report]) -> dict[str, Any]:
    *epochs, outcome = reports
    assert isinstance(outcome, Outcome)
    return row(TRAINING, outcome, [epoch for epoch in epochs if isinstance(epoch, EpochMetrics)])


def of_search(reports: list[Report]) -> dict[str, Any]:
    *epochs, outcome = reports
    assert isinstance(outcome, Outcome)
    return row(SEARCH, outcome, [epoch for epoch in epochs if isinstance(epoch, SearchEpoch)])


def test_a_training_has_its_last_epochs_numbers_its_best_test_accuracy_and_all_its_seconds() -> (
    None
):
    history = (metrics(0, test_accuracy=0.75, seconds=2.0), metrics(1, seconds=3.0))

    values = of_training(ended("ok", *history))

    assert (values["epochs"], values["train_loss"], values["test_accuracy"]) == (2, 0.5, 0.25)
    assert (values["best_test_accuracy"], values["train_seconds"]) == (0.75, 5.0)
    assert (values["status"], values["error"]) == ("ok", None)
    assert (values["trial_id"], values["parameters"]) == (IDS[0], 1234)


def test_epochs_that_were_not_measured_have_no_accuracy_and_are_never_the_best() -> None:
    unmeasured: dict[str, Any] = {"val_accuracy": None, "test_accuracy": None}
    history = (metrics(0, test_accuracy=0.5), metrics(1, **unmeasured), metrics(2))

    assert of_training(ended("ok", *history))["best_test_accuracy"] == 0.5
    assert [each["test_accuracy"] for each in curve(TRAINING, history, T0)] == [0.5, None, 0.25]
    failed = of_training(ended("failed", metrics(0, **unmeasured), error="ValueError: bad"))
    assert (failed["test_accuracy"], failed["best_test_accuracy"]) == (None, None)


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_what_ended_before_its_first_epoch_has_no_numbers(status: str) -> None:
    training, search = of_training(ended(status)), of_search(search_ended(status))

    for values in (training, search):
        assert values["epochs"] == 0
        numbers = ("train_loss", "train_accuracy", "val_accuracy", "test_accuracy")
        assert [values.get(name) for name in numbers] == [None] * 4
    assert training["best_test_accuracy"] is None
    told = ("genotype", "skips_normal", "stopped_early", "weight_step_seconds")
    assert [search.get(name) for name in told] == [None] * 4
    assert search["alpha_step_seconds"] is None
    assert training["train_seconds"] == search["search_seconds"] == 0


def test_a_lost_loss_is_explained_by_its_epoch_and_an_error_by_itself() -> None:
    lost = of_training(ended("diverged", metrics(0), metrics(1, train_loss=math.inf)))
    assert lost["error"] == "the loss was inf in epoch 1"
    failed = of_training(ended("failed", metrics(0), error="ValueError: bad"))
    assert failed["error"] == "ValueError: bad"


def test_a_search_that_diverged_found_nothing_though_its_alphas_are_numbers() -> None:
    epoch = search_epoch(0, train_loss=math.nan)

    assert of_search(search_ended("diverged", epoch))["genotype"] is None
    assert of_search(search_ended("ok", epoch))["genotype"] == str(FOUND)


def test_epochs_without_an_alpha_step_do_not_hide_the_last_alpha_loss() -> None:
    history = (
        search_epoch(0, **WITHOUT_STEP),
        search_epoch(1),
        search_epoch(2, **WITHOUT_STEP),
    )

    values = of_search(search_ended("ok", *history))

    assert (values["alpha_loss"], values["alpha_accuracy"]) == (1.0, 0.375)
    assert values["alpha_step_seconds"] == 0.5


@pytest.mark.parametrize(
    ("reason", "stopped"), [(None, False), ("2 skip connections in the normal cell", True)]
)
def test_whether_a_search_was_stopped_early_is_told(reason: str | None, stopped: bool) -> None:
    reports = search_ended("ok", search_epoch(0), stopped_because=reason)
    assert of_search(reports)["stopped_early"] == stopped


def test_what_ended_ok_without_an_epoch_is_refused() -> None:
    with pytest.raises(TopoSweepError, match="without a single epoch"):
        of_training(ended("ok"))
    with pytest.raises(TopoSweepError, match="without a single epoch"):
        of_search(search_ended("ok"))


def test_a_curve_has_a_row_an_epoch_tied_to_the_trial_by_id_and_time() -> None:
    trainings: list[AnyEpoch] = [metrics(0), metrics(1, test_accuracy=0.5)]
    searches: list[AnyEpoch] = [search_epoch(0), search_epoch(1, skips_normal=4)]

    for trial, epochs, table in ((TRAINING, trainings, TRIALS), (SEARCH, searches, SEARCHES)):
        assert trial is not None
        rows = curve(trial, epochs, T0)
        assert [set(each) for each in rows] == [set(table.curve_schema.names)] * 2
        assert [each["epoch"] for each in rows] == [0, 1]
        assert {(each[table.key], each["finished_at"]) for each in rows} == {(trial.trial_id, T0)}
    assert curve(SEARCH, searches, T0)[1]["skips_normal"] == 4
    assert json.loads(curve(SEARCH, searches, T0)[0]["alphas"]) == search_epoch(0).alphas
