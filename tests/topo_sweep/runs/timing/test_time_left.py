"""The time that is left: right at a steady pace, calm in noise, and it follows what lasts."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median

import numpy as np
import pytest

from nas_core.training.epochs import Steps
from tests.topo_sweep.conftest import Clock
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.timing.time_left import TimeLeft

EPOCH = 60.0
"""Seconds of an epoch, unless a test says otherwise."""

Told = tuple[float, float]
"""When an estimate was made, and the seconds that it says are left."""


def told_after_each_epoch(
    clock: Clock,
    *,
    trials: int,
    epochs: int,
    workers: int = 1,
    seconds: Callable[[int], float] = lambda _: EPOCH,
    first_wave: float = 0.0,
    handover: float = 0.0,
) -> Iterator[Told]:
    """Simulate a run and yield its estimate behind every epoch that ends.

    Args:
        clock: is moved.
        trials: how many, all of one workload.
        epochs: of each.
        workers: how many there are.
        seconds: of the epoch that begins as the n-th of the run, n from 0.
        first_wave: seconds that pass before a worker begins its first epoch.
        handover: seconds from the end of a trial until its worker begins the next.

    """
    work = {str(number): ("trials", epochs) for number in range(trials)}
    progress = Progress(planned=trials, work=dict(work))
    waiting, begun = list(work)[::-1], 0
    events: list[tuple[float, str, int, float]] = []

    def begin(trial_id: str, epoch: int, delay: float) -> None:
        nonlocal begun
        took = seconds(begun)
        begun += 1
        heapq.heappush(events, (clock.now + delay + took, trial_id, epoch, took))

    for _ in range(workers):
        trial_id = waiting.pop()
        progress.start(trial_id)
        begin(trial_id, 0, first_wave)
    while events:
        clock.now, trial_id, epoch, took = heapq.heappop(events)
        progress.epoch(trial_id, epoch + 1, seconds=took)
        if epoch + 1 < epochs:
            begin(trial_id, epoch + 1, 0.0)
        else:
            progress.end(trial_id, "ok")
            if waiting:
                following = waiting.pop()
                progress.start(following)
                begin(following, 0, handover)
        assert progress.seconds_left is not None
        yield clock.now, progress.seconds_left


def jumps(told: list[Told]) -> list[float]:
    """Return how far each estimate is from the one before, less the time since, as a fraction."""
    return [
        (after - (before - (later - earlier))) / before
        for (earlier, before), (later, after) in pairwise(told)
    ]


@pytest.mark.parametrize(
    ("trials", "workers"), [(1, 1), (3, 1), (8, 4), (9, 4), (11, 4), (6, 5), (40, 16)]
)
def test_at_a_steady_pace_the_first_estimate_is_right_and_stays_so(
    clock: Clock, trials: int, workers: int
) -> None:
    told = list(told_after_each_epoch(clock, trials=trials, epochs=10, workers=workers))

    assert [now + left for now, left in told] == pytest.approx([clock.now] * len(told), rel=1e-9)


def test_between_two_epochs_the_time_left_runs_down_and_stands_where_the_epoch_is_late(
    clock: Clock,
) -> None:
    progress = Progress(planned=1, work={"a": ("trials", 10)})
    progress.start("a")
    clock.now += EPOCH
    progress.epoch("a", 1, seconds=EPOCH)

    clock.now += EPOCH / 3
    assert progress.seconds_left == pytest.approx(9 * EPOCH - EPOCH / 3)
    clock.now += EPOCH
    assert progress.seconds_left == pytest.approx(8 * EPOCH)


@pytest.mark.parametrize(("trials", "workers"), [(1, 1), (12, 4)])
@pytest.mark.parametrize("seed", range(20))
def test_in_noise_of_two_fifths_no_estimate_jumps(
    clock: Clock, seed: int, trials: int, workers: int
) -> None:
    noise = np.random.default_rng(seed)
    told = list(
        told_after_each_epoch(
            clock,
            trials=trials,
            epochs=50,
            workers=workers,
            seconds=lambda _: EPOCH * float(noise.uniform(0.6, 1.4)),
        )
    )
    far_from_the_end = [each for each in told if each[1] > 5 * EPOCH]

    assert max(map(abs, jumps(far_from_the_end))) <= 0.15
    errors = [abs(now + left - clock.now) / left for now, left in far_from_the_end]
    assert median(errors[5 * workers :]) <= 0.15


@pytest.mark.parametrize(("trials", "workers"), [(1, 1), (4, 4)])
def test_a_pace_that_doubles_for_good_is_followed_within_ten_epochs(
    clock: Clock, trials: int, workers: int
) -> None:
    steady = 20 * workers

    told = list(
        told_after_each_epoch(
            clock,
            trials=trials,
            epochs=100,
            workers=workers,
            seconds=lambda number: EPOCH if number < steady else 2 * EPOCH,
        )
    )

    now, left = told[steady + 10 * workers]
    assert left == pytest.approx(clock.now - now, rel=0.1)
    assert max(map(abs, jumps(told[: -5 * workers]))) <= 0.15


def test_an_estimate_near_the_end_is_that_of_the_trial_that_runs_longest(clock: Clock) -> None:
    work = {"a": ("trials", 10), "b": ("trials", 10)}
    progress = Progress(planned=2, work=work)
    progress.start("a")
    progress.start("b", epochs_done=8)
    clock.now += EPOCH
    progress.epoch("a", 1, seconds=EPOCH)
    progress.epoch("b", 9, seconds=EPOCH)

    assert progress.seconds_left == pytest.approx(9 * EPOCH), "not half of the ten that are left"


def test_what_a_new_worker_takes_to_start_is_no_part_of_the_pace(clock: Clock) -> None:
    _, left = next(
        told_after_each_epoch(clock, trials=8, epochs=5, workers=4, first_wave=5 * EPOCH)
    )

    # A worker has four epochs of its trial and five of another before it. The others' first epochs
    # are not reported yet, and by now each should have been.
    assert left == pytest.approx(9 * EPOCH)


def test_what_passes_between_two_trials_is_part_of_the_pace(clock: Clock) -> None:
    told = list(told_after_each_epoch(clock, trials=60, epochs=1, handover=9.0))

    now, left = told[30]
    assert left == pytest.approx(clock.now - now, rel=0.02)


def test_a_worker_between_two_trials_counts_as_working_but_not_for_long(clock: Clock) -> None:
    progress = Progress(planned=4, work=dict.fromkeys("abcd", ("trials", 2)))
    for trial_id in "ab":
        progress.start(trial_id)
    clock.now += EPOCH
    for trial_id in "ab":
        progress.epoch(trial_id, 1, seconds=EPOCH)
    clock.now += EPOCH
    progress.epoch("a", 2, seconds=EPOCH)
    before = progress.seconds_left
    progress.end("a", "ok")

    assert progress.seconds_left == before == pytest.approx(2 * EPOCH)
    clock.now += 11
    assert progress.seconds_left == pytest.approx(4 * EPOCH), "the other worker runs both"


# From the first steps


def slow(trials: int = 2) -> Progress:
    """Return the progress of trials with ten epochs each, the first of which has begun."""
    names = "abcdef"[:trials]
    progress = Progress(planned=trials, work=dict.fromkeys(names, ("searches", 10)))
    progress.start("a")
    return progress


def test_the_first_steps_give_an_estimate_that_says_so_until_an_epoch_has_ended(
    clock: Clock,
) -> None:
    progress = slow()
    clock.now += 12
    progress.steps("a", Steps(share=0.1, epoch_seconds=100.0))

    # 20 epochs of 100 s, of which a tenth of one is done.
    assert progress.seconds_left == pytest.approx(1990)
    assert progress.line() == (
        "0/2 done · 1 running · about 33 min 10 s (24 min 52 s to 41 min 28 s) left, "
        "from the first steps"
    )

    clock.now += 98
    progress.epoch("a", 1, seconds=108.0)
    assert progress.seconds_left == pytest.approx(19 * 108)
    assert progress.line().endswith(
        "1 of 10 epochs · 34 min 12 s (25 min 39 s to 42 min 45 s) left"
    )


def test_steps_of_several_workers_are_averaged(clock: Clock) -> None:
    progress = slow()
    progress.start("b")
    clock.now += 10
    progress.steps("a", Steps(share=0.1, epoch_seconds=100.0))
    progress.steps("b", Steps(share=0.1, epoch_seconds=110.0))

    assert progress.seconds_left == pytest.approx(1050 - 10.5, abs=1)


def test_steps_of_work_that_was_measured_change_nothing(clock: Clock) -> None:
    progress = slow()
    clock.now += 100
    progress.epoch("a", 1, seconds=100.0)
    progress.start("b")
    clock.now += 10
    before = progress.seconds_left

    progress.steps("b", Steps(share=0.1, epoch_seconds=500.0))

    assert progress.seconds_left == before


def test_steps_of_another_kind_of_work_are_better_than_a_guess(clock: Clock) -> None:
    progress = Progress(planned=2, work={"s": ("searches", 1), "t": ("trials", 10)})
    progress.start("s")
    clock.now += 100
    progress.epoch("s", 1, seconds=100.0)
    progress.end("s", "ok")
    progress.start("t")
    assert progress.seconds_left == pytest.approx(1000), "like the search"

    clock.now += 5
    progress.steps("t", Steps(share=0.5, epoch_seconds=10.0))
    assert progress.seconds_left == pytest.approx(95)
    clock.now += 5
    progress.epoch("t", 1, seconds=10.0)
    assert progress.seconds_left == pytest.approx(90)


def test_an_estimate_is_the_wider_the_more_epochs_vary_and_the_fewer_there_are(
    clock: Clock,
) -> None:
    errors = {}
    for swing in (0.0, 0.3):
        time_left = TimeLeft()
        assert time_left.error == 0.25
        time_left.start("a")
        for number in range(40):
            seconds = EPOCH * (1 + swing * (-1) ** number)
            clock.now += seconds
            time_left.epoch("a", "trials", seconds)
            if number == 0:
                assert time_left.error == 0.25, "one epoch says nothing of how they vary"
        errors[swing] = time_left.error

    assert errors[0.0] == 0.1
    assert 0.2 < errors[0.3] < 0.4
