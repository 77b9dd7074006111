"""How many trials the driver hands out: one for each worker, on a cluster that may grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ray.tune.search import Searcher

from tests.topo_sweep.conftest import small_spec
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.on_ray import driver
from topo_sweep.runs.on_ray.driver import _Queue
from topo_sweep.runs.packing.packs import Pack

TRIALS = small_spec(topologies=(0, 17), seeds=(0, 1, 2)).trials()


class Nodes:
    """A cluster that holds so many workers, and how often it was looked at."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.looks = 0

    def __call__(self) -> int:
        self.looks += 1
        return self.workers


@pytest.fixture(autouse=True)
def _looked_at_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_LOOK_SECONDS", 0.0)


def handed_out(queue: _Queue, names: Iterator[int]) -> list[str]:
    """Take all that the queue gives now; return Tune's ids of it."""
    taken = []
    while isinstance(queue.suggest(name := str(next(names))), dict):
        taken.append(name)
    return taken


def names() -> Iterator[int]:
    return iter(range(1000))


@pytest.mark.parametrize("error", [False, True])
def test_each_worker_gets_one_trial_and_another_when_that_has_ended(error: bool) -> None:
    queue, tune_ids = _Queue(Agenda(TRIALS, {}), Nodes(2)), names()

    first = handed_out(queue, tune_ids)
    assert len(first) == 2
    queue.on_trial_complete(first[1], error=error)

    assert len(handed_out(queue, tune_ids)) == 1
    assert handed_out(queue, tune_ids) == []


def test_a_pack_takes_one_worker() -> None:
    members = list(TRIALS.values())
    packs = [Pack(tuple(members[:3])), Pack(tuple(members[3:]))]
    queue, tune_ids = _Queue(Agenda(TRIALS, {}, packs), Nodes(1)), names()

    (first,) = handed_out(queue, tune_ids)
    queue.on_trial_complete(first)

    assert len(handed_out(queue, tune_ids)) == 1


def test_a_node_that_joins_gets_trials_and_one_that_leaves_gets_none() -> None:
    nodes = Nodes(1)
    queue, tune_ids = _Queue(Agenda(TRIALS, {}), nodes), names()
    first = handed_out(queue, tune_ids)
    nodes.workers = 4

    joined = handed_out(queue, tune_ids)
    nodes.workers = 2
    for name in joined[:2]:
        queue.on_trial_complete(name)

    assert (len(first), len(joined)) == (1, 3)
    assert handed_out(queue, tune_ids) == []


def test_where_no_node_is_left_all_wait_for_one_until_ctrl_c() -> None:
    nodes, stops = Nodes(0), [False]

    def check() -> None:
        if stops[0]:
            raise KeyboardInterrupt

    queue, tune_ids = _Queue(Agenda(TRIALS, {}), nodes, check), names()
    assert handed_out(queue, tune_ids) == []
    nodes.workers = 2
    assert len(handed_out(queue, tune_ids)) == 2

    stops[0] = True
    with pytest.raises(KeyboardInterrupt):
        queue.suggest("another")


def test_that_nothing_is_left_is_said_when_the_last_trial_has_ended_and_not_failed() -> None:
    agenda = Agenda(TRIALS, {})
    queue, tune_ids = _Queue(agenda, Nodes(len(TRIALS))), names()
    *others, last = handed_out(queue, tune_ids)
    for name in others:
        queue.on_trial_complete(name)

    assert queue.suggest("beside the last") is None, "Tune asks no more of who said that it is done"
    agenda.again(next(iter(TRIALS.values())), after=0.0)
    queue.on_trial_complete(last)
    assert not queue.all_ended
    (again,) = handed_out(queue, tune_ids)

    queue.on_trial_complete(again)
    assert queue.all_ended
    assert queue.suggest("after the last") == Searcher.FINISHED


def test_the_cluster_is_looked_at_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now: dict[str, Any] = {"monotonic": 100.0}
    monkeypatch.setattr(driver, "_LOOK_SECONDS", 2.0)
    monkeypatch.setattr("time.monotonic", lambda: now["monotonic"])
    nodes = Nodes(1)
    queue, tune_ids = _Queue(Agenda(TRIALS, {}), nodes), names()

    for _ in range(5):
        handed_out(queue, tune_ids)
    assert nodes.looks == 1
    now["monotonic"] += 2.0
    handed_out(queue, tune_ids)
    assert nodes.looks == 2
