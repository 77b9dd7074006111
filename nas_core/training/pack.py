"""Trainings of one protocol as one: what an epoch of a packed network does.

The loop around it is in `training/loop.py`. Letters: K members, B batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nas_core.cells.genotype import Genotype
from nas_core.data.splits import Split
from nas_core.errors import InputError
from nas_core.networks.evaluation import EvalNetwork, multiply_adds, parameter_count
from nas_core.networks.packed import PackedNetwork
from nas_core.protocols.training import Protocol
from nas_core.streams import Draws, initialise_
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import EpochMetrics, PackEpoch, Steps
from nas_core.training.loop import Loop, StepResult, losses_by_model
from nas_core.training.meter import Meter
from nas_core.training.training import (
    check_test_every,
    check_trainable,
    evaluation_network,
    keep_masks,
    measured_after,
    work_of_epoch,
)


class Member(NamedTuple):
    """One training of a pack."""

    genotype: Genotype
    seed: int


class PackTraining(Loop[PackEpoch]):
    """Trainings that differ in wiring or seed; each is what `Training` would be, but for rounding.

    A member whose loss is no longer finite has ended; the others go on as if it were not there.

    Args:
        members: at least one; see `PackedNetwork` for what fits together.
        protocol: every setting.
        split: the images; their device is where everything runs.
        checkpoint: of the whole pack: where to go on from, and where to save whenever it is due.
        test_every: see `Training`.
        compiled: whether steps run the `Compiled` form; see there which packs share a graph.

    Raises:
        InputError: see `check_trainable` and `PackedNetwork`; or `test_every` below 1.

    """

    protocol: Protocol
    network: PackedNetwork

    def __init__(
        self,
        members: Sequence[Member],
        protocol: Protocol,
        split: Split,
        *,
        checkpoint: Checkpoint | None = None,
        test_every: int = 1,
        compiled: bool = False,
    ) -> None:
        if not members:
            raise InputError("a pack needs one member or more")
        for member in members:
            check_trainable(member.genotype, protocol, split)
        check_test_every(test_every)
        self.members = tuple(members)
        self.split = split
        self.test_every = test_every
        self.compiled = compiled
        self._facts: dict[object, dict[str, int | str | None]] = {}
        super().__init__(
            PackEpoch,
            protocol,
            split.train,
            split.info,
            seed=members[0].seed,
            checkpoint=checkpoint,
        )

    @property
    def models(self) -> int:
        """How many members there are."""
        return len(self.members)

    def history_of(self, number: int) -> tuple[EpochMetrics, ...]:
        """Return the epochs of a member, up to that in which it diverged."""
        epochs = [epoch.members[number] for epoch in self.history]
        end = next((each.epoch + 1 for each in epochs if each.diverged), len(epochs))
        return tuple(epochs[:end])

    def has_diverged(self, number: int) -> bool:
        """Whether the loss of a member is no longer finite, which ended it."""
        return any(epoch.members[number].diverged for epoch in self.history)

    def has_stopped(self, _number: int) -> bool:
        """Whether a member ended by a rule, as searches may: never."""
        return False

    def build(self, epoch: int) -> None:
        """Build the network; a member starts as its training would alone."""
        network = PackedNetwork(
            [member.genotype for member in self.members],
            init_channels=self.protocol.init_channels,
            cells=self.protocol.cells,
            num_classes=self.info.num_classes,
            auxiliary=self.protocol.auxiliary,
        )
        starts = {}
        for seed in {member.seed for member in self.members}:
            alone = self._alone(self.members[0].genotype)
            initialise_(alone, seed)
            starts[seed] = alone.state_dict()
        network.load_models([starts[member.seed] for member in self.members])
        self.network = self.optimised(network)

    def _alone(self, genotype: Genotype) -> EvalNetwork:
        return evaluation_network(genotype, self.protocol, self.info.num_classes)

    def run_epoch(self, epoch: int) -> Generator[Steps, None, PackEpoch]:
        """Train one epoch and, where that is due, evaluate."""
        started = time.perf_counter()
        rate = self.begin(epoch)
        meter = Meter(self.device)
        is_due = measured_after(epoch, self.protocol, self.test_every)
        work = work_of_epoch(self.split, self.protocol, is_measured=is_due)
        seeds = dict.fromkeys(member.seed for member in self.members)
        by_seed = [self.draws(self.split.train, epoch, seed=seed).steps() for seed in seeds]
        for draws in zip(*by_seed, strict=True):
            meter.add(*self._step(dict(zip(seeds, draws, strict=True))))
            yield from self.told(meter.steps, work)
        means = meter.means_by_model()
        going_on = [not self.has_diverged(number) for number in range(len(means))]
        is_measured = [
            is_due or (goes_on and not math.isfinite(loss))  # what diverges is measured at its end
            for goes_on, (loss, _) in zip(going_on, means, strict=True)
        ]
        tested, validated = self._measured(any(is_measured))
        seconds = (time.perf_counter() - started) / sum(going_on)
        return PackEpoch(
            tuple(
                EpochMetrics(
                    epoch=epoch,
                    learning_rate=rate,
                    train_loss=loss,
                    train_accuracy=accuracy,
                    val_accuracy=validated[number] if is_measured[number] else None,
                    test_accuracy=tested[number] if is_measured[number] else None,
                    seconds=seconds,
                )
                for number, (loss, accuracy) in enumerate(means)
            )
        )

    def _measured(self, is_measured: bool) -> tuple[list[float | None], list[float | None]]:
        """Return test and validation accuracy of each member, None where they are not measured."""
        nothing: list[float | None] = [None] * len(self.members)
        validation = self.split.validation
        if not is_measured:
            return nothing, nothing
        tested = self.accuracies(self.split.test).tolist()
        return tested, nothing if validation is None else self.accuracies(validation).tolist()

    def logits(self, images: Tensor) -> Tensor:
        """Classify normalised images (B, 3, H, W): logits (K, B, classes)."""
        return self.network(images)

    def facts(self, number: int = 0) -> dict[str, int | str | None]:
        """Return `parameters` and the `multiply_adds` of one image of a member."""
        genotype = self.members[number].genotype
        # In a normal cell all maps are of one size, so its wiring does not matter.
        key = genotype.shape, genotype.reduction
        if key not in self._facts:
            height, width = self.split.train.pixels.shape[-2:]
            with torch.device("meta"):
                network = self._alone(genotype)
            # There a batch norm imports PyTorch's compiler, 2 s in every process.
            network.to_empty(device="cpu")
            self._facts[key] = {
                "parameters": parameter_count(network),
                "multiply_adds": multiply_adds(network, height, width),
            }
        return dict(self._facts[key])

    def _step(self, draws: dict[int, Draws]) -> StepResult:
        """Take one step of the weights; draws are by seed."""
        batches = {seed: self.batch(self.split.train, each) for seed, each in draws.items()}
        keeps = {seed: keep_masks(each, batches[seed][0]) for seed, each in draws.items()}
        seeds = [member.seed for member in self.members]
        if len(draws) == 1:
            (images, labels), keep = batches[seeds[0]], keeps[seeds[0]]
            labels = labels.expand(len(seeds), -1)
        else:
            images, labels = (
                torch.stack([batches[seed][part] for seed in seeds]) for part in range(2)
            )
            masks = [mask for seed in seeds if (mask := keeps[seed]) is not None]
            keep = torch.stack(masks) if masks else None
        with self.autocast():
            output = self.forward(images, keep)
            logits, auxiliary = output if isinstance(output, tuple) else (output, None)
            losses = losses_by_model(logits, labels)
            if auxiliary is not None:
                losses = losses + self.protocol.auxiliary_weight * losses_by_model(
                    auxiliary, labels
                )
        self.descend(losses.sum())
        return losses, logits, labels

    def clip(self) -> None:
        """Bring the gradient of each member to the protocol's greatest norm."""
        self.network.clip_gradients(self.protocol.gradient_clip)
