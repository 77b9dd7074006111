"""What the rest of a sweep will take: by rows of its store, else by steps timed here and now."""

from __future__ import annotations

import heapq
import itertools
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import Final

import torch

from nas_core.data.splits import Split
from nas_core.protocols.search import SearchProtocol
from nas_core.training.training import measured_after
from topo_sweep.analysis.text import counted
from topo_sweep.runs.device import settled_here
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.packing.packs import members_of, with_packs
from topo_sweep.runs.packing.size import ask_here, packs_of_run, settled_packing
from topo_sweep.runs.plan import Plan
from topo_sweep.runs.timing.at_once import MOST_PROCESSES, Kind, kind_of, time_kinds
from topo_sweep.runs.timing.pace import Pace
from topo_sweep.runs.timing.step_time import StepTime
from topo_sweep.spec.trials import Trial
from topo_sweep.store.manifest import Packing

_SECONDS_A_KIND: Final = 5.0
_SECONDS_IN_ALL: Final = 15.0
_MOST_KINDS: Final = 5
"""So many are timed, of those with the most work; others count by their size beside these."""
_LEAST_ERROR: Final = 0.15
"""Of a forecast from steps, as a share of it."""
_MOST_SCHEDULED: Final = 20_000
"""Where more units are left, no worker waits for another for long."""
_STARTS: Final = {"inline": 2.0, "ray": 6.0}
"""What a start takes, in seconds of processor time that this process has used: it has loaded what a
run loads, and with Ray a cluster and its workers start too."""
_HANDOVER_SECONDS: Final = {"inline": 0.0, "ray": 0.05}
"""From the end of a unit to the beginning of the next on its worker."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is to come, in seconds.

    Args:
        work: of all workers together, without starting and waiting.
        wall: from the command to its end, on one worker where their number is not known.
        error: of both, as a share of them.
        workers: that were assumed; None where their number is not known.
        packs: of trainings that go together.
        largest_pack: trainings in it; 0 where there are no packs.
        basis: what it rests on, in words.

    """

    work: float
    wall: float
    error: float
    workers: int | None
    packs: int
    largest_pack: int
    basis: str


@dataclass
class _Units:
    """Units of work that cost the same, but for the number of trials in them."""

    kind: Kind
    epochs: int
    sizes: Counter[int] = field(default_factory=Counter)
    """How many units have so many trials: those of a pack, else 1."""
    seconds_a_trial: float = 0.0
    error: float = _LEAST_ERROR

    @property
    def weight(self) -> int:
        """Compares the work of a trial with that of another kind of the same table, roughly."""
        return self.kind.weight * self.epochs

    @property
    def trials(self) -> int:
        """Return the number of trials in all units."""
        return sum(size * count for size, count in self.sizes.items())

    @property
    def work(self) -> float:
        """Return the seconds of all units."""
        return self.trials * self.seconds_a_trial


def forecast(
    parts: Iterable[tuple[Plan, int]], images: Split, execution: Execution, *, measure: bool = True
) -> Forecast | None:
    """Return what is left; None where nothing is, or nothing is known of it and nothing measured.

    A workload of which the store has rows that were made in the same way counts by these. Others
    are timed, for 15 seconds in all, by as many processes as there are workers.

    Args:
        parts: plans, and for how many times as many seeds each stands, see `Outline`.
        images: of the sweep; their pixels are not looked at.
        execution: of the run.
        measure: whether to time what the store does not tell.

    Raises:
        InputError: see `time_kinds`.

    """
    parts = [(plan, times) for plan, times in parts if plan.left]
    if not parts:
        return None
    start = _STARTS[execution.executor] * time.process_time()
    execution = _compiling_taken(parts[0][0], settled_here(execution))
    workers = _workers(execution)
    packing = _packing_taken(parts[0][0], execution, workers or 1, measure=measure)
    groups = _grouped(parts, packing, workers or 1)
    packs = [units.sizes for units in groups.values() if units.kind.packed]
    largest_pack = max((max(sizes) for sizes in packs), default=0)
    paces = {
        packed: Pace.of_store(
            parts[0][0].store, execution, largest_pack=largest_pack if packed else None
        )
        for packed in {units.kind.packed for units in groups.values()}
    }
    told, rest = [], []
    for (workload, *_), units in groups.items():
        spent = paces[units.kind.packed].spent.get(workload)
        if spent is not None and spent.epochs:
            units.seconds_a_trial = units.epochs * spent.seconds / spent.epochs
            units.error = spent.error
            told.append(spent.trials)
        else:
            rest.append(units)
    said = [f"{counted(sum(told), 'row')} of this store"] if told else []
    if rest:
        if not measure:
            return None
        said.append(_time(rest, images, execution, processes=min(workers or 1, MOST_PROCESSES)))
    everything = list(groups.values())
    work = sum(units.work for units in everything)
    return Forecast(
        work=work,
        wall=start + _span(everything, workers or 1, _HANDOVER_SECONDS[execution.executor]),
        error=sum(units.error * units.work for units in everything) / work if work else 0.0,
        workers=workers,
        packs=sum(sizes.total() for sizes in packs),
        largest_pack=largest_pack,
        basis=" and ".join(said),
    )


def _compiling_taken(plan: Plan, execution: Execution) -> Execution:
    """Return the execution as the run settles it where `--compile auto` was decided before."""
    known = None if plan.manifest is None else plan.manifest.compiling
    if execution.compile == "auto" and known is not None and known.taken:
        return replace(execution, compile="on")
    return execution


