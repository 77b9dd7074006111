"""How far a sweep of searches is: its work differs in cost, and two tables hold its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topo_sweep.conftest import Clock, make_sweep
from tests.topo_sweep.runs.search_run import (
    SearchRun,
    search_ended,
    search_epoch,
    search_spec,
    stored_search,
)
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.progress import Progress
from topo_sweep.store.tables import SEARCHES

SPEC = search_spec(seeds=(0, 1), evaluation_seeds=(0, 1))
FIRST, EVALUATION, OTHER_EVALUATION, SECOND, *REST = list(SPEC.trials())


def mixed() -> Progress:
    """Return the progress of two searches of 10 epochs and two trainings of 5 each."""
    search, training = ("searches", 10), ("trials", 5)
    work = {"s": search, "t": training, "u": training, "z": search}
    return Progress(planned=4, work=work)


# Time left


def test_each_kind_of_work_has_the_time_of_its_own_epochs(clock: Clock) -> None:
    progress = mixed()
    progress.start("s")
    clock.now += 8
    progress.epoch("s", 1, seconds=8.0)
    progress.start("t")
    clock.now += 2
    progress.epoch("t", 1, seconds=2.0)

    # The worker of the training is free first: 9 epochs of trainings at 2 s, 10 of a search at 8 s.
    assert progress.seconds_left == pytest.approx(9 * 2 + 10 * 8)


def test_a_kind_without_an_epoch_yet_counts_like_the_others(clock: Clock) -> None:
    progress = mixed()
    progress.start("s")
    clock.now += 8
    progress.epoch("s", 1, seconds=8.0)

    assert progress.seconds_left == pytest.approx(19 * 8 + 10 * 8)


def test_busy_workers_share_what_is_left(clock: Clock) -> None:
    progress = mixed()
    for trial_id in ("s", "z"):
        progress.start(trial_id)
    clock.now += 8
    for trial_id in ("s", "z"):
        progress.epoch(trial_id, 1, seconds=8.0)

    assert progress.seconds_left == pytest.approx((18 * 8 + 10 * 8) / 2)


def test_time_left_is_unknown_before_the_first_epoch(clock: Clock) -> None:
    progress = mixed()
    progress.start("s")
    clock.now += 8

    assert progress.seconds_left is None


def test_epochs_of_an_earlier_run_are_not_left(clock: Clock) -> None:
    progress = mixed()
    progress.start("s")
    clock.now += 8

    progress.epoch("s", 8, seconds=8.0)  # seven of them came from a checkpoint

    assert progress.seconds_left == pytest.approx((2 + 10) * 8 + 10 * 8)


@pytest.mark.parametrize("status", ["ok", "diverged", "failed"])
def test_of_a_trial_that_ended_nothing_is_left_however_early(clock: Clock, status: str) -> None:
    progress = mixed()
    for trial_id in ("s", "z"):
        progress.start(trial_id)
        clock.now += 8
        progress.epoch(trial_id, 1, seconds=8.0)

    progress.end("s", status)

    # The free worker has two trainings of 5 epochs before it, the other 9 epochs of its search.
    assert progress.seconds_left == pytest.approx(2 * 5 * 8)


@pytest.mark.parametrize(("will_come", "planned"), [(False, 2), (True, 4)])
def test_trials_that_do_not_run_take_no_time_and_are_planned_where_another_run_can(
    will_come: bool, planned: int, clock: Clock
) -> None:
    progress = mixed()
    progress.start("s")
    clock.now += 8
    progress.epoch("s", 1, seconds=8.0)

    progress.drop(["t", "u"], will_come=will_come)

    assert progress.planned == planned
    assert progress.seconds_left == pytest.approx(19 * 8)
    progress.end("s", "diverged")
    assert progress.left == planned - 1


def test_at_the_end_no_time_is_left(clock: Clock) -> None:
    progress = mixed()
    for trial_id, (_, epochs) in list(progress.work.items()):
        for epoch in range(epochs):
            clock.now += 1
            progress.epoch(trial_id, epoch + 1, seconds=1.0)
        progress.end(trial_id, "ok")

    assert progress.seconds_left == 0
    assert progress.line() == "4/4 done · 0 running · 0 s left"


def test_no_speed_is_told_where_an_image_is_not_worth_an_image(clock: Clock) -> None:
    alike, unlike = Progress(planned=4, images=100, work=mixed().work), mixed()
    for progress in (alike, unlike):
        progress.start("s")
    clock.now += 8
    for progress in (alike, unlike):
        progress.epoch("s", 1, seconds=8.0)

    assert unlike.images_per_second is None
    assert "images/s" not in unlike.line()
    assert "images/s" in alike.line()


def test_searches_and_trainings_of_a_sweep_are_kinds_by_their_settings(tmp_path: Path) -> None:
    spec = search_spec(cells=(3, 6), attention=("none", "once"))

    progress = Progress.of(make_plan(spec, tmp_path), images=64)

    assert progress.planned == len(spec.trials()) == 4 * 3
    assert len({kind for kind, _ in progress.work.values()}) == 4 + 1
    assert {key: epochs for key, (_, epochs) in progress.work.items()} == {
        key: trial.epochs for key, trial in spec.trials().items()
    }
    assert progress.images == 0, "an image of a search is not worth one of a training"


def test_what_has_a_row_is_not_among_the_epochs_left(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, SPEC)
    store.append([stored_search(FIRST)], [], table=SEARCHES)
    store.append([trial_row(EVALUATION, search_id=FIRST)], [])

    progress = Progress.of(make_plan(SPEC, tmp_path), images=64)

    assert progress.work.keys() == {OTHER_EVALUATION, SECOND, *REST}
    assert (progress.planned, progress.ok, progress.left) == (6, 2, 4)


def test_the_recorder_tells_how_long_each_epoch_took(tmp_path: Path, clock: Clock) -> None:
    run = SearchRun(tmp_path, search_spec())
    run.start(run.ids[0])
    clock.now += 3

    run.report(run.ids[0], *search_ended("ok", search_epoch(0, seconds=3.0)))

    # Two evaluations of one epoch, of which none has been seen: like the search's.
    assert run.progress.seconds_left == pytest.approx(2 * 3.0)
