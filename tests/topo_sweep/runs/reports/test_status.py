from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_core.training.epochs import Steps
from tests.topo_sweep.conftest import FINGERPRINT, Clock, make_sweep, small_spec
from tests.topo_sweep.runs.search_run import (
    search_of,
    search_spec,
    stored_search,
)
from tests.topo_sweep.store.store_rows import ON_DISK, trial_row
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.reports.status import sweep_status
from topo_sweep.store.opened import open_sweep
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.tables import SEARCHES

SPEC = small_spec()
IDS = list(SPEC.trials())
OF_SEARCHES = search_spec(seeds=(0, 1), evaluation_seeds=(0, 1))
FIRST, EVALUATION, _, SECOND, *_REST = list(OF_SEARCHES.trials())
LIVE = {"running", "is_running", "images_per_second", "seconds_left", "from_first_steps"}


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """Return a store with a row for four of six trials and one that nobody asked for."""
    store = make_sweep(tmp_path, SPEC)
    trained = {"protocol_hash": SPEC.protocol.protocol_hash, "epochs": 5}
    rows = [
        trial_row(IDS[0], status="ok", train_seconds=10.0, **trained),
        trial_row(IDS[1], status="ok", train_seconds=20.0, **trained),
        trial_row(IDS[2], status="diverged", train_seconds=3.0, **trained),
        trial_row(IDS[3], status="failed", train_seconds=1000.0, **trained),
    ]
    store.append(rows, [])
    return store


def status(store: ResultStore) -> dict[str, object]:
    return sweep_status(open_sweep(store.paths.folder))


def test_a_sweep_that_does_not_run_is_described_by_its_rows(store: ResultStore) -> None:
    assert status(store) == {
        "sweep": "small",
        "planned": 6,
        "ok": 2,
        "diverged": 1,
        "failed": 1,
        "running": 0,
        "left": 2,
        "is_running": False,
        "seconds_a_trial": 11.0,
        "images_per_second": None,
        "seconds_left": 22.0,
        "from_first_steps": False,
        "protocol_hash": SPEC.protocol.protocol_hash,
        "dataset": "digits",
        "fingerprint": FINGERPRINT,
    }


@ON_DISK
@given(
    statuses=st.fixed_dictionaries(
        {trial_id: st.sampled_from([None, "ok", "diverged", "failed"]) for trial_id in IDS}
    )
)
def test_every_planned_trial_is_counted_once(
    tmp_path_factory: pytest.TempPathFactory, statuses: dict[str, str | None]
) -> None:
    store = make_sweep(tmp_path_factory.mktemp("results"), SPEC)
    rows = [trial_row(key, status=value) for key, value in statuses.items() if value]
    store.append([*rows, trial_row("of no request", status="ok")], [])

    counts = status(store)

    assert counts["planned"] == len(IDS)
    for name, value in (("ok", "ok"), ("diverged", "diverged"), ("failed", "failed")):
        assert counts[name] == list(statuses.values()).count(value)
    assert counts["left"] == list(statuses.values()).count(None)


def test_what_is_planned_covers_all_requests(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, SPEC, small_spec(topologies=(99,), seeds=(0, 1, 2, 3)))

    assert status(store)["planned"] == status(store)["left"] == 6 + 4


def test_time_is_unknown_before_the_first_trial_has_finished(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, SPEC)
    store.append([trial_row(IDS[0], status="failed")], [])

    assert status(store)["seconds_a_trial"] is None
    assert status(store)["seconds_left"] is None


def test_a_sweep_that_runs_is_described_by_its_driver_too(store: ResultStore, clock: Clock) -> None:
    work = dict.fromkeys(IDS[4:], ("trials", 5))
    progress = Progress(planned=6, ok=2, diverged=1, failed=1, work=work, images=100)
    progress.start(IDS[4])
    clock.now += 10
    progress.epoch(IDS[4], 1, seconds=10.0)
    at_rest = status(store)
    with store.lock():
        progress.publish(store.paths.progress)
        live = status(store)

    # One epoch of 100 images in 10 s; two trials of 5 epochs less that one are left.
    expected = {
        "running": 1,
        "is_running": True,
        "images_per_second": 10.0,
        "seconds_left": 90.0,
        "from_first_steps": False,
    }
    assert {key: live[key] for key in LIVE} == expected
    assert {key: live[key] for key in live.keys() - LIVE} == {
        key: at_rest[key] for key in at_rest.keys() - LIVE
    }