def _packing_taken(
    plan: Plan, execution: Execution, workers: int, *, measure: bool
) -> Packing | None:
    """Return how trainings go together in the run; `--pack auto` is measured as the run does."""
    asked = execution.pack_size
    known = None if plan.manifest is None else plan.manifest.packing
    if asked is None:
        return None
    if asked == "auto" and not measure:
        return known if known is not None and known.asked == "auto" else None
    packing, _ = settled_packing(plan, asked, execution, workers=workers, ask=ask_here)
    return packing


def _workers(execution: Execution) -> int | None:
    """Return how many train at once; None on a cluster, which is not asked."""
    if execution.executor == "inline":
        return 1
    if execution.cluster:
        return None
    by_cpus = len(os.sched_getaffinity(0)) // execution.cpus
    if execution.gpus:
        return max(min(by_cpus, int(torch.cuda.device_count() / execution.gpus_of_each)), 1)
    return max(by_cpus, 1)


def _grouped(
    parts: Iterable[tuple[Plan, int]], packing: Packing | None, workers: int
) -> dict[tuple[str, object], _Units]:
    """Return what is left, by workload and the shape of its networks."""
    groups: dict[tuple[str, object], _Units] = {}
    for plan, times in parts:
        packs = packs_of_run(plan, packing, workers=workers)
        for unit in with_packs(plan.left, plan.trials, packs):
            trials, kind = members_of(unit), kind_of(unit)
            first = trials[0]
            shape = first.genotype.shape if isinstance(first, Trial) else None
            alike = first.workload, (shape, kind.packed)
            units = groups.setdefault(alike, _Units(kind, first.epochs))
            units.sizes[len(trials)] += times
            if len(kind.members) > len(units.kind.members):
                units.kind = kind
    return groups


def _time(groups: Sequence[_Units], images: Split, execution: Execution, *, processes: int) -> str:
    """Time those with the most work, set the seconds of all, and say what was done."""
    most_first = sorted(groups, key=lambda units: units.weight * units.trials, reverse=True)
    # The cheapest first: where the time does not suffice, the others are told from these.
    chosen = sorted(most_first[:_MOST_KINDS], key=lambda units: units.weight)
    found, processes = time_kinds(
        [units.kind for units in chosen],
        images.info,
        device=execution.device,
        threads=execution.cpus,
        processes=processes,
        at_most_seconds=min(_SECONDS_A_KIND, _SECONDS_IN_ALL / len(chosen)),
        in_all_seconds=_SECONDS_IN_ALL,
    )
    timed = chosen[: len(found)]
    for units, step_time in zip(timed, found, strict=True):
        seconds = step_time.build_seconds + _seconds(units, step_time, images, execution)
        units.seconds_a_trial = seconds / step_time.size
        units.error = max(_LEAST_ERROR, step_time.spread)
    for units in (each for each in groups if each not in timed):
        alike = [each for each in timed if type(each.kind.protocol) is type(units.kind.protocol)]
        rates = [each.seconds_a_trial / each.weight for each in alike or timed]
        units.seconds_a_trial = mean(rates) * units.weight
        units.error = 2 * _LEAST_ERROR
    steps = sum(each.steps for each in found)
    what = f"{counted(steps, 'step')} of {counted(len(timed), 'kind')} of work"
    if len(groups) == 1:
        what = f"{counted(steps, 'step')} of {_seconds_text(found[0].seconds)}"
    how = f" by {processes} processes at once" if processes > 1 else ""
    where = "the GPU" if execution.device == "cuda" else "the CPU"
    return f"{what} timed here now{how}, {counted(execution.cpus, 'thread')} on {where}"


def _seconds_text(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _seconds(units: _Units, step_time: StepTime, images: Split, execution: Execution) -> float:
    """Return the seconds of the epochs of a unit."""
    protocol = units.kind.protocol
    train, batch = len(images.train), protocol.batch_size
    if isinstance(protocol, SearchProtocol):
        return seconds_of_search(protocol, step_time, min(protocol.images, train // 2))
    evaluated = len(images.test) + (0 if images.validation is None else len(images.validation))
    epochs = range(protocol.total_epochs)
    measured = sum(measured_after(epoch, protocol, execution.test_every) for epoch in epochs)
    return sum(
        count * step_time.epoch_seconds(images=train, batch=batch, evaluated=images_evaluated)
        for count, images_evaluated in ((measured, evaluated), (len(epochs) - measured, 0))
    )


def seconds_of_search(protocol: SearchProtocol, step_time: StepTime, images: int) -> float:
    """Return the seconds of all stages of a search; later ones count by cells and operations."""
    alpha_steps = len(protocol.alpha_steps_due(images))
    searching = protocol.epochs - protocol.warmup_epochs
    first = protocol.all_stages[0]
    seconds = images * step_time.evaluation_seconds
    for stage in protocol.all_stages:
        size = stage.cells * stage.operations_kept / (first.cells * first.operations_kept)
        for epochs, alphas in ((protocol.warmup_epochs, 0), (searching, alpha_steps)):
            seconds += (
                size
                * epochs
                * step_time.epoch_seconds(
                    images=images, batch=protocol.batch_size, evaluated=0, alpha_steps=alphas
                )
            )
    return seconds


def _span(groups: Sequence[_Units], workers: int, handover: float) -> float:
    """Return when the last of so many workers ends, each taking the next unit when it is free."""
    total = sum(units.sizes.total() for units in groups)
    lengths = (
        itertools.repeat(size * units.seconds_a_trial + handover, count)
        for units in groups
        for size, count in units.sizes.items()
    )
    if total > _MOST_SCHEDULED:
        return (sum(units.work for units in groups) + total * handover) / workers
    free = [0.0] * workers
    for seconds in itertools.chain.from_iterable(lengths):
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
