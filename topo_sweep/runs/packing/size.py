"""How many trainings a worker trains together: what was asked for, or what is fastest here."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeVar

import torch

from nas_core.protocols.data import DATASETS
from nas_core.protocols.training import Protocol
from nas_core.training.pack import Member
from topo_sweep.analysis.text import counted
from topo_sweep.runs.device import device_name
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.packing.packs import (
    Packs,
    alike,
    begun_packs,
    cell_of,
    pack_id,
    packable,
    planned_packs,
)
from topo_sweep.runs.plan import Plan
from topo_sweep.runs.runner import is_out_of_memory
from topo_sweep.runs.timing.step_time import time_steps
from topo_sweep.store.manifest import Packing, PackTime

_AT_MOST_SECONDS: Final = 1.5
"""For the steps of each size; where a step takes long, for two of them."""
_ALL_SECONDS: Final = 30.0
"""After which no further size is measured."""
_GROWTH: Final = 1.05
"""By which sizes have to be faster than smaller ones. The smallest that is within this factor of
the fastest is taken."""
_LEAST_GAIN: Final = 1.05
"""Of bfloat16, to be told."""

A = TypeVar("A")
R = TypeVar("R")
Ask = Callable[[Callable[[A], R], A], R]
"""Calls a function with an argument where a worker of the run computes."""


def ask_here(function: Callable[[A], R], argument: A) -> R:
    """Call a function in this process."""
    return function(argument)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What could be trained together.

    Args:
        members: all of them.
        protocol: every setting.
        dataset: whose images have this size.
        execution: settled.

    """

    members: tuple[Member, ...]
    protocol: Protocol
    dataset: str
    execution: Execution

    def timed(self, size: int, *, packed: bool) -> PackTime:
        """Return how fast so many are."""
        steps = time_steps(
            self.members[:size],
            self.protocol,
            DATASETS[self.dataset],
            device=self.execution.device,
            threads=self.execution.cpus,
            packed=packed,
            at_most_seconds=_AT_MOST_SECONDS,
        )
        return PackTime(
            size=size,
            packed=packed,
            images_per_second=size * self.protocol.batch_size / steps.seconds,
            memory_bytes=steps.peak_memory_bytes,
        )


def settled_packing(
    plan: Plan,
    asked: int | Literal["auto"],
    execution: Execution,
    *,
    workers: int,
    ask: Ask[Candidates, tuple[str, list[PackTime]]],
) -> tuple[Packing, str | None]:
    """Return how many go together, and a line on what was measured.

    What was measured for a sweep stays, unless another device trains now, or more trainings are
    asked for than before and only their number had kept packs small.

    Args:
        plan: what runs.
        asked: most that go together, or 'auto'.
        execution: settled.
        workers: how many train at the same time.
        ask: see `Ask`.

    """
    if asked != "auto":
        return Packing(asked=asked, size=asked), None
    candidates, most = candidates_of(plan, execution, workers)
    known = None if plan.manifest is None else plan.manifest.packing
    if known is not None and _still_holds(known, plan, execution, most):
        return known, f"--pack auto: {_taken(known.size)}, as measured before"
    if candidates is None:
        return Packing(asked="auto", size=None), None
    started = time.perf_counter()
    device, times = ask(measured_sizes, candidates)
    seconds = time.perf_counter() - started
    size = fastest(times)
    packing = Packing(
        asked="auto",
        size=size,
        most=most,
        device=device,
        on_gpu=execution.device == "cuda",
        threads=execution.cpus,
        measured=tuple(times),
    )
    threads = counted(execution.cpus, "thread")
    return packing, (
        f"--pack auto, measured in {seconds:.0f} s on {device} with {threads}, images/s: "
        f"{', '.join(_speeds(times)) or 'not even one fits into memory'}; {_taken(size)}"
    )


def measured_sizes(candidates: Candidates) -> tuple[str, list[PackTime]]:
    """Measure on this machine how fast trainings are, alone and as packs of growing size.

    Sizes double until that gains less than 5% twice, until half of the memory would be used, or
    until there are no more trainings. On a CPU a worker has its share of memory by threads.

    Returns:
        The device's name; and first a training by PyTorch's own layers, then packs from 1 on.
        Nothing where not even one training fits into memory.

    """
    execution = candidates.execution
    half = _memory_bytes(execution) / 2
    ends = time.perf_counter() + _ALL_SECONDS
    most = len(candidates.members)
    times: list[PackTime] = []
    for size in itertools.chain([0], _doubled(most), [most]):
        try:
            timed = candidates.timed(max(size, 1), packed=size > 0)
        except Exception as error:
            if is_out_of_memory(error):
                break
            raise
        used = timed.memory_bytes or 0
        if size > 1 and used > half:
            break
        times.append(timed)
        if size == 0:
            continue
        if _grows_no_longer(times) or 2 * used > half or time.perf_counter() > ends:
            break
    return device_name(execution.device), times


def fastest(times: Sequence[PackTime]) -> int | None:
    """Return the size that is worth it: the smallest of about the speed of the fastest one.

    None is a training alone, by PyTorch's own layers.
    """
    if not times:
        return None
    enough = max(each.images_per_second for each in times) / _GROWTH
    chosen = next(each for each in times if each.images_per_second >= enough)
    return chosen.size if chosen.packed else None


