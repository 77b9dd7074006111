"""Trials in this process: in which order things happen, and what Ctrl-C leaves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.topo_sweep.runs.recorder_run import IDS, Run, ended, metrics
from topo_sweep.runs import retries
from topo_sweep.runs.inline import run_inline
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.runner import Report, TrialRunner
from topo_sweep.spec.trials import Runnable


class Scripted(TrialRunner):
    """A runner whose trials take two epochs, and some of which end badly or are interrupted."""

    def __init__(self, *, fails: str = "", interrupted: str = "") -> None:
        self.started: list[str] = []
        self.fails, self.interrupted = fails, interrupted

    def run(self, trial: Runnable | Pack) -> Iterator[Report]:
        assert not isinstance(trial, Pack)
        self.started.append(trial.trial_id)
        *epochs, outcome = ended("ok", metrics(0), metrics(1))
        if trial.trial_id == self.fails:
            *epochs, outcome = ended("failed", metrics(0), error="ValueError: bad")
        for epoch in epochs:
            yield epoch
            if trial.trial_id == self.interrupted:
                os.kill(os.getpid(), signal.SIGINT)
        yield outcome


def run_all(run: Run, runner: Scripted) -> None:
    interrupts = Interrupts()
    with interrupts.caught():
        run_inline(run.agenda, run.recorder, interrupts, runner=runner)


def test_each_trial_runs_once_in_the_order_of_the_plan_also_behind_one_that_failed(
    tmp_path: Path,
) -> None:
    run, runner = Run(tmp_path), Scripted(fails=IDS[1])

    run_all(run, runner)
    run.recorder.close()

    assert runner.started == IDS
    assert [run.row(trial_id)["status"] for trial_id in IDS] == ["ok", "failed", "ok", "ok"]
    assert [run.curve(trial_id) for trial_id in IDS] == [[0, 1], [0], [0, 1], [0, 1]]
    assert run.progress.running == {}


def test_ctrl_c_stops_between_two_reports_and_what_had_finished_is_kept(tmp_path: Path) -> None:
    run, runner = Run(tmp_path), Scripted(interrupted=IDS[2])

    with pytest.raises(KeyboardInterrupt):
        run_all(run, runner)
    run.recorder.close()

    assert runner.started == IDS[:3]
    assert set(run.store.trials()["trial_id"]) == set(IDS[:2])
    assert run.progress.running == {IDS[2]: 1}


@pytest.mark.usefixtures("clock")  # no time passes, so that buffers wait
def test_a_trial_counts_as_running_before_its_first_report(tmp_path: Path) -> None:
    run = Run(tmp_path)
    running: list[dict[str, int]] = []

    class Watched(Scripted):
        def run(self, trial: Runnable | Pack) -> Iterator[Report]:
            running.append(dict(run.progress.running))
            yield from super().run(trial)

    run_all(run, Watched())

    assert running == [{trial_id: 0} for trial_id in IDS]


def test_what_fails_is_tried_again_behind_the_others_and_then_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_FIRST_SECONDS", 0.05)
    run, runner = Run(tmp_path, retries=2), Scripted(fails=IDS[1])

    run_all(run, runner)
    run.recorder.close()

    assert runner.started == [*IDS, IDS[1], IDS[1]]
    assert [run.row(trial_id)["status"] for trial_id in IDS] == ["ok", "failed", "ok", "ok"]
    assert run.curve(IDS[1]) == [0], "of the last try alone"
    assert run.recorder.errors == ["topology 17, seed 0: ValueError: bad"]


def test_ctrl_c_while_what_failed_waits_for_its_next_try_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "_FIRST_SECONDS", 1000.0)

    def interrupted(_seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(time, "sleep", interrupted)
    run = Run(tmp_path, retries=1)
    with pytest.raises(KeyboardInterrupt):
        run_all(run, Scripted(fails=IDS[1]))
    run.recorder.close()

    assert set(run.store.trials()["trial_id"]) == {*IDS} - {IDS[1]}
