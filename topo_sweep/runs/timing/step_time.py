"""How long a step of training or search takes on a device, measured on random images.

The steps are those of `nas_core.training`, of the real networks; only the pixels are made up, which
does not change what a step costs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final, Self

import torch
from torch import Tensor

from nas_core.data.splits import Images, SearchSplit, Split
from nas_core.errors import InputError
from nas_core.protocols.data import DatasetInfo
from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import Protocol
from nas_core.training.epochs import Steps
from nas_core.training.pack import Member, PackTraining
from nas_core.training.search import Search
from nas_core.training.training import Training
from topo_sweep.runs.device import as_worker

_BATCHES: Final = 4
"""Steps of the epochs that are timed; what an epoch draws at its start is in the first of them."""
TIMED_TOGETHER: Final = {"cpu": 1, "cuda": _BATCHES}
"""Steps between two looks at the clock, for which a GPU is waited for."""
_FEWEST_MEASUREMENTS: Final = 2


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """What a step takes.

    Args:
        size: networks that learn in it.
        seconds: of a step of all of them, the median.
        evaluation_seconds: of evaluating one image by all of them.
        alpha_seconds: of an alpha step of a search.
        build_seconds: until the networks are there.
        steps: that were timed.
        spread: how far the middle half of them is from the median, as a share of it.
        peak_memory_bytes: of the GPU. On the CPU an estimate: the weights, what their optimiser
            has of each, and what the forward pass keeps for the backward pass; None of a search.

    """

    size: int
    seconds: float
    evaluation_seconds: float
    alpha_seconds: float = 0.0
    build_seconds: float = 0.0
    steps: int
    spread: float = 0.0
    peak_memory_bytes: int | None

    def epoch_seconds(
        self, *, images: int, batch: int, evaluated: int, alpha_steps: int = 0
    ) -> float:
        """Return what an epoch takes: over `images` in batches, with `evaluated` images after."""
        return (
            math.ceil(images / batch) * self.seconds
            + evaluated * self.evaluation_seconds
            + alpha_steps * self.alpha_seconds
        )


class _EveryStep:
    """Lets a loop stop after each step, or on a GPU after several."""

    device: torch.device

    def told(self, step: int, of: float) -> Iterator[Steps]:
        if step % TIMED_TOGETHER[self.device.type] == 0:
            yield Steps(share=step / of, epoch_seconds=math.nan)


class _SteppedTraining(_EveryStep, Training):
    pass


class _SteppedPack(_EveryStep, PackTraining):
    pass


class TrainingSteps:
    """The steps of a training, or of several as one network, one at a time.

    Args:
        members: what is trained; a single one where it is not packed.
        protocol: every setting; the steps are those of its last epoch, in which paths are dropped.
        info: the data set, for the size and number of its images.
        device: cpu or cuda.
        packed: whether the members are trained as one network, by `PackTraining`.
        compiled: whether by its compiled form, which is made in the first step.

    Raises:
        InputError: several members that are not packed, or what cannot be trained.
        torch.OutOfMemoryError: it does not fit into the memory of the GPU.

    """

    def __init__(
        self,
        members: Sequence[Member],
        protocol: Protocol,
        info: DatasetInfo,
        *,
        device: str,
        packed: bool,
        compiled: bool = False,
    ) -> None:
        if not packed and len(members) != 1:
            raise InputError(f"{len(members)} trainings are timed as one only if they are packed")
        self.members = members
        images = random_images(info, _BATCHES * protocol.batch_size, device=device)
        split = Split(info, images, None, images)
        started = time.perf_counter()
        self.loop: Training | PackTraining
        if packed:
            self.loop = _SteppedPack(members, protocol, split, compiled=compiled)
        else:
            genotype, seed = members[0]
            self.loop = _SteppedTraining(genotype, protocol, split, seed=seed, compiled=compiled)
        self.build_seconds = time.perf_counter() - started
        self.kept_bytes = 0
        """What the forward pass of the first step kept for its backward pass; 0 if compiled."""
        self._steps = _steps(self.loop, protocol.total_epochs - 1)

    def __iter__(self) -> Self:
        """Return itself: it goes on without end."""
        return self

    def __next__(self) -> tuple[float]:
        """Take a step, on a GPU several; return the seconds of one, as a tuple of one."""
        if self.kept_bytes or self.loop.compiled:
            return next(self._steps)
        kept = _Kept()
        with kept:
            seconds = next(self._steps)
        self.kept_bytes = kept.bytes
        return seconds

    @property
    def training_bytes(self) -> int:
        """Of weights, gradients, momentum and buffers."""
        parameters = sum(parameter.nbytes for parameter in self.loop.network.parameters())
        return 3 * parameters + sum(buffer.nbytes for buffer in self.loop.network.buffers())


def time_steps(
    members: Sequence[Member],
    protocol: Protocol,
    info: DatasetInfo,
    *,
    device: str,
    threads: int,
    packed: bool,
    at_most_seconds: float,
) -> StepTime:
    """Time steps of a training, or of several as one network.

    One step warms up; two or more are timed, as long as there is time. Where the first takes all of
    it, that one is the measurement.

    What is timed is as `TrainingSteps` has it, by a process with so many `threads`. The time that
    there is, `at_most_seconds`, is for steps and evaluation, without building the networks; the
    last of them may take longer.

    Raises:
        InputError: see `TrainingSteps`.
        torch.OutOfMemoryError: likewise.

    """
    with as_worker(threads):
        steps = TrainingSteps(members, protocol, info, device=device, packed=packed)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        ends = time.perf_counter() + 0.75 * at_most_seconds
        seconds = [each for (each,) in _timed(steps, next(steps), ends)]
        evaluated = min(steps.loop.evaluation_batch, info.test_images)
        # Evaluated twice, forward alone, which is a third of a step.
        if 2 / 3 * median(seconds) * evaluated / protocol.batch_size > 0.25 * at_most_seconds:
            evaluated = protocol.batch_size
        evaluation = _evaluation_seconds(steps.loop, random_images(info, evaluated, device=device))
        estimate = steps.training_bytes + steps.kept_bytes
        return StepTime(
            size=len(members),
            seconds=median(seconds),
            evaluation_seconds=evaluation,
            build_seconds=steps.build_seconds,
            steps=len(seconds) * TIMED_TOGETHER[device],
            spread=_spread(seconds),
            peak_memory_bytes=torch.cuda.max_memory_allocated() if device == "cuda" else estimate,
        )


def time_search_steps(
    protocol: SearchProtocol,
    info: DatasetInfo,
    *,
    device: str,
    threads: int,
    at_most_seconds: float,
) -> StepTime:
    """Time weight and alpha steps of the first stage of a search, as `time_steps` does.

    Raises:
        InputError: what cannot be searched.
        torch.OutOfMemoryError: it does not fit into the memory of the GPU.

    """
    with as_worker(threads):
        started = time.perf_counter()
        search = stepwise_search(protocol, info, device=device)
        build_seconds = time.perf_counter() - started
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        ends = time.perf_counter() + 0.75 * at_most_seconds
        steps = search_steps(search)
        timed = _timed(steps, next(steps), ends)
        return StepTime(
            size=1,
            seconds=median(weight for weight, _ in timed),
            alpha_seconds=median(alpha for _, alpha in timed),
            evaluation_seconds=_evaluation_seconds(search, search.split.alphas),
            build_seconds=build_seconds,
            steps=len(timed),
            spread=_spread([sum(each) for each in timed]),
            peak_memory_bytes=torch.cuda.max_memory_allocated() if device == "cuda" else None,
        )


def stepwise_search(protocol: SearchProtocol, info: DatasetInfo, *, device: str) -> Search:
    """Return a search whose epochs are a step of weights and one of alphas, on random images.

    Raises:
        InputError: what cannot be searched.

    """
    each_step = protocol.with_values({"alpha_every": "step", "warmup_epochs": 0})
    weights, alphas = (
        random_images(info, protocol.batch_size, device=device, seed=seed) for seed in (0, 1)
    )
    return Search(each_step, SearchSplit(info, weights, alphas), seed=0)


def search_steps(search: Search) -> Iterator[tuple[float, float]]:
    """Run the first epoch of a search over and over; yield its seconds of weights and of alphas."""
    while True:
        search.history.clear()
        epoch = next(search.epochs())
        yield epoch.weight_seconds, epoch.alpha_seconds


def random_images(info: DatasetInfo, count: int, *, device: str, seed: int = 0) -> Images:
    """Return images of a data set's size that show nothing, with labels of its classes."""
    source = torch.Generator().manual_seed(seed)
    size = (count, 3, *info.image_size)
    pixels = torch.randint(256, size, generator=source, dtype=torch.uint8)
    labels = torch.randint(info.num_classes, (count,), generator=source)
    return Images(pixels, labels).to(torch.device(device))