def seconds_by_size(packing: Packing) -> Callable[[int], float] | None:
    """Return what says how long packs take in proportion; None where that was not measured."""
    points = [(each.size, each.size / each.images_per_second) for each in packing.measured]
    points = points[1:]  # the first one is no pack
    if not points:
        return None

    def seconds(size: int) -> float:
        for (small, fast), (large, slow) in itertools.pairwise(points):
            if size <= large:
                return fast + (slow - fast) * (size - small) / (large - small)
        large, slow = points[-1]
        return slow * size / large

    return seconds


def packs_of_run(plan: Plan, packing: Packing | None, *, workers: int) -> Packs:
    """Return the packs of a run: those that were planned before and stay, then new ones.

    Where trainings were put together in another way before, or none are to be now, only packs that
    were begun stay, and larger ones than are asked for where a checkpoint of theirs is there. What
    was begun alone goes on alone, unless a checkpoint of its pack is there too. Where it was lost
    which there were, all are planned again as at first, also of what has ended.
    """
    known, saved = () if plan.manifest is None else plan.manifest.packs, saved_keys(plan)
    # None is in stores of earlier versions.
    if plan.manifest is not None and plan.manifest.packing not in {None, packing}:
        known = begun_packs(known, plan.left, saved)
    known = tuple(pack for pack in known if pack_id(pack) in saved or saved.isdisjoint(pack))
    if packing is None:
        return planned_packs(plan.left, plan.trials, known, None, saved=saved)
    return planned_packs(
        plan.trials if plan.manifest is None else plan.left,
        plan.trials,
        known,
        packing.size,
        workers=workers,
        seconds=seconds_by_size(packing),
        searches=packing.asked != "auto",  # which times trainings alone
        saved=saved,
    )


def saved_keys(plan: Plan) -> set[str]:
    """Return of which trials and packs there are checkpoints, by their ids."""
    return {path.stem for path in plan.store.paths.checkpoints.glob("*")}


def bfloat16_remark(
    plan: Plan,
    packing: Packing | None,
    execution: Execution,
    ask: Ask[tuple[Candidates, int | None], float],
) -> str | None:
    """Return what bfloat16 would save on a GPU, once for a sweep in float32; None elsewhere."""
    is_new = plan.manifest is None
    if execution.device != "cuda" or plan.spec.protocol.precision != "float32" or not is_new:
        return None
    candidates, _ = candidates_of(plan, execution, 1)
    if candidates is None:
        return None
    gain = ask(gain_of_bfloat16, (candidates, packing.size if packing else None))
    if gain < _LEAST_GAIN:
        return None
    return (
        f"bfloat16 would train {gain:.1f} times as fast here, by a few steps of each; it can move "
        "accuracies, so that is another protocol: --set precision=bfloat16"
    )


def gain_of_bfloat16(request: tuple[Candidates, int | None]) -> float:
    """Measure how many times as fast as their own precision bfloat16 is, in packs of this size."""
    candidates, size = request
    count = min(size or 1, len(candidates.members))
    protocol = candidates.protocol.with_values({"precision": "bfloat16"})
    try:
        own, other = (
            each.timed(count, packed=size is not None).images_per_second
            for each in (candidates, replace(candidates, protocol=protocol))
        )
    except Exception as error:
        if is_out_of_memory(error):
            return 1.0  # the trainings will say so
        raise
    return other / own


def candidates_of(plan: Plan, execution: Execution, workers: int) -> tuple[Candidates | None, int]:
    """Return most trainings of a plan that fit each other, and how many of them a worker gets."""
    trials = packable(plan.trials)
    if not trials:
        return None, 0
    largest = max(alike(trials), key=len)
    most = min(len(largest), -(-len(trials) // workers))
    members = tuple(Member(cell_of(trial), trial.seed) for trial in largest[:most])
    spec = plan.spec
    return (
        Candidates(
            members=members,
            protocol=spec.protocol,
            dataset=spec.data.dataset,
            execution=execution,
        ),
        most,
    )


def _still_holds(known: Packing, plan: Plan, execution: Execution, most: int) -> bool:
    """Whether what was measured before is about the device, and all trainings, of now."""
    if not known.is_of(on_gpu=execution.device == "cuda", threads=execution.cpus):
        return False
    assert plan.manifest is not None  # noqa: S101
    is_new = plan.manifest.with_request(plan.spec) != plan.manifest
    return not (is_new and known.size == known.most and most > (known.most or 0))


def _grows_no_longer(times: Sequence[PackTime]) -> bool:
    """Whether the last two sizes gained nothing: a single one may have been disturbed."""
    speeds = [each.images_per_second for each in times if each.packed]
    return len(speeds) > 2 and max(speeds[-2:]) < _GROWTH * max(speeds[:-2])


def _doubled(most: int) -> Iterator[int]:
    size = 1
    while size < most:
        yield size
        size *= 2


def _memory_bytes(execution: Execution) -> float:
    """Return the memory that a worker may have."""
    if execution.device == "cuda":
        return torch.cuda.mem_get_info()[1] * min(execution.gpus_of_each, 1.0)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no such limit
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return memory * min(execution.cpus / (os.cpu_count() or 1), 1.0)


def _speeds(times: Sequence[PackTime]) -> Iterator[str]:
    for number, each in enumerate(times):
        what = ("alone", "in a pack of 1")[number] if number < 2 else f"of {each.size}"
        yield f"{each.images_per_second:,.0f} {what}"


def _taken(size: int | None) -> str:
    return "each alone" if size is None else f"packs of up to {size}"
