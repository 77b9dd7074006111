"""Whatever ends a run, no result is lost, none is repeated, and the rows are the same."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Start, comparable
from tests.integration.processes import children, kill, named, wait_until, wait_until_gone
from tests.integration.small_searches import SWEEP, assert_same_rows, stored
from tests.program import Ended, comparable_searches, done, program
from tests.topo_sweep.runs.interruptions import epochs_taken
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Report
from topo_sweep.runs.sweep import run as run_sweep
from topo_sweep.spec.load import Overrides, load_spec
from topo_sweep.spec.trials import Runnable


def stored_rows(results: Path) -> int:
    """Count searches and evaluations as they lie in the files, repeated ones too."""
    return stored(results, "searches") + stored(results, "trials")


def command_after(stopped: Ended, results: Path) -> list[str]:
    """Expect that a run was stopped and not over; return the command that it says to go on with."""
    kept = stored_rows(results)
    assert (stopped.code, stopped.output) == (130, ""), stopped.errors
    assert f"stopped: {kept} of 12 trials are kept in results/small-digits-" in stopped.errors
    assert 1 <= kept < 12, "the sweep was over before it was stopped"
    return stopped.errors.splitlines()[-1].split()


@pytest.mark.long
def test_a_run_on_ray_that_is_stopped_then_killed_with_a_worker_loses_and_repeats_nothing(
    start: Start, here: Path, whole: Path
) -> None:
    results = here / "results"
    first = start(*SWEEP, RAY_OVERRIDE_RESOURCES='{"CPU": 1}')
    wait_until(lambda: stored(results, "searches") >= 1, first)
    os.kill(first.pid, signal.SIGINT)
    output, errors = first.communicate(timeout=60)
    command = command_after(Ended(first.returncode, output, errors), results)
    assert command == ["topo-sweep", *SWEEP]
    kept = stored_rows(results)

    again = start(*command[1:])
    wait_until(lambda: stored_rows(results) > kept, again)
    below = children(again.pid)
    workers, agents = named("Trainable", below), named("Agent", below)
    kill(again.pid, *named("topo_sweep", below), min(workers))
    again.communicate()
    survived = comparable_searches(results)
    assert stored_rows(results) < 12, "the sweep was over before it was killed"

    done(here, *SWEEP, "--executor", "inline")
    assert_same_rows(results, whole)
    rows = comparable_searches(results)
    still = rows[rows["search_id"].isin(survived["search_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(still, survived, check_exact=True)
    wait_until_gone(below - agents)
    kill(*agents)  # Ray's two idle ones notice within a minute that their node is gone


@pytest.mark.long
@pytest.mark.parametrize(("part", "is_missed"), [("gcs_server", True), ("raylet/raylet", False)])
def test_a_local_run_whose_ray_dies_comes_to_the_same_rows(
    part: str, is_missed: bool, start: Start, here: Path, whole: Path
) -> None:
    results = here / "results"
    run = start(*SWEEP, RAY_OVERRIDE_RESOURCES='{"CPU": 1}')
    wait_until(lambda: bool(named("Trainable", children(run.pid))), run)
    below = children(run.pid)
    parts = named(part, below)
    assert parts, "there is no such process of Ray"
    kill(*parts)
    _, errors = run.communicate(timeout=240)

    assert run.returncode == 0, errors
    # Without its raylet a worker goes on for some 20 s, in which a sweep so short ends.
    assert ("Ray died on this machine" in errors) == is_missed, errors
    assert "Traceback" not in errors
    assert_same_rows(results, whole)
    wait_until_gone(below)


@pytest.mark.slow
def test_sigterm_amid_searches_keeps_what_ended_and_says_how_to_go_on(
    here: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Recorder.take

    def terminated(self: Recorder, trial: Runnable, report: Report) -> bool:
        if has_ended := take(self, trial, report):
            os.kill(os.getpid(), signal.SIGTERM)
        return has_ended

    results, request = here / "results", (*SWEEP, "--executor", "inline")
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "take", terminated)
        patch.setattr(sys, "argv", ["topo-sweep", *request])
        command = command_after(program(here, *request), results)
    assert command == ["topo-sweep", *request]
    done(here, *command[1:])
    assert_same_rows(results, whole)


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 2, 3, 5])
def test_a_trial_stopped_after_any_epoch_goes_on_to_the_same_row(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = Overrides(
        topologies="40-41",
        epochs=3,
        train_limit=64,
        protocol={"init_channels": "2", "cells": "3", "drop_path": "0.2", "crop_padding": "1"},
    )
    spec = load_spec("demo", overrides)
    options = Execution(executor="inline", gpus=0, checkpoint_seconds=0)
    taken = epochs_taken(monkeypatch, interrupt_after=after)
    assert run_sweep(make_plan(spec, tmp_path / "stopped"), options, print).interrupted
    result = run_sweep(make_plan(spec, tmp_path / "stopped"), options, print)
    run_sweep(make_plan(spec, tmp_path / "whole"), options, print)

    assert not result.interrupted
    each_once = [(trial_id, epoch) for trial_id in spec.trials() for epoch in range(3)]
    assert taken == each_once * 2, "each epoch is trained once"
    rows, whole = comparable(tmp_path / "stopped"), comparable(tmp_path / "whole")
    pd.testing.assert_frame_equal(rows, whole, check_exact=True)
    assert list(rows["epochs"]) == [3, 3]
    assert not list(tmp_path.glob("*/*/checkpoints/*")), "finished trials keep no checkpoint"
