"""Whatever ends a run, no result is lost, none is repeated, and the rows are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from nas_core.training.epochs import EpochMetrics
from tests.conftest import TINY, Run, Start, comparable
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Report
from topo_sweep.runs.sweep import run as run_sweep
from topo_sweep.spec.load import Overrides, load_spec
from topo_sweep.spec.trials import Runnable

SWEEP = ("run", "demo", *TINY, "--topologies", "0-7", "--epochs", "8")


def wait_for_rows(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until this many rows are on disk while the process runs."""
    deadline = time.monotonic() + 120
    while stored_rows(folder) < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no row came"
        time.sleep(0.05)


def stored_rows(folder: Path) -> int:
    """Count rows as they lie in the files, repeated ones too."""
    return sum(pq.read_metadata(part).num_rows for part in folder.glob("*/trials/part-*.parquet"))


def children(pid: int) -> set[int]:
    """Return all processes below this one."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        listing = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(waiting.pop())],
            capture_output=True,
            text=True,
            check=False,
        )
        fresh = {int(line) for line in listing.stdout.split()} - found
        found |= fresh
        waiting += fresh
    return found


def is_running(pid: int) -> bool:
    """Whether this process still computes (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pids: set[int]) -> None:
    """Ray's agents notice after some seconds that their node is gone."""
    deadline = time.monotonic() + 60
    while left := [pid for pid in pids if is_running(pid)]:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.2)


@pytest.mark.slow
def test_a_driver_killed_mid_sweep_loses_and_repeats_nothing(
    start: Start, run: Run, tmp_path: Path
) -> None:
    process = start(*SWEEP, "--results", "killed")
    wait_for_rows(tmp_path / "killed", 2, process)
    workers = children(process.pid)
    process.kill()
    process.communicate()
    kept = comparable(tmp_path / "killed")

    again = run(*SWEEP, "--results", "killed")
    undisturbed = run(*SWEEP, "--results", "inline", "--executor", "inline")

    assert (again.returncode, undisturbed.returncode) == (0, 0), again.stderr
    assert 2 <= len(kept) < 8, "the sweep was over before it was killed"
    assert stored_rows(tmp_path / "killed") == 8
    rows = comparable(tmp_path / "killed")
    pd.testing.assert_frame_equal(rows, comparable(tmp_path / "inline"), check_exact=True)
    still = rows[rows["trial_id"].isin(kept["trial_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(still, kept, check_exact=True)
    assert workers
    wait_until_gone(workers)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_finished_and_says_how_to_go_on(
    number: signal.Signals, start: Start, run: Run, tmp_path: Path
) -> None:
    executor = ("--executor", "ray" if number == signal.SIGINT else "inline")
    process = start(*SWEEP, *executor)
    wait_for_rows(tmp_path / "results", 1, process)
    os.kill(process.pid, number)
    output, errors = process.communicate(timeout=60)

    kept = stored_rows(tmp_path / "results")
    assert process.returncode == 130, errors
    assert output == ""
    assert f"stopped: {kept} of 8 trials are kept in results/demo-digits-" in errors
    command = errors.splitlines()[-1].split()
    assert command == ["topo-sweep", *SWEEP, *executor]
    assert run(*command[1:]).returncode == 0
    assert stored_rows(tmp_path / "results") == 8


@pytest.mark.parametrize("after", [1, 2, 3, 5])
def test_a_trial_stopped_after_any_epoch_goes_on_to_the_same_row(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = Overrides(
        topologies="40-41",
        epochs=3,
        train_limit=64,
        protocol={"init_channels": "2", "cells": "2", "drop_path": "0.2", "crop_padding": "1"},
    )
    spec = load_spec("demo", overrides)
    options = Execution(executor="inline", gpus=0, checkpoint_seconds=0)
    seen: list[int] = []
    take_first = Recorder.take

    def take(self: Recorder, trial: Runnable, report: Report) -> bool:
        ended = take_first(self, trial, report)
        if isinstance(report, EpochMetrics):
            seen.append(report.epoch)
            if len(seen) == after:
                raise KeyboardInterrupt
        return ended

    monkeypatch.setattr(Recorder, "take", take)
    assert run_sweep(make_plan(spec, tmp_path / "stopped"), options, print).interrupted
    result = run_sweep(make_plan(spec, tmp_path / "stopped"), options, print)
    run_sweep(make_plan(spec, tmp_path / "whole"), options, print)

    assert not result.interrupted
    assert seen == [0, 1, 2] * 4, "each epoch is trained once"
    rows, whole = comparable(tmp_path / "stopped"), comparable(tmp_path / "whole")
    pd.testing.assert_frame_equal(rows, whole, check_exact=True)
    assert list(rows["epochs"]) == [3, 3]
    assert not list(tmp_path.glob("*/*/checkpoints/*")), "finished trials keep no checkpoint"
