"""`topo-sweep status`: how far a sweep is, for people and for programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from nas_core.training.epochs import Steps
from tests.topo_sweep.cli.program import Program
from tests.topo_sweep.conftest import Clock, make_sweep, small_spec
from tests.topo_sweep.store.store_rows import append, trial_row
from topo_sweep.runs.progress import Progress

COUNTS = {"planned": 2, "ok": 2, "diverged": 0, "failed": 0, "left": 0, "running": 0}


@pytest.mark.usefixtures("results")
def test_a_finished_sweep_is_counted_alike_in_every_form(program: Program) -> None:
    status = json.loads(program("status", "--format", "json"))
    (row,) = csv.DictReader(io.StringIO(program("status", "--format", "csv")))
    header, counts, *facts = program("status").splitlines()

    assert {key: status[key] for key in COUNTS} == COUNTS
    assert row.keys() == status.keys()
    assert {key: int(row[key]) for key in COUNTS} == COUNTS
    assert dict(zip(header.split(), map(int, counts.split()), strict=True)) == COUNTS
    assert len(facts) == 1
    assert " a trial" in facts[0]
    assert "left" not in facts[0]


@pytest.mark.usefixtures("results")
def test_the_sweep_that_was_chosen_is_named_on_stderr(program: Program) -> None:
    program("status")
    assert program.errors.startswith("sweep: results/demo-digits-")


def test_a_sweep_that_stands_still_says_how_much_time_is_left(
    program: Program, tmp_path: Path
) -> None:
    spec = small_spec(topologies=(0, 1, 17), seeds=0)
    store = make_sweep(tmp_path, spec)
    first, second, _ = spec.trials()
    measured = {"protocol_hash": spec.protocol.protocol_hash, "epochs": spec.protocol.epochs}
    append(store, [trial_row(first, train_seconds=60.0, **measured)])
    append(store, [trial_row(second, status="failed", **measured)])

    table = program("status", str(store.paths.folder))

    assert table.splitlines()[1].split() == ["3", "1", "0", "1", "1", "0"]
    assert (
        "1 min 00 s a trial, about 1 min 00 s of training on one worker left, not running" in table
    )
    assert program.errors == ""


def test_an_estimate_from_the_first_steps_says_so(
    program: Program, tmp_path: Path, clock: Clock
) -> None:
    spec = small_spec(topologies=(0, 1), seeds=0)
    store = make_sweep(tmp_path, spec)
    progress = Progress(planned=2, work=dict.fromkeys(spec.trials(), ("trials", 5)))
    first, _ = spec.trials()
    progress.start(first)
    clock.now += 10
    progress.steps(first, Steps(share=0.25, epoch_seconds=40.0))
    with store.lock():
        progress.publish(store.paths.progress)
        table = program("status", str(store.paths.folder))

    assert table.splitlines()[-1] == "about 6 min 30 s left, from the first steps"


@pytest.mark.usefixtures("results")
def test_where_nothing_failed_that_is_said(program: Program) -> None:
    assert program("status", "--failed") == "no trial failed\n"
    assert json.loads(program("status", "--failed", "--format", "json")) == []
