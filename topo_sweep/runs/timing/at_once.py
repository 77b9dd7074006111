"""Timing work as a run does it: by as many processes at once as there are workers.

They slow each other down, as workers do that share memory, caches or a core.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from statistics import mean
from typing import Any, Final

from nas_core.errors import InputError
from nas_core.protocols.data import DatasetInfo
from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import Protocol
from nas_core.training.pack import Member
from topo_sweep.runs.packing.packs import Pack, WaitingPack, cell_of, members_of
from topo_sweep.runs.runner import is_out_of_memory
from topo_sweep.runs.timing.step_time import (
    TIMED_TOGETHER,
    StepTime,
    time_search_steps,
    time_steps,
)
from topo_sweep.spec.trials import Planned, SearchTrial

MOST_PROCESSES: Final = 8
"""More than these are not started: each loads PyTorch."""
_START_SECONDS: Final = 60.0
"""Processes that have not begun by then are not waited for."""
_FEW_IMAGES: Final = 4
"""Of the first step, which tells how many can be timed."""

_all_ready: Barrier | None = None
"""Of a process that times beside others."""


@dataclass(frozen=True)
class Kind:
    """What is timed once: a search, a training, or several as one network.

    Args:
        protocol: of a search or of trainings.
        members: of a pack, or the one training; none of a search.
        packed: whether they are one network.

    """

    protocol: Protocol | SearchProtocol
    members: tuple[Member, ...] = ()
    packed: bool = False

    @property
    def weight(self) -> int:
        """Compares what an image takes of one network with that of another kind, roughly."""
        protocol = self.protocol
        per_cell = len(protocol.operations) if isinstance(protocol, SearchProtocol) else 1
        return protocol.cells * protocol.init_channels * per_cell


def kind_of(unit: Planned | Pack | WaitingPack) -> Kind:
    """Return what is timed of a trial or a pack; of a pack of searches, one of them."""
    trials = members_of(unit)
    members = tuple(Member(cell_of(t), t.seed) for t in trials if not isinstance(t, SearchTrial))
    is_pack = isinstance(unit, Pack | WaitingPack)
    return Kind(trials[0].protocol, members, packed=is_pack and bool(members))


def time_kinds(
    kinds: Sequence[Kind],
    info: DatasetInfo,
    *,
    device: str,
    threads: int,
    processes: int,
    at_most_seconds: float,
    in_all_seconds: float,
) -> tuple[list[StepTime], int]:
    """Return what a step of each kind takes, by the mean of processes at once, and how many these.

    Where the time for all is over, the kinds that are left are not timed: then there are fewer
    results than kinds, but one at least. A pack that does not fit into memory is timed as a half of
    it, as it would train.

    Args:
        kinds: what to time, one after another.
        info: the data set.
        device: cpu or cuda.
        threads: of each process.
        processes: that time the same at once; this one alone where it is 1, or where no others can
            be started.
        at_most_seconds: for each kind.
        in_all_seconds: for all of them, without starting processes; the last that began is ended.

    Raises:
        InputError: what cannot be trained or searched, or of which not even one fits into memory.

    """

    def all_timed(time_one: Callable[[Kind], StepTime]) -> list[StepTime]:
        found: list[StepTime] = []
        started = time.perf_counter()
        for kind in kinds:
            if not found or time.perf_counter() < started + in_all_seconds:
                found.append(_timed_fitting(time_one, kind))
        return found

    how = info, device, threads, at_most_seconds
    if processes > 1:
        context = multiprocessing.get_context("spawn")
        ready = context.Barrier(processes)
        try:
            with ProcessPoolExecutor(
                processes, context, initializer=_meet, initargs=(ready,)
            ) as pool:

                def together(task: Callable[..., Any], *arguments: object) -> list[Any]:
                    futures = [pool.submit(task, *arguments) for _ in range(processes)]
                    return [future.result() for future in futures]

                together(_begin)
                found = all_timed(lambda kind: _mean(together(_time_beside_others, kind, *how)))
                return found, processes
        except (OSError, BrokenProcessPool, threading.BrokenBarrierError):
            pass
    return all_timed(lambda kind: time_kind(kind, *how)), 1


def _timed_fitting(time_one: Callable[[Kind], StepTime], kind: Kind) -> StepTime:
    """Return what a step of a kind takes, halved until it fits into memory."""
    try:
        return time_one(kind)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        half = kind.members[: len(kind.members) // 2]
        if not half:
            raise InputError(
                "not even one network fits into memory here, so nothing can be timed: add "
                f"--no-measure ({error})"
            ) from None
    return _timed_fitting(time_one, replace(kind, members=half))


def time_batches(
    kind: Kind, info: DatasetInfo, device: str, threads: int, at_most_seconds: float
) -> StepTime:
    """Return what a step of a whole batch takes, however long that is.

    Raises:
        InputError: see `time_steps`.
        torch.OutOfMemoryError: it does not fit into the memory of the GPU.

    """
    how: dict[str, Any] = {"device": device, "threads": threads, "at_most_seconds": at_most_seconds}
    if isinstance(kind.protocol, SearchProtocol):
        return time_search_steps(kind.protocol, info, **how)
    return time_steps(kind.members, kind.protocol, info, packed=kind.packed, **how)


def time_kind(
    kind: Kind, info: DatasetInfo, device: str, threads: int, at_most_seconds: float
) -> StepTime:
    """Return what a step takes, from steps of fewer images where whole ones would take too long.

    Steps of two sizes then tell what an image more costs.
    """
    batch = kind.protocol.batch_size

    def timed(images: int, seconds: float) -> StepTime:
        smaller = replace(kind, protocol=kind.protocol.with_values({"batch_size": images}))
        return time_batches(smaller, info, device, threads, seconds)

    if batch <= _FEW_IMAGES:
        return timed(batch, at_most_seconds)
    few = timed(_FEW_IMAGES, at_most_seconds / 10)
    took = few.steps * (few.seconds + few.alpha_seconds)
    if few.steps <= TIMED_TOGETHER[device] and took < at_most_seconds:
        # Nothing but the warm-up, which in a new process may take many times as long as a step.
        few = timed(_FEW_IMAGES, at_most_seconds / 10)
    seconds_an_image = (few.seconds + few.alpha_seconds) / _FEW_IMAGES
    # One warms up and two are timed, in three quarters of the time.
    affordable = int(at_most_seconds / 4 / seconds_an_image)
    if affordable >= batch:
        return timed(batch, at_most_seconds)
    more = timed(affordable, at_most_seconds) if affordable > _FEW_IMAGES else few
    return replace(
        more,
        seconds=_of_a_batch(few.seconds, more.seconds, affordable, batch),
        alpha_seconds=_of_a_batch(few.alpha_seconds, more.alpha_seconds, affordable, batch),
    )


def _of_a_batch(few: float, more: float, images: int, batch: int) -> float:
    """Return the seconds of a step of a batch, on the line through those of few and more images.

    It costs at least half as much an image as a step of more images does, and at most as much.
    """
    if images <= _FEW_IMAGES:
        return few * batch / _FEW_IMAGES
    an_image = (more - few) / (images - _FEW_IMAGES)
    an_image = min(max(an_image, more / images / 2), more / images)
    return more + an_image * (batch - images)


def _meet(ready: Barrier) -> None:
    """Keep what lets processes begin together."""
    global _all_ready  # noqa: PLW0603 - a barrier reaches a process only when that is started
    _all_ready = ready


def _begin() -> None:
    """Wait for the other processes."""
    if _all_ready is not None:
        _all_ready.wait(_START_SECONDS)


def _time_beside_others(
    kind: Kind, info: DatasetInfo, device: str, threads: int, at_most_seconds: float
) -> StepTime:
    _begin()
    return time_kind(kind, info, device, threads, at_most_seconds)


def _mean(timed: Sequence[StepTime]) -> StepTime:
    """Return the means over processes."""
    names = ("seconds", "evaluation_seconds", "alpha_seconds", "build_seconds")
    means = {name: mean(getattr(each, name) for each in timed) for name in names}
    return replace(timed[0], **means)
