"""What Ray Tune is given and what the recorder hears of it, without a cluster."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher
from ray.tune.trainable.metadata import _TrainingRunMetadata

from nas_core.training.epochs import Steps
from tests.topo_sweep.runs.recorder_run import IDS, SPEC, Run, ended, metrics
from tests.topo_sweep.runs.search_run import FOUND, search_spec
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.on_ray.driver import _AllEnded, _AsHandedOut, _Queue, _Reports
from topo_sweep.store.lease import LeaseLostError
from topo_sweep.store.parquet import ResultStore


class OnRay(TuneTrial):
    """A trial as Tune's callbacks get it: its config, and no word of what it died of."""

    pickled_error_file = None

    def __init__(self, trial_id: str) -> None:
        self.config = {"trial": SPEC.trials()[trial_id]}


def queue_of(agenda: Agenda, workers: int = 8) -> _Queue:
    """Return the queue of an agenda on a cluster of so many workers."""
    return _Queue(agenda, lambda: workers)


def test_a_worker_that_is_free_gets_the_next_trial_waits_or_is_told_that_there_is_none() -> None:
    planned = search_spec(evaluation_seeds=(0,)).trials()
    search_id, evaluation_id = planned
    agenda = Agenda(planned, {})
    queue = queue_of(agenda)

    assert queue.suggest("first")["trial"].trial_id == search_id
    assert queue.suggest("second") is None, "the evaluation waits for the search"
    agenda.search_ended(search_id, FOUND)
    assert queue.suggest("second")["trial"].trial_id == evaluation_id
    for name in ("first", "second"):
        queue.on_trial_complete(name)
    assert queue.suggest("third") == Searcher.FINISHED


def test_a_trial_says_on_which_nodes_it_must_not_run() -> None:
    watch: Any = SimpleNamespace(refused={"b", "a"})
    queue = _Queue(Agenda(SPEC.trials(), {}), lambda: 8, watch=watch)

    assert queue.suggest("first")["not_on"] == ["a", "b"]
    assert queue_of(Agenda(SPEC.trials(), {})).suggest("first")["not_on"] == []


def reports_of(
    run: Run, interrupts: Interrupts | None = None, queue: _Queue | None = None
) -> _Reports:
    """Return what tells a run's recorder; its queue holds trials that were never handed out."""
    waiting = queue_of(Agenda(SPEC.trials(), {}))
    return _Reports(run.recorder, interrupts or Interrupts(), queue or waiting, run.store.paths)


def test_what_workers_report_is_recorded_and_tunes_own_results_are_not(tmp_path: Path) -> None:
    run = Run(tmp_path)
    reports, trial = reports_of(run), OnRay(IDS[0])

    reports.on_trial_start(0, [], trial)
    assert run.progress.running == {IDS[0]: 0}
    for report in [Steps(share=0.5, epoch_seconds=9.0), *ended("ok", metrics(0), metrics(1))]:
        reports.on_trial_result(0, [], trial, {"report": report})
    reports.on_trial_result(0, [], trial, {"done": True})
    run.recorder.close()

    assert list(run.store.trials()["trial_id"]) == [IDS[0]]
    assert run.curve(IDS[0]) == [0, 1]


def test_a_trial_whose_worker_died_is_a_row(tmp_path: Path) -> None:
    run = Run(tmp_path)
    reports, trial = reports_of(run), OnRay(IDS[0])

    reports.on_trial_start(0, [], trial)
    reports.on_trial_error(0, [], trial)
    run.recorder.close()

    assert (run.row(IDS[0])["status"], run.row(IDS[0])["error"]) == ("failed", "its worker died")
    assert trial.config == {}


@pytest.mark.parametrize("died", [False, True])
def test_what_the_recorder_cannot_go_on_after_ends_the_run_as_it_is_between_two_events(
    died: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports, trial = reports_of(Run(tmp_path)), OnRay(IDS[0])
    lost = LeaseLostError("the sweep was taken over by process 7")

    def append(*_: object, **__: object) -> None:
        raise lost

    monkeypatch.setattr(ResultStore, "append", append)
    if died:
        reports.on_trial_error(0, [], trial)
    else:
        reports.on_trial_result(0, [], trial, {"report": ended("diverged")[-1]})

    with pytest.raises(LeaseLostError) as failure:
        reports.on_step_end(0, [])
    assert failure.value is lost


def test_ctrl_c_ends_the_run_between_two_events(tmp_path: Path) -> None:
    interrupts = Interrupts()
    reports = reports_of(Run(tmp_path), interrupts)
    with interrupts.caught():
        reports.on_step_end(0, [])
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            reports.on_step_end(1, [])


def test_tune_is_given_nothing_to_save(tmp_path: Path) -> None:
    parts: tuple[Any, ...] = (queue_of(Agenda({}, {})), reports_of(Run(tmp_path)))
    for part in parts:
        assert len(pickle.dumps(part)) < 200


def test_tune_does_not_scan_its_trials_for_one_to_run() -> None:
    scheduler: Any = object.__new__(_AsHandedOut)  # Tune's own constructor notes its use

    assert scheduler.choose_trial_to_run(object()) is None


def test_the_run_ends_with_its_last_trial_and_not_before(tmp_path: Path) -> None:
    run = Run(tmp_path)
    queue = queue_of(Agenda(SPEC.trials(), {}))
    reports = reports_of(run, queue=queue)
    for number in range(len(IDS)):
        assert queue.suggest(str(number)) is not None
    assert queue.suggest("none") is None
    for number in range(len(IDS)):
        reports.on_step_end(0, [])
        queue.on_trial_complete(str(number), error=number == 0)

    with pytest.raises(_AllEnded):
        reports.on_step_end(0, [])


def test_ctrl_c_after_the_last_trial_still_counts(tmp_path: Path) -> None:
    interrupts = Interrupts()
    reports = reports_of(Run(tmp_path), interrupts, queue_of(Agenda({}, {})))
    with interrupts.caught():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            reports.on_step_end(0, [])


def test_what_tune_keeps_of_a_trial_that_ended_holds_no_trial_and_no_result(tmp_path: Path) -> None:
    trial = OnRay(IDS[0])
    trial.run_metadata = _TrainingRunMetadata()
    trial.run_metadata.last_result = {"report": metrics(0)}

    reports_of(Run(tmp_path)).on_trial_complete(0, [], trial)

    assert (trial.config, trial.run_metadata.last_result) == ({}, {})
