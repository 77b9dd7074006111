"""From reports to rows, checkpoints and progress, whatever order the reports come in."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from nas_core.cells.genotype import KNOWN_CELLS, Genotype
from nas_core.protocols.training import DataOptions
from nas_core.training.epochs import Steps
from tests.disk import full_disk
from tests.topo_sweep.conftest import FINGERPRINT, Clock, make_sweep
from tests.topo_sweep.runs.recorder_run import (
    IDS,
    SPEC,
    Run,
    check_every_column_is_named,
    ended,
    metrics,
)
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.recorder import Recorder, failed
from topo_sweep.runs.runner import Report, Resumed
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.spec.trials import Trial
from topo_sweep.store.opened import open_sweep
from topo_sweep.store.tables import TRIALS


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


# Rows


def test_a_trial_that_ended_well_is_a_row_of_what_its_last_epoch_gave(run: Run) -> None:
    trial_id = IDS[1]  # topology 17, seed 0
    history = (
        metrics(0, test_accuracy=0.75, seconds=2.0),
        metrics(1, test_accuracy=0.625, train_accuracy=0.875, seconds=3.0),
    )

    run.report(trial_id, *ended("ok", *history))

    row = run.row(trial_id)
    trial = run.plan.trials[trial_id]
    assert isinstance(trial, Trial)
    finished_at = row.pop("finished_at")
    assert datetime.now(UTC) - timedelta(minutes=1) < finished_at <= datetime.now(UTC)
    missing = {key for key, value in row.items() if pd.isna(value)}
    assert missing == {"val_accuracy", "train_limit", "error", "search_id"}
    assert {key: value for key, value in row.items() if key not in missing} == {
        "trial_id": trial_id,
        "sweep": "small",
        "kind": "topologies",
        "genotype": str(trial.genotype),
        "topology": 17,
        "class_id": trial.genotype.normal.topology.class_id,
        "reduction_topology": 0,
        "seed": 0,
        "protocol_hash": SPEC.protocol.protocol_hash,
        "dataset": "digits",
        "holdout": 0,
        "fingerprint": FINGERPRINT,
        "status": "ok",
        "attempt": 1,
        "epochs": 2,
        "train_loss": 0.5,
        "train_accuracy": 0.875,
        "test_accuracy": 0.625,
        "best_test_accuracy": 0.75,
        "parameters": 1234,
        "multiply_adds": 56789,
        "train_seconds": 5.0,
        "device": "cpu",
        "node": "node",
        "execution": '{"threads": 1}',
    }
    assert run.curve(trial_id) == [0, 1]


@pytest.mark.parametrize(
    "reports",
    [
        ended("ok", metrics(0)),
        ended("diverged", metrics(0, train_loss=math.nan)),
        ended("failed", error="ValueError: bad"),
        [failed("the worker died")],
    ],
)
def test_every_column_is_named_in_every_row(run: Run, reports: list[Report]) -> None:
    check_every_column_is_named(run, IDS[0], reports, TRIALS)


def test_held_out_images_give_a_validation_accuracy(run: Run) -> None:
    run.report(IDS[0], *ended("ok", metrics(0, val_accuracy=0.375)))

    assert run.row(IDS[0])["val_accuracy"] == 0.375


def test_a_cell_of_several_operations_has_no_topology_but_a_reduction_topology(
    tmp_path: Path,
) -> None:
    spec = GenotypeSweep(name="cells", data=DataOptions(), genotypes=("DARTS_V1",))
    store = make_sweep(tmp_path, spec)
    plan = make_plan(spec, tmp_path)
    agenda = Agenda(plan.left, plan.cells_found)
    progress = Progress.of(plan, images=1)
    recorder = Recorder(plan, agenda, progress, fingerprint=FINGERPRINT)
    trial = agenda.next()
    assert trial is not None

    for report in ended("ok", metrics(0)):
        recorder.take(trial, report)

    row = store.trials().iloc[0]
    assert row[["topology", "class_id"]].isna().all()
    assert row["reduction_topology"] == KNOWN_CELLS["DARTS_V1"].reduction.topology.index
    assert row["kind"] == "genotypes"


@pytest.mark.parametrize(("loss", "text"), [(math.nan, "nan"), (math.inf, "inf")])
def test_a_diverged_trial_is_a_result_that_says_when_the_loss_was_lost(
    run: Run, loss: float, text: str
) -> None:
    history = (metrics(0, test_accuracy=0.5), metrics(1, train_loss=loss))

    run.report(IDS[0], *ended("diverged", *history))

    row = run.row(IDS[0])
    assert row["status"] == "diverged"
    assert row["error"] == f"the loss was {text} in epoch 1"
    assert row["epochs"] == 2
    assert not math.isfinite(row["train_loss"])
    assert row["best_test_accuracy"] == 0.5
    assert run.curve(IDS[0]) == [0, 1]
    assert make_plan(SPEC, run.store.paths.folder.parent).finished == {IDS[0]: "diverged"}
    assert run.recorder.errors == []


def test_a_trial_that_raised_is_a_row_and_a_line_with_its_error(run: Run) -> None:
    run.report(IDS[3], *ended("failed", metrics(0), error="ValueError: bad"))

    row = run.row(IDS[3])
    assert (row["status"], row["error"], row["epochs"]) == ("failed", "ValueError: bad", 1)
    assert run.recorder.errors == ["topology 17, seed 1: ValueError: bad"]


def test_a_trial_whose_worker_died_has_the_epochs_that_were_reported(run: Run) -> None:
    run.start(IDS[0])
    run.start(IDS[1])
    for epoch in range(2):
        run.report(IDS[0], metrics(epoch, test_accuracy=0.75 - epoch / 4))
        run.report(IDS[1], metrics(epoch))

    run.report(IDS[0], failed("the worker died"))

    row = run.row(IDS[0])
    assert (row["status"], row["error"]) == ("failed", "the worker died")
    assert (row["epochs"], row["train_seconds"]) == (2, 4.0)
    assert (row["test_accuracy"], row["best_test_accuracy"]) == (0.5, 0.75)
    assert run.curve(IDS[0]) == [0, 1]


def test_a_trial_whose_worker_died_before_an_epoch_has_no_numbers(run: Run) -> None:
    run.report(IDS[0], failed("the worker died"))

    row = run.row(IDS[0])
    assert (row["epochs"], row["train_seconds"]) == (0, 0.0)
    assert math.isnan(row["train_loss"])
    assert math.isnan(row["best_test_accuracy"])
    assert run.curve(IDS[0]) == []


def test_epochs_that_a_checkpoint_held_are_in_the_row_and_the_curve(run: Run) -> None:
    run.start(IDS[0])
    run.report(IDS[0], Resumed((metrics(0), metrics(1))))
    assert run.progress.running == {IDS[0]: 2}

    run.report(IDS[0], *ended("ok", metrics(2)))

    assert run.row(IDS[0])["epochs"] == 3
    assert run.row(IDS[0])["train_seconds"] == 6.0
    assert run.curve(IDS[0]) == [0, 1, 2]


def test_an_error_is_one_line_of_at_most_500_characters() -> None:
    outcome = failed(ValueError("first\n  second\t" + "long " * 1000))

    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error.startswith("first second long long")
    assert len(outcome.error) == 500


@pytest.mark.parametrize("earlier", [0, 1, 2])
def test_attempts_at_a_failed_trial_count_up(tmp_path: Path, earlier: int) -> None:
    for _ in range(earlier):
        Run(tmp_path, retry_failed=True).report(IDS[0], failed("the worker died"))

    last = Run(tmp_path, retry_failed=True)
    last.report(IDS[0], *ended("ok", metrics(0)))

    assert last.row(IDS[0])["attempt"] == earlier + 1


# Checkpoints


@pytest.mark.parametrize(
    ("reports", "kept"),
    [
        (ended("ok", metrics(0)), False),
        (ended("diverged", metrics(0, train_loss=math.nan)), False),
        (ended("failed", metrics(0), error="ValueError: bad"), True),
        ([failed("the worker died")], True),
    ],
)
def test_a_checkpoint_is_kept_exactly_where_a_retry_can_go_on_from_it(
    run: Run, reports: list[Report], kept: bool
) -> None:
    checkpoint, others = run.checkpoint(IDS[0]), run.checkpoint(IDS[1])

    run.report(IDS[0], *reports)
    run.recorder.close()

    assert checkpoint.exists() == kept
    assert others.exists()


@pytest.mark.parametrize("write", [Recorder.tick, Recorder.close])
def test_a_checkpoint_stays_until_the_row_is_durable(
    tmp_path: Path, clock: Clock, write: Callable[[Recorder], None]
) -> None:
    run = Run(tmp_path)
    checkpoints = [run.checkpoint(trial_id) for trial_id in IDS[:2]]
    for trial_id in IDS[:2]:
        run.report(trial_id, *ended("ok", metrics(0)))
    assert list(run.store.trials()["trial_id"]) == [IDS[0]]
    assert [path.exists() for path in checkpoints] == [False, True]

    clock.now += 10
    write(run.recorder)

    assert set(run.store.trials()["trial_id"]) == set(IDS[:2])
    assert [path.exists() for path in checkpoints] == [False, False]


def test_a_full_disk_loses_neither_row_nor_checkpoint(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = run.checkpoint(IDS[0])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        run.report(IDS[0], *ended("ok", metrics(0)))
    assert checkpoint.exists()
    assert run.store.trials().empty

    run.recorder.close()

    assert list(run.store.trials()["trial_id"]) == [IDS[0]]
    assert run.curve(IDS[0]) == [0]
    assert not checkpoint.exists()


# Progress


def test_progress_follows_what_workers_report(run: Run) -> None:
    run.start(IDS[0])
    run.start(IDS[1])
    run.report(IDS[1], metrics(0))
    assert run.progress.running == {IDS[0]: 0, IDS[1]: 1}

    run.report(IDS[0], failed("the worker died"))
    run.report(IDS[1], *ended("ok", metrics(0)))
    run.report(IDS[2], *ended("diverged", metrics(0, train_loss=math.nan)))

    assert run.progress.running == {}
    counts = (run.progress.ok, run.progress.diverged, run.progress.failed, run.progress.left)
    assert counts == (1, 1, 1, 1)


def test_the_first_steps_of_an_epoch_are_for_the_progress_alone(run: Run) -> None:
    run.start(IDS[0])
    checkpoint = run.checkpoint(IDS[0])
    steps = Steps(share=0.5, epoch_seconds=100.0)

    assert run.recorder.take(run.trial(IDS[0]), steps) is False
    assert run.progress.running == {IDS[0]: 0}
    assert "left, from the first steps" in run.progress.line()
    assert checkpoint.exists()
    run.report(IDS[0], *ended("ok", metrics(0)))

    assert run.row(IDS[0])["epochs"] == 1
    assert run.curve(IDS[0]) == [0]


def test_accuracies_that_were_not_measured_are_stored_as_missing(run: Run) -> None:
    run.report(IDS[0], *ended("ok", metrics(0, test_accuracy=None), metrics(1)))

    epochs = run.store.epochs()
    assert list(epochs["test_accuracy"].isna()) == [True, False]
    assert open_sweep(run.store.paths.folder).trials()["test_accuracy"].tolist() == [0.25]


def test_the_best_network_is_the_one_with_the_best_last_epoch_of_those_that_ended_well(
    run: Run,
) -> None:
    best_so_far = []
    for trial_id, reports in zip(
        IDS,
        [
            ended("failed", metrics(0, test_accuracy=1.0), error="ValueError: bad"),
            ended("ok", metrics(0, test_accuracy=0.5)),
            ended("diverged", metrics(0, test_accuracy=0.75, train_loss=math.nan)),
            ended("ok", metrics(0, test_accuracy=1.0), metrics(1, test_accuracy=0.375)),
        ],
        strict=True,
    ):
        run.report(trial_id, *reports)
        best_so_far.append(run.progress.best)

    assert best_so_far == [None, (0.5, "topology 17"), (0.5, "topology 17"), (0.5, "topology 17")]


def test_the_best_network_is_found_by_validation_where_images_are_held_out(tmp_path: Path) -> None:
    run = Run(tmp_path, metric="val")
    run.report(IDS[0], *ended("ok", metrics(0, val_accuracy=0.75, test_accuracy=0.25)))
    run.report(IDS[1], *ended("ok", metrics(0, val_accuracy=0.5, test_accuracy=1.0)))

    assert run.progress.best == (0.75, "topology 0")


@pytest.mark.parametrize(
    ("genotype", "name"),
    [
        (SPEC.genotype_list()[1], "topology 17"),
        (KNOWN_CELLS["PC_DARTS"], "PC_DARTS"),
        (
            Genotype(KNOWN_CELLS["DARTS_V1"].normal, KNOWN_CELLS["DARTS_V2"].reduction),
            f"genotype on wiring {KNOWN_CELLS['DARTS_V1'].normal.topology.index}",
        ),
    ],
)
def test_a_network_is_called_what_people_call_it(genotype: Genotype, name: str) -> None:
    assert Trial(genotype, SPEC.protocol, SPEC.data, seed=0).name == name


def test_rows_of_an_earlier_run_are_left_alone(tmp_path: Path) -> None:
    earlier = trial_row(IDS[0], test_accuracy=0.125)
    make_sweep(tmp_path, SPEC).append([earlier], [])

    run = Run(tmp_path)
    run.report(IDS[1], *ended("ok", metrics(0)))

    assert run.row(IDS[0])["test_accuracy"] == 0.125
    assert len(run.store.trials()) == 2
