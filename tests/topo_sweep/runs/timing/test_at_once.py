"""Work is timed as it runs, beside others, with fewer images where a step would take too long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.errors import InputError
from nas_core.protocols.data import DATASETS
from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import Protocol
from nas_core.training.pack import Member
from tests.topo_sweep.conftest import small_spec
from tests.topo_sweep.runs.search_run import search_spec
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.timing import at_once
from topo_sweep.runs.timing.at_once import Kind, kind_of, time_batches, time_kind, time_kinds
from topo_sweep.runs.timing.step_time import StepTime

DIGITS = DATASETS["digits"]
PROTOCOL = Protocol(cells=1, init_channels=2, epochs=2, batch_size=64)
PACK = Kind(PROTOCOL, tuple(Member(KNOWN_CELLS["DARTS_V2"], seed) for seed in (0, 1)), packed=True)
SMALL = replace(PACK, protocol=PROTOCOL.with_values({"batch_size": 4}))
SEARCH = Kind(SearchProtocol(cells=1, init_channels=2, epochs=2, batch_size=64))


class Timed:
    """Stands in for the steps: `start + images * an_image` seconds each; notes what it is asked.

    `first` seconds come on top of the very first step, which then is all that is timed.
    """

    def __init__(self, start: float, an_image: float, *, first: float = 0.0) -> None:
        self.start, self.an_image, self.first = start, an_image, first
        self.batches: list[int] = []

    def __call__(self, *arguments: Any, **_: Any) -> StepTime:
        protocol = next(a for a in arguments if isinstance(a, Protocol | SearchProtocol))
        self.batches.append(protocol.batch_size)
        seconds = self.start + protocol.batch_size * self.an_image + self.first
        steps, self.first = 1 if self.first else 2, 0.0
        alphas = seconds if isinstance(protocol, SearchProtocol) else 0.0
        return StepTime(
            size=1,
            seconds=seconds,
            evaluation_seconds=0.5,
            alpha_seconds=alphas,
            steps=steps,
            peak_memory_bytes=None,
        )


def timed(monkeypatch: pytest.MonkeyPatch, stand_in: Timed, kind: Kind) -> StepTime:
    monkeypatch.setattr(at_once, "time_steps", stand_in)
    monkeypatch.setattr(at_once, "time_search_steps", stand_in)
    return time_kind(kind, DIGITS, "cpu", 1, at_most_seconds=4.0)


@pytest.mark.parametrize("kind", [PACK, SEARCH])
def test_whole_batches_are_timed_however_long_they_take(
    monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    stand_in = Timed(0.0, 10.0)
    monkeypatch.setattr(at_once, "time_steps", stand_in)
    monkeypatch.setattr(at_once, "time_search_steps", stand_in)

    assert time_batches(kind, DIGITS, "cpu", 1, 0.1).seconds == 640.0
    assert stand_in.batches == [64]


def test_a_trial_a_pack_and_searches_that_go_together_are_kinds_of_work() -> None:
    trials = tuple(small_spec(seeds=(3,)).trials().values())
    searches: Any = tuple(search_spec(seeds=(0, 1), evaluation_seeds=()).trials().values())
    members = tuple(Member(trial.genotype, 3) for trial in trials)
    protocol, search = trials[0].protocol, searches[0]

    assert kind_of(trials[0]) == Kind(protocol, members[:1])
    assert kind_of(Pack(trials)) == Kind(protocol, members, packed=True)
    assert kind_of(Pack(searches)) == kind_of(search) == Kind(search.protocol)


@pytest.mark.parametrize("kind", [PACK, SEARCH])
def test_a_fast_step_is_timed_whole(monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    stand_in = Timed(0.01, 0.0001)
    assert timed(monkeypatch, stand_in, kind).seconds == pytest.approx(0.0164)
    assert stand_in.batches == [4, 64]


@pytest.mark.parametrize("kind", [PACK, SEARCH])
def test_the_first_step_of_a_process_tells_nothing_of_the_others(
    monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    stand_in = Timed(0.01, 0.0001, first=1.2)
    assert timed(monkeypatch, stand_in, kind).seconds == pytest.approx(0.0164)
    assert stand_in.batches == [4, 4, 64]


def test_a_step_that_takes_all_the_time_is_not_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Timed(0.0, 1.0, first=0.5)
    assert timed(monkeypatch, stand_in, PACK).seconds == pytest.approx(72.0)
    assert stand_in.batches == [4]


def test_a_slow_step_is_told_from_two_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Timed(0.2, 0.05)  # 0.4 s with 4 images, 0.1 s an image: 10 images fit into 1 s
    assert timed(monkeypatch, stand_in, PACK).seconds == pytest.approx(0.2 + 64 * 0.05)
    assert stand_in.batches == [4, 10]


@pytest.mark.parametrize("kind", [PACK, SEARCH])
def test_where_even_a_few_images_take_too_long_more_count_by_the_image(
    monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    stand_in = Timed(0.0, 10.0)
    step_time = timed(monkeypatch, stand_in, kind)
    assert step_time.seconds == pytest.approx(640.0)
    assert step_time.alpha_seconds == pytest.approx(640.0 if kind is SEARCH else 0.0)
    assert stand_in.batches == [4]


def all_timed(
    *kinds: Kind, processes: int = 1, in_all_seconds: float = 1000.0
) -> tuple[list[StepTime], int]:
    return time_kinds(
        kinds,
        DIGITS,
        device="cpu",
        threads=1,
        processes=processes,
        at_most_seconds=0.0,
        in_all_seconds=in_all_seconds,
    )


def test_each_kind_is_timed_in_order() -> None:
    found, processes = all_timed(SMALL, Kind(SMALL.protocol, PACK.members[:1]))

    assert [each.size for each in found] == [2, 1]
    assert processes == 1


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError("no room")]
)
def test_a_pack_that_does_not_fit_into_memory_is_timed_as_its_half(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    sizes: list[int] = []

    def limited(members: Sequence[Member], *_: object, **__: object) -> StepTime:
        sizes.append(len(members))
        if len(members) > 1:
            raise error
        return StepTime(size=1, seconds=1.0, evaluation_seconds=0.0, steps=2, peak_memory_bytes=0)

    monkeypatch.setattr(at_once, "time_steps", limited)
    five = tuple(Member(KNOWN_CELLS["DARTS_V2"], seed) for seed in range(5))

    (found,), _ = all_timed(Kind(PROTOCOL, five, packed=True))

    assert (found.size, sizes) == (1, [5, 2, 1])


@pytest.mark.parametrize("kind", [SEARCH, Kind(PROTOCOL, PACK.members[:1], packed=True)])
def test_where_not_even_one_network_fits_into_memory_that_is_said_in_a_line(
    monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    def refused(*_: object, **__: object) -> StepTime:
        raise MemoryError("no room")

    monkeypatch.setattr(at_once, "time_steps", refused)
    monkeypatch.setattr(at_once, "time_search_steps", refused)

    with pytest.raises(InputError, match=r"not even one network .* add --no-measure \(no room\)"):
        all_timed(kind)


def test_errors_that_are_none_of_memory_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> StepTime:
        raise ValueError("bad")

    monkeypatch.setattr(at_once, "time_steps", broken)

    with pytest.raises(ValueError, match="bad"):
        all_timed(PACK)


def test_a_kind_is_timed_by_all_at_once_and_counts_by_their_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = threading.Barrier(2, timeout=10.0)

    def pool(
        workers: int, _: object, initializer: Callable[..., None], initargs: tuple[object, ...]
    ) -> ThreadPoolExecutor:
        initializer(*initargs)
        return ThreadPoolExecutor(workers)

    def timed(*_: object, **__: object) -> StepTime:
        number = both.wait()  # breaks where one is timed after the other
        return StepTime(
            size=2,
            seconds=1.0 + 2 * number,
            evaluation_seconds=0.1 + 0.2 * number,
            build_seconds=10.0 * number,
            steps=2,
            peak_memory_bytes=None,
        )

    monkeypatch.setattr(at_once, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(at_once, "time_steps", timed)
    monkeypatch.setattr(at_once, "_all_ready", None)  # put back afterwards

    (found,), processes = all_timed(SMALL, processes=2)

    assert (found.seconds, found.build_seconds, processes) == (2.0, 5.0, 2)
    assert found.evaluation_seconds == pytest.approx(0.2)


@pytest.mark.long
def test_processes_time_each_kind_at_once() -> None:
    found, processes = all_timed(SMALL, SMALL, processes=2)

    assert [each.size for each in found] == [2, 2]
    assert processes == 2, "not this one alone"


def test_where_no_process_can_be_started_this_one_measures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(at_once, "ProcessPoolExecutor", refused)
    monkeypatch.setattr(at_once, "time_steps", Timed(1.0, 0.0))

    # 64 images, at what 4 take; where there is no time, the first kind alone.
    for seconds, times in ((1000.0, [16.0, 16.0]), (0.0, [16.0])):
        found, processes = all_timed(PACK, PACK, processes=2, in_all_seconds=seconds)
        assert [each.seconds for each in found] == times
        assert processes == 1
