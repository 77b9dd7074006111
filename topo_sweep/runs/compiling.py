"""Whether trainings run compiled forms of their networks: what was asked for, or what pays here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median, multimode
from typing import Final

import torch

from nas_core.errors import InputError, first_line
from nas_core.networks.packs.cell import structure
from nas_core.protocols.data import DATASETS
from nas_core.training.compiled import MOST_GRAPHS, usual_steps
from topo_sweep.runs.device import as_worker, device_name
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.packing.packs import Packs, fitting
from topo_sweep.runs.packing.size import Ask, Candidates, candidates_of
from topo_sweep.runs.plan import Plan
from topo_sweep.runs.runner import is_out_of_memory
from topo_sweep.runs.timing.step_time import TrainingSteps
from topo_sweep.spec.trials import Planned, Trial
from topo_sweep.store.manifest import CompileTime, Compiling

_STEPS: Final = 5
"""That are timed of each form, in turn."""
_LEAST_COMPILE_SECONDS: Final = 30.0
_MOST_GAIN: Final = 3.0
"""Compiling is only measured where it would pay if it took no longer, and gained no less."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is left for all workers together: steps of graphs, and graphs that they would make."""

    steps: int
    graphs: int


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What is timed: members as one network, or one alone where `size` is None."""

    candidates: Candidates
    size: int | None
    work: Work


def pays(times: CompileTime, work: Work) -> bool:
    """Return whether graphs take less time than they save."""
    saved = work.steps * (times.seconds - times.compiled_seconds)
    return work.graphs * times.compile_seconds < saved


def work_left(plan: Plan, packs: Packs, *, images: int, workers: int) -> Work:
    """Return the work of trainings; workers share no graph.

    On a worker, trainings alone share that of a wiring, and packs that of a size, of one seed or
    several, and of a `structure`, until it forgets all of them.

    Args:
        plan: what runs.
        packs: of trainings, by their ids.
        images: of an epoch.
        workers: how many train at the same time.

    """
    alone = _alone(plan, packs)
    kinds = {_graph_of([plan.trials[key] for key in pack]) for pack in packs}
    kinds |= {getattr(trial, "genotype", None) or fitting(trial) for trial in alone}
    units = len(packs) + len(alone)
    times_made = ceil(units / workers / MOST_GRAPHS)
    return Work(
        steps=units * usual_steps(plan.spec.protocol, images),
        graphs=min(units, len(kinds) * workers * times_made),
    )


def _graph_of(pack: Sequence[Planned]) -> object:
    """Return what tells the graph of a pack from those of others."""
    genotypes = [trial.genotype for trial in pack if isinstance(trial, Trial)]
    wires = genotypes and (
        structure([each.normal for each in genotypes], reduces=False),
        structure([each.reduction for each in genotypes], reduces=True),
    )
    shares_images = len({trial.seed for trial in pack}) == 1
    return len(pack), shares_images, fitting(pack[0]), wires or None


def _alone(plan: Plan, packs: Packs) -> list[Planned]:
    """Return the trainings that are left and in no pack."""
    packed = {trial_id for pack in packs for trial_id in pack}
    return [
        trial
        for trial_id, trial in plan.left.items()
        if not trial.finds_cell and trial_id not in packed
    ]


def _usual_size(packs: Packs, alone: Sequence[Planned]) -> int | None:
    """Return the size that most packs have; None where more trainings go alone than in packs."""
    return None if len(alone) > len(packs) else max(multimode(map(len, packs)), default=None)


def settled_compiling(
    plan: Plan,
    packs: Packs,
    execution: Execution,
    *,
    images: int,
    workers: int,
    ask: Ask[Timed, tuple[str, CompileTime | str | None]],
) -> tuple[Compiling | None, str | None]:
    """Return whether networks are compiled, and a line on what was measured.

    None where that is not asked for, or no training is left that would run a graph. What was
    decided for a sweep stays, unless another device trains now, there is more to train than there
    was when it did not pay, or nothing could be measured.

    Args:
        plan: what runs.
        packs: of trainings, and of searches, by their ids.
        execution: settled, but for this.
        images: of an epoch.
        workers: how many train at the same time.
        ask: see `Ask`.

    """
    asked = execution.compile
    if asked == "off" or not _trains(plan.left.values()):
        return None, None
    packs = tuple(pack for pack in packs if not plan.trials[pack[0]].finds_cell)
    work = work_left(plan, packs, images=images, workers=workers)
    if not work.steps:
        return None, (
            f"--compile {asked}: nothing is compiled; graphs are for whole batches and, where "
            "paths are dropped, for epochs after the first"
        )
    if asked == "on":
        return Compiling(asked="on", taken=True), None
    known = None if plan.manifest is None else plan.manifest.compiling
    if known is not None and _still_holds(known, execution, work):
        return known, f"--compile auto: {_taken(known.taken)}, as decided before"
    candidates, _ = candidates_of(plan, execution, 1)
    if candidates is None:
        return None, None
    size = _usual_size(packs, _alone(plan, packs))
    device, measured = ask(measured_here, Timed(candidates=candidates, size=size, work=work))
    times = measured if isinstance(measured, CompileTime) else None
    taken = times is not None and pays(times, work)
    compiling = Compiling(
        asked="auto",
        taken=taken,
        steps=work.steps,
        graphs=work.graphs,
        device=device,
        on_gpu=execution.device == "cuda",
        threads=execution.cpus,
        measured=times,
    )
    return compiling, f"--compile auto: {_taken(taken)}; {_why(measured, work, device)}"


def measured_here(asked: Timed) -> tuple[str, CompileTime | str | None]:
    """Time steps as written and, where it may pay, compiled ones; return the device's name too.

    Returns:
        The times; None where a sweep is too short for any; or why there are none.

    """
    execution, device = asked.candidates.execution, device_name(asked.candidates.execution.device)
    count = min(asked.size or 1, len(asked.candidates.members))
    which = "one training" if asked.size is None else f"a pack of {count}"
    too_large = f"{which} does not fit into memory"

    def steps(*, compiled: bool) -> TrainingSteps:
        return TrainingSteps(
            asked.candidates.members[:count],
            asked.candidates.protocol,
            DATASETS[asked.candidates.dataset],
            device=execution.device,
            packed=asked.size is not None,
            compiled=compiled,
        )

    with as_worker(execution.cpus):
        try:
            written = steps(compiled=False)
            next(written)
            (seconds,) = next(written)
        except Exception as error:
            if is_out_of_memory(error):
                return device, too_large
            raise
        # Measuring makes one graph more.
        most = Work(steps=asked.work.steps, graphs=asked.work.graphs + 1)
        if not pays(_at_best(seconds), most):
            return device, None
        try:
            compiled = steps(compiled=True)
            started = time.perf_counter()
            next(compiled)
            compile_seconds = time.perf_counter() - started
            pairs = [(next(written)[0], next(compiled)[0]) for _ in range(_STEPS)]
        except Exception as error:  # noqa: BLE001 - of a compiler, anything
            if is_out_of_memory(error):
                return device, f"{too_large} beside its compiled form"
            return device, f"PyTorch cannot compile here ({first_line(error)})"
    as_written, as_graph = (median(each) for each in zip(*pairs, strict=True))
    times = CompileTime(
        seconds=as_written, compiled_seconds=as_graph, compile_seconds=compile_seconds
    )
    return device, times


def check_compiler(
    trials: Iterable[Planned], execution: Execution, ask: Ask[str, str | None]
) -> None:
    """Refuse to compile trainings where PyTorch cannot compile, on their device, next to nothing.

    Raises:
        InputError: with PyTorch's reason.

    """
    if execution.compile != "on" or not _trains(trials):
        return
    if (reason := ask(compiler_error, execution.device)) is not None:
        raise InputError(
            f"--compile on: PyTorch cannot compile here ({reason}): use --compile off, or install "
            "a C++ compiler, such as g++"
        )


def compiler_error(device: str) -> str | None:
    """Return why PyTorch cannot compile for a device of this machine; None where it can."""
    try:
        graph = torch.compile(lambda x: (x.sin() + 1).sum(), fullgraph=True)
        graph(torch.zeros(8, device=device))
    except Exception as error:  # noqa: BLE001 - of a compiler, anything
        return first_line(error)
    return None


def _at_best(seconds: float) -> CompileTime:
    return CompileTime(
        seconds=seconds,
        compiled_seconds=seconds / _MOST_GAIN,
        compile_seconds=_LEAST_COMPILE_SECONDS,
    )


def _still_holds(known: Compiling, execution: Execution, work: Work) -> bool:
    """Whether what was decided before is about the device, and the work, of now."""
    if not known.is_of(on_gpu=execution.device == "cuda", threads=execution.cpus):
        return False
    was_measured = known.measured is not None  # else there may be a compiler, or room, by now
    return known.taken or (was_measured and work.steps <= (known.steps or 0))


def _trains(trials: Iterable[Planned]) -> bool:
    """Whether any is a training: searches are never compiled."""
    return any(not trial.finds_cell for trial in trials)


def _why(measured: CompileTime | str | None, work: Work, device: str) -> str:
    if measured is None:
        return f"{work.steps:,} steps are too few to measure it"
    if isinstance(measured, str):
        return measured
    return (
        f"on {device} a step takes {measured.seconds:.3g} s, compiled "
        f"{measured.compiled_seconds:.3g} s after {measured.compile_seconds:.0f} s, "
        f"and {work.steps:,} steps are left"
    )


def _taken(taken: bool) -> str:
    return "networks are compiled" if taken else "nothing is compiled"
