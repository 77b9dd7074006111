"""How many packs share a GPU: what was asked for, or what its memory holds, until that runs out."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, prod
from typing import Final

import torch

from nas_core.protocols.data import DATASETS, DatasetInfo
from topo_sweep.runs.device import device_name
from topo_sweep.runs.execution import Execution, times_in_one
from topo_sweep.runs.packing.packs import Pack, Packs, WaitingPack, key_of, members_of, with_packs
from topo_sweep.runs.packing.size import Ask
from topo_sweep.runs.plan import Plan
from topo_sweep.runs.runner import is_out_of_memory
from topo_sweep.runs.timing.at_once import Kind, kind_of, time_batches
from topo_sweep.spec.trials import Planned, Runnable
from topo_sweep.store.manifest import Packing, Sharing

_PLANNED: Final = 0.8
"""The part of a GPU's memory that packs are planned for: what they take varies a little."""
_MOST_KINDS: Final = 3
"""So many kinds of work are measured, the largest ones."""
_SECONDS_A_KIND: Final = 2.0
_BYTES_A_LABEL: Final = 8
_RAN_OUT: Final = "since memory ran out with more"


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is measured.

    Args:
        kinds: of work, each with how often it goes together: a kind has one search of a pack.
        dataset: whose images lie on the GPU too.
        execution: with the threads of a pack.

    """

    kinds: tuple[tuple[Kind, int], ...]
    dataset: str
    execution: Execution


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a pack takes of the memory of a GPU, and what that has."""

    device: str
    pack_bytes: int
    gpu_bytes: int


