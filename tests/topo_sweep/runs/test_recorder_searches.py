"""From what searches report to rows, and when the evaluations of what they found may start."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.disk import full_disk
from tests.topo_sweep.conftest import FINGERPRINT, Clock
from tests.topo_sweep.runs.recorder_run import check_every_column_is_named, ended, metrics
from tests.topo_sweep.runs.search_run import (
    FOUND,
    OTHER,
    SearchRun,
    search_ended,
    search_epoch,
    search_of,
    search_spec,
    stored_search,
)
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.recorder import failed
from topo_sweep.runs.runner import Report
from topo_sweep.store.opened import open_sweep
from topo_sweep.store.tables import SEARCH_EPOCH_SCHEMA, SEARCH_SCHEMA, SEARCHES

SPEC = search_spec()


@pytest.fixture
def run(tmp_path: Path) -> SearchRun:
    """Return a run of one search and two evaluations, of which the search has started."""
    run = SearchRun(tmp_path, SPEC)
    assert run.next_id() == run.ids[0]
    run.start(run.ids[0])
    return run


def only_row(frame: pd.DataFrame) -> dict[str, Any]:
    assert len(frame) == 1
    return {str(key): value for key, value in frame.iloc[0].items()}


# Rows


def test_a_search_that_ended_well_is_a_row_of_what_it_is_and_what_its_last_epoch_gave(
    run: SearchRun,
) -> None:
    search = search_of(SPEC)
    history = (
        search_epoch(0, weight_seconds=2.0, alpha_seconds=0.5, genotype=str(OTHER)),
        search_epoch(1, weight_seconds=4.0, alpha_seconds=1.5, val_accuracy=0.625),
    )

    run.report(run.ids[0], *search_ended("ok", *history, one_hot="[]"))

    row = only_row(run.store.searches())
    assert list(row) == SEARCH_SCHEMA.names
    finished_at = row.pop("finished_at")
    assert datetime.now(UTC) - timedelta(minutes=1) < finished_at <= datetime.now(UTC)
    missing = {key for key, value in row.items() if pd.isna(value)}
    assert missing == {"topology", "reduction_topology", "error"}
    assert {key: value for key, value in row.items() if key not in missing} == {
        "search_id": search.search_id,
        "sweep": "searches",
        "method": "search_subset_sparse",
        "space": "none+skip_connect+sep_conv_3x3",
        "operations": "none,skip_connect,sep_conv_3x3",
        "cells": 3,
        "attention": "none",
        "seed": 0,
        "protocol_hash": search.protocol.protocol_hash,
        "dataset": "digits",
        "holdout": 0,
        "train_limit": 64,
        "fingerprint": FINGERPRINT,
        "images": 32,
        "status": "ok",
        "attempt": 1,
        "epochs": 2,
        "stopped_early": False,
        "genotype": str(FOUND),
        "skips_normal": 1,
        "skips_reduction": 2,
        "train_loss": 0.5,
        "train_accuracy": 0.5,
        "alpha_loss": 1.0,
        "alpha_accuracy": 0.375,
        "val_accuracy": 0.625,
        "parameters": 4321,
        "search_seconds": 6.0,
        "weight_step_seconds": (2.0 + 4.0) / 8,
        "alpha_step_seconds": (0.5 + 1.5) / 2,
        "peak_memory_bytes": 10**9,
        "one_hot": "[]",
        "device": "cpu",
        "node": "node",
        "execution": '{"threads": 1}',
    }


def test_a_fixed_topology_and_attention_are_columns(tmp_path: Path) -> None:
    spec = search_spec(attention=("once",), search=SPEC.search | {"topology": (17, 3)})
    run = SearchRun(tmp_path, spec)

    run.report(run.ids[0], *search_ended("ok", search_epoch(0)))

    row = only_row(run.store.searches())
    assert (row["topology"], row["reduction_topology"]) == (17, 3)
    assert row["attention"] == "once"


def test_each_epoch_is_a_row_with_the_alphas_and_the_genotype_of_then(run: SearchRun) -> None:
    epochs = (
        search_epoch(0, genotype=str(OTHER), skips_normal=4),
        search_epoch(1, val_accuracy=0.625),
    )

    run.report(run.ids[0], *search_ended("ok", *epochs))

    rows = run.store.search_epochs()
    assert list(rows.columns) == SEARCH_EPOCH_SCHEMA.names
    for (_, row), epoch in zip(rows.iterrows(), epochs, strict=True):
        assert json.loads(row["alphas"]) == epoch.alphas
        for name in SEARCH_EPOCH_SCHEMA.names:
            if name not in {"search_id", "alphas", "finished_at"}:
                expected = getattr(epoch, name)
                assert pd.isna(row[name]) if expected is None else row[name] == expected, name
    assert set(rows["search_id"]) == {run.ids[0]}
    assert set(rows["finished_at"]) == set(run.store.searches()["finished_at"])


@pytest.mark.parametrize(
    "reports",
    [
        search_ended("ok", search_epoch(0)),
        search_ended("diverged", search_epoch(0, train_loss=math.nan, genotype=None)),
        search_ended("failed", search_epoch(0), error="ValueError: bad"),
        [failed("the worker died")],
    ],
)
def test_every_column_is_named_in_every_row(run: SearchRun, reports: list[Report]) -> None:
    check_every_column_is_named(run, run.ids[0], reports, SEARCHES)


def test_a_search_whose_worker_died_has_the_epochs_that_were_reported(run: SearchRun) -> None:
    for epoch in range(2):
        run.report(run.ids[0], search_epoch(epoch))

    run.report(run.ids[0], failed("the worker died"))

    row = only_row(run.store.searches())
    assert (row["status"], row["error"], row["epochs"]) == ("failed", "the worker died", 2)
    assert row["search_seconds"] == 6.0
    assert pd.isna(row["genotype"]), "a failed search found nothing"
    assert list(run.store.search_epochs()["epoch"]) == [0, 1]
    assert run.recorder.errors == [f"{search_of(SPEC).name}, seed 0: the worker died"]


def test_attempts_at_a_failed_search_count_up(tmp_path: Path) -> None:
    for _ in range(2):
        run = SearchRun(tmp_path, SPEC, retry_failed=True)
        run.report(run.ids[0], failed("the worker died"))

    last = SearchRun(tmp_path, SPEC, retry_failed=True)
    last.report(last.ids[0], *search_ended("ok", search_epoch(0)))

    assert only_row(last.store.searches())["attempt"] == 3


# Evaluations


@pytest.mark.usefixtures("clock")  # no time passes, so that buffers would wait
def test_a_search_is_durable_before_its_evaluations_are_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = SearchRun(tmp_path, search_spec(seeds=(0, 1)))
    durable: dict[str, set[str]] = {}
    make_ready = run.agenda.search_ended

    def spied(search_id: str, *arguments: Any) -> list[str]:
        durable[search_id] = set(run.store.searches()["search_id"])
        return make_ready(search_id, *arguments)

    monkeypatch.setattr(run.agenda, "search_ended", spied)
    first, second = run.ids[0], run.ids[3]
    for search_id in (first, second):
        run.report(search_id, *search_ended("ok", search_epoch(0)))

    assert durable == {first: {first}, second: {first, second}}


@pytest.mark.usefixtures("clock")
def test_a_search_does_not_wait_in_the_buffer_even_in_a_burst(tmp_path: Path) -> None:
    run = SearchRun(tmp_path, search_spec(seeds=(0, 1, 2), evaluation_seeds=()))

    for number, search_id in enumerate(run.ids, 1):
        run.report(search_id, *search_ended("ok", search_epoch(0)))
        assert len(run.store.searches()) == number


@pytest.mark.parametrize("found", [True, False])
def test_a_search_whose_row_cannot_be_written_starts_its_evaluations_when_it_is(
    found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    run = SearchRun(tmp_path, search_spec(seeds=(0, 1)))
    checkpoint = run.checkpoint(run.ids[0])
    reports = search_ended("ok" if found else "diverged", search_epoch(0))
    with monkeypatch.context() as patch:
        patch.setattr("topo_sweep.store.parts.write_durably", full_disk)
        run.report(run.ids[0], *reports)
        run.report(run.ids[3], *reports)
        assert run.next_id() is None
        assert not run.agenda.is_exhausted, "the run must not end here"
        assert run.progress.planned == 6
    assert checkpoint.exists()

    clock.now += 5
    run.recorder.tick()

    assert list(run.store.searches()["search_id"]) == [run.ids[0], run.ids[3]]
    assert [run.next_id() for _ in range(5)] == (
        [*run.ids[4:], *run.ids[1:3], None] if found else [None] * 5
    )
    assert run.progress.planned == (6 if found else 2)
    assert not checkpoint.exists()


def test_evaluations_are_rows_linked_to_their_search_with_the_cell_that_it_found(
    run: SearchRun,
) -> None:
    run.report(run.ids[0], *search_ended("ok", search_epoch(0)))
    for trial_id in run.ids[1:]:
        assert run.next_id() == trial_id
        run.start(trial_id)
        run.report(trial_id, *ended("ok", metrics(0)))
    run.recorder.close()

    rows = run.store.trials()
    assert set(rows["trial_id"]) == set(run.ids[1:])
    assert set(rows["search_id"]) == {run.ids[0]}
    assert set(rows["genotype"]) == {str(FOUND)}
    assert set(rows["kind"]) == {"search"}
    assert set(rows["protocol_hash"]) == {SPEC.protocol.protocol_hash}
    assert sorted(rows["seed"]) == [0, 1]
    assert set(rows["topology"]) == {17}
    assert run.agenda.is_exhausted
    assert open_sweep(run.store.paths.folder).planned().keys() == set(run.ids)


def test_evaluations_of_what_an_earlier_run_found_are_linked_too(tmp_path: Path) -> None:
    first = SearchRun(tmp_path, SPEC)
    first.store.append([stored_search(first.ids[0], genotype=str(OTHER))], [], table=SEARCHES)

    run = SearchRun(tmp_path, SPEC)
    assert run.next_id() == run.ids[1]
    run.report(run.ids[1], *ended("ok", metrics(0)))

    row = only_row(run.store.trials())
    assert (row["search_id"], row["genotype"]) == (run.ids[0], str(OTHER))


def test_a_failed_search_leaves_its_evaluations_unrun_until_a_retry(tmp_path: Path) -> None:
    run = SearchRun(tmp_path, SPEC)
    run.next_id()
    run.report(run.ids[0], *search_ended("failed", search_epoch(0), error="ValueError: bad"))

    assert run.next_id() is None
    assert run.agenda.is_exhausted
    assert pd.isna(only_row(run.store.searches())["genotype"])
    again = SearchRun(tmp_path, SPEC, retry_failed=True)
    assert list(again.plan.left) == run.ids
    assert again.next_id() == run.ids[0]


def test_a_search_that_diverged_without_a_cell_drops_its_evaluations_from_the_plan(
    tmp_path: Path,
) -> None:
    spec = search_spec(seeds=(0, 1))
    run = SearchRun(tmp_path, spec)
    run.next_id()
    assert run.progress.planned == 6
    lost = search_epoch(1, train_loss=math.nan, genotype=None, skips_normal=0)

    run.report(run.ids[0], *search_ended("diverged", search_epoch(0), lost))

    assert (run.progress.planned, run.progress.diverged, run.progress.left) == (4, 1, 3)
    assert run.progress.work.keys() == set(run.ids[3:]), "no time is left for them either"
    row = only_row(run.store.searches())
    assert (row["status"], row["error"]) == ("diverged", "the loss was nan in epoch 1")
    assert pd.isna(row["genotype"])
    assert run.next_id() == run.ids[3]
    assert run.next_id() is None
    assert list(make_plan(spec, tmp_path).left) == run.ids[3:]


def test_a_search_that_diverged_found_nothing_though_its_alphas_are_numbers(run: SearchRun) -> None:
    lost = search_epoch(0, train_loss=math.nan)

    run.report(run.ids[0], *search_ended("diverged", lost))

    row = only_row(run.store.searches())
    assert row["status"] == "diverged"
    assert pd.isna(row["genotype"])
    assert run.next_id() not in run.ids[1:]


# Checkpoints and progress


@pytest.mark.parametrize(
    ("reports", "kept"),
    [
        (search_ended("ok", search_epoch(0)), False),
        (search_ended("diverged", search_epoch(0, train_loss=math.nan)), False),
        (search_ended("failed", search_epoch(0), error="ValueError: bad"), True),
        ([failed("the worker died")], True),
    ],
)
def test_a_checkpoint_of_a_search_goes_with_its_durable_row_alone(
    run: SearchRun, monkeypatch: pytest.MonkeyPatch, reports: list[Report], kept: bool
) -> None:
    checkpoint = run.checkpoint(run.ids[0])
    was_there: list[bool] = []
    append = run.plan.store.append

    def spied(*arguments: Any, **options: Any) -> None:
        append(*arguments, **options)
        was_there.append(checkpoint.exists())

    monkeypatch.setattr(run.plan.store, "append", spied)
    run.report(run.ids[0], *reports)

    assert was_there == [True], "it outlives the writing"
    assert checkpoint.exists() == kept


def test_a_search_is_no_best_network_but_its_evaluation_is(run: SearchRun) -> None:
    run.report(run.ids[0], *search_ended("ok", search_epoch(0, val_accuracy=1.0)))
    assert run.progress.best is None

    run.report(run.ids[1], *ended("ok", metrics(0, test_accuracy=0.5)))
    assert run.progress.best == (0.5, "topology 17")
    assert (run.progress.ok, run.progress.left) == (2, 1)


def test_a_search_is_called_by_method_space_and_depth() -> None:
    search = search_of(search_spec(spaces=("SS3",)))

    assert search.name == "search_subset_sparse in SS3 with 3 cells"