def _timed(
    steps: Iterator[tuple[float, ...]], warm_up: tuple[float, ...], ends: float
) -> list[tuple[float, ...]]:
    """Return the seconds of steps until the clock says `ends`; those of the warm-up if it is over.

    What a step took is in one part or several.
    """
    if time.perf_counter() >= ends:
        return [warm_up]
    taken: list[tuple[float, ...]] = []
    while len(taken) < _FEWEST_MEASUREMENTS or time.perf_counter() + sum(taken[-1]) < ends:
        taken.append(next(steps))
    return taken


def _steps(loop: Training | PackTraining, epoch: int) -> Iterator[tuple[float]]:
    """Take the steps of an epoch over and over, never evaluating; yield the seconds of each."""
    together = TIMED_TOGETHER[loop.device.type]
    while True:
        told = loop.run_epoch(epoch)
        for _ in range(_BATCHES // together):
            started = time.perf_counter()
            next(told)
            _wait(loop.device)
            yield ((time.perf_counter() - started) / together,)


def _evaluation_seconds(loop: Training | PackTraining | Search, images: Images) -> float:
    """Return what one of these images takes, once memory was claimed for them."""
    for _ in range(2):
        started = time.perf_counter()
        loop.accuracies(images)
        _wait(loop.device)
        seconds = time.perf_counter() - started
    return seconds / len(images)


def _spread(seconds: Sequence[float]) -> float:
    """Return half the distance of the quartiles, as a share of the median."""
    if len(seconds) == 1:
        return 0.0
    first, middle, third = quantiles(seconds, n=4, method="inclusive")
    return (third - first) / 2 / middle


def _wait(device: torch.device) -> None:
    """Wait for the work of a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class _Kept(torch.autograd.graph.saved_tensors_hooks):
    """Counts the bytes that forward passes keep for their backward passes."""

    def __init__(self) -> None:
        self._storages: dict[int, int] = {}
        super().__init__(self._keep, lambda tensor: tensor)

    @property
    def bytes(self) -> int:
        return sum(self._storages.values())

    def _keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._storages[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself would hold on to what holds it