class GpuShare:
    """Says what part of a GPU a pack gets; fewer share one from when its memory ran out on.

    Args:
        sharing: what was settled; None where no pack shares a GPU.

    """

    def __init__(self, sharing: Sharing | None = None) -> None:
        self.sharing = sharing
        self._began_with: dict[str, int] = {}

    @property
    def packs(self) -> int:
        """How many share a GPU at most, of those that begin now."""
        return 1 if self.sharing is None else self.sharing.packs

    def gpus(self, execution: Execution) -> float:
        """Return what a pack gets that begins now, of a settled execution."""
        if self.sharing is None:
            return execution.gpus_of_each
        asked, packs = self.sharing.asked, self.sharing.packs
        is_as_asked = asked != "auto" and times_in_one(asked) == packs
        return asked if asked != "auto" and is_as_asked else part_of_gpu(packs)

    def begins(self, trial: Runnable | Pack) -> None:
        """Note with how many others a trial or a pack may share its GPU."""
        self._began_with[key_of(trial)] = self.packs

    def packs_with(self, trial: Runnable | Pack) -> int:
        """Return how many may share the GPU on which a trial or a pack began; 1 is it alone."""
        return self._began_with.get(key_of(trial), 1)

    def ran_out(self, packs: int) -> None:
        """Let half as many share a GPU as those with which memory ran out, unless fewer do yet."""
        if self.sharing is not None and packs <= self.packs:
            self.sharing = self.sharing.model_copy(
                update={"packs": packs // 2, "ran_out_at": (*self.sharing.ran_out_at, packs)}
            )


def part_of_gpu(packs: int) -> float:
    """Return what each of so many packs gets; rounded down, as Ray counts ten thousandths."""
    return 1.0 if packs == 1 else floor(10_000 / packs) / 10_000


def settled_sharing(
    plan: Plan,
    packs: Packs,
    packing: Packing | None,
    execution: Execution,
    *,
    gpus: int,
    most: int,
    ask: Ask[Work, Memory],
) -> tuple[Sharing | None, str | None]:
    """Return how many packs share a GPU, and a line on it; None where each has GPUs of its own.

    What was measured for a sweep stays, unless another device trains now, packs are larger, or put
    together in another way. So does it that memory ran out.

    Args:
        plan: what runs.
        packs: of this run.
        packing: how they were put together.
        execution: settled, but for 'auto'.
        gpus: that packs may share.
        most: packs on a GPU for which a node has CPUs.
        ask: see `Ask`.

    """
    units = list(with_packs(plan.left, plan.trials, packs))
    asked = execution.gpus
    if not units or not asked or (asked != "auto" and times_in_one(asked) < 2):
        return None, None
    trainings = max(len(members_of(unit)) for unit in units)
    known = _known(plan, packing, execution, trainings)
    if asked != "auto":
        if known is None or not known.ran_out_at:
            return Sharing(asked=asked, packs=times_in_one(asked), trainings=trainings), None
        return known, f"--gpus-per-pack {asked:g}: {_shared(known.packs)}, {_RAN_OUT}"
    how = "as measured before"
    if known is None:
        started = time.perf_counter()
        memory = ask(measured_memory, _work_of(units, plan.spec.data.dataset, execution))
        how = f"measured in {time.perf_counter() - started:.0f} s on {memory.device}"
        known = Sharing(
            asked="auto",
            packs=1,
            trainings=trainings,
            device=memory.device,
            on_gpu=True,
            threads=execution.cpus,
            pack_bytes=memory.pack_bytes,
            gpu_bytes=memory.gpu_bytes,
        )
    pack_bytes, gpu_bytes = known.pack_bytes or 1, known.gpu_bytes or 1
    limits = [
        (int(_PLANNED * gpu_bytes / pack_bytes), "as its memory holds"),
        (most, "as its node has CPUs for"),
        (-(-len(units) // gpus), "as there are to train"),
        *((packs // 2, _RAN_OUT) for packs in known.ran_out_at),
    ]
    share, why = min(limits, key=lambda limit: max(limit[0], 1))
    share = max(share, 1)
    return known.model_copy(update={"packs": share}), (
        f"--gpus-per-pack auto, {how}: a pack takes up to {pack_bytes / 2**30:.1f} of "
        f"{gpu_bytes / 2**30:.1f} GiB; {_shared(share)}, {why}"
    )


def measured_memory(work: Work) -> Memory:
    """Measure on this machine what a pack takes of the GPU, with all that its process needs there.

    That is what the GPU has no longer free after some steps, and the images. What does not fit
    takes all of it.
    """
    info, device = DATASETS[work.dataset], work.execution.device
    before, gpu_bytes = _taken_bytes()
    taken = before
    for kind, count in work.kinds:
        try:
            time_batches(kind, info, device, work.execution.cpus, _SECONDS_A_KIND)
            taken = max(taken, before + count * (_taken_bytes()[0] - before))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            taken = gpu_bytes
        torch.cuda.empty_cache()
    return Memory(
        device=device_name(device), pack_bytes=taken + _image_bytes(info), gpu_bytes=gpu_bytes
    )


def _taken_bytes() -> tuple[int, int]:
    """Return what is not free of the memory of this GPU, and all that it has."""
    free, total = torch.cuda.mem_get_info()
    return total - free, total


def _image_bytes(info: DatasetInfo) -> int:
    image = 3 * prod(info.image_size) + _BYTES_A_LABEL
    return (info.train_images + info.test_images) * image


def _known(
    plan: Plan, packing: Packing | None, execution: Execution, trainings: int
) -> Sharing | None:
    """Return what was settled before, where it is about what runs now."""
    before = plan.manifest
    if before is None or before.sharing is None:
        return None
    known = before.sharing
    is_alike = known.asked == execution.gpus and before.packing == packing
    is_here = known.asked != "auto" or known.is_of(on_gpu=True, threads=execution.cpus)
    return known if is_alike and is_here and trainings <= known.trainings else None


def _work_of(
    units: Iterable[Planned | Pack | WaitingPack], dataset: str, execution: Execution
) -> Work:
    """Return the largest unit of each kind of work, of those kinds that take most."""
    largest: dict[object, tuple[int, Kind, int]] = {}
    for unit in units:
        kind = kind_of(unit)
        searches = 1 if kind.members else len(members_of(unit))
        shape = kind.members[0].genotype.shape if kind.members else None
        alike = kind.protocol, shape, kind.packed
        networks = max(len(kind.members), 1) * searches
        size = networks * kind.protocol.batch_size * kind.weight
        if alike not in largest or size > largest[alike][0]:
            largest[alike] = size, kind, searches
    most_first = sorted(largest.values(), key=lambda each: each[0], reverse=True)
    kinds = tuple((kind, searches) for _, kind, searches in most_first[:_MOST_KINDS])
    return Work(kinds=kinds, dataset=dataset, execution=execution)


def _shared(packs: int) -> str:
    return "each has a GPU of its own" if packs == 1 else f"{packs} share a GPU"