@pytest.mark.parametrize("content", [None, "", "{", "[]", "null", "\x00\x00"])
def test_a_driver_that_has_not_said_anything_readable_still_runs(
    store: ResultStore, content: str | None
) -> None:
    if content is not None:
        store.paths.progress.write_text(content)
    with store.lock():
        live = status(store)

    assert {key: live[key] for key in LIVE} == {
        "running": 0,
        "is_running": True,
        "images_per_second": None,
        "seconds_left": None,
        "from_first_steps": False,
    }


def test_an_estimate_of_a_driver_that_rests_on_the_first_steps_says_so(
    store: ResultStore, clock: Clock
) -> None:
    progress = Progress(planned=6, work=dict.fromkeys(IDS[4:], ("trials", 5)))
    progress.start(IDS[4])
    clock.now += 10
    progress.steps(IDS[4], Steps(share=0.25, epoch_seconds=40.0))
    with store.lock():
        progress.publish(store.paths.progress)
        live = status(store)

    assert (live["seconds_left"], live["from_first_steps"]) == (390.0, True)


def test_what_a_killed_driver_said_last_is_ignored(store: ResultStore) -> None:
    store.paths.progress.write_text('{"running": 7, "images_per_second": 9, "seconds_left": 1}')

    assert status(store)["running"] == 0
    assert status(store)["is_running"] is False
    assert status(store)["seconds_left"] == 22.0


# Sweeps of searches


@pytest.fixture
def of_searches(tmp_path: Path) -> ResultStore:
    """Return a store with a search done, one failed and an evaluation of two done."""
    store = make_sweep(tmp_path, OF_SEARCHES)
    searched = {"protocol_hash": search_of(OF_SEARCHES).protocol.protocol_hash, "epochs": 1}
    done = stored_search(FIRST, search_seconds=30.0, **searched)
    failed = stored_search(SECOND, status="failed", genotype=None, search_seconds=999.0)
    store.append([done, failed], [], table=SEARCHES)
    trained = {
        "train_seconds": 4.0,
        "protocol_hash": OF_SEARCHES.protocol.protocol_hash,
        "epochs": 1,
    }
    store.append([trial_row(EVALUATION, search_id=FIRST, **trained)], [])
    return store


def counts(of_searches: ResultStore) -> dict[str, object]:
    status = sweep_status(open_sweep(of_searches.paths.folder))
    return {key: status[key] for key in ("planned", "ok", "diverged", "failed", "left")}


def test_status_counts_searches_and_evaluations_alike(of_searches: ResultStore) -> None:
    assert counts(of_searches) == {"planned": 6, "ok": 2, "diverged": 0, "failed": 1, "left": 3}


def test_status_plans_no_evaluation_of_a_search_that_ended_without_a_cell(
    of_searches: ResultStore,
) -> None:
    lost = stored_search(SECOND, status="diverged", genotype=None)
    of_searches.append([lost], [], table=SEARCHES)

    assert counts(of_searches) == {"planned": 4, "ok": 2, "diverged": 1, "failed": 0, "left": 1}


def test_the_time_of_what_is_left_is_that_of_its_kind(of_searches: ResultStore) -> None:
    status = sweep_status(open_sweep(of_searches.paths.folder))

    # Three evaluations have no row; the failed search has one.
    assert status["seconds_a_trial"] == 4.0
    assert status["seconds_left"] == 3 * 4.0


def test_a_pipe_in_the_place_of_the_progress_is_not_waited_for(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, small_spec())
    os.mkfifo(store.paths.progress)

    with store.lock():
        assert sweep_status(open_sweep(store.paths.folder))["running"] == 0
