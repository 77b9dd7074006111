"""Training of one network: what its epochs do. The loop around them is in `training/loop.py`."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import Final

from torch import Tensor
from torch.nn.functional import cross_entropy

from nas_core.cells.genotype import Genotype
from nas_core.data.splits import Split
from nas_core.errors import InputError
from nas_core.networks.evaluation import EvalNetwork, multiply_adds, parameter_count
from nas_core.protocols.training import Protocol
from nas_core.streams import EDGE_SLOTS, Draws
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import EpochMetrics, Steps
from nas_core.training.loop import Loop, StepResult, check_images
from nas_core.training.meter import Meter

_EVALUATION_COST: Final = 1 / 3
"""Of an image, in images of training: forward alone, where backward costs twice as much."""


def check_trainable(genotype: Genotype, protocol: Protocol, split: Split) -> None:
    """Refuse what would fail in the middle of a training; builds nothing, so it is cheap.

    Raises:
        InputError: images too small for the depth, a cell with other than four nodes, or a last
            batch that batch norm cannot normalise.

    """
    if len(genotype.normal.edges) != EDGE_SLOTS:
        raise InputError(
            f"trainings take cells with {EDGE_SLOTS // 2} nodes, got {len(genotype.normal.nodes)}"
        )
    check_images(
        split.train,
        protocol,
        cells=protocol.cells,
        auxiliary=protocol.auxiliary,
        called="training images",
        setting="train_limit",
    )


class Training(Loop[EpochMetrics]):
    """One training on the device that holds the images; `epochs` runs it.

    A pure function of its arguments and, in float32, of the threads that add numbers up.

    Args:
        genotype: the cells.
        protocol: every setting.
        split: the images; their device is where everything runs.
        seed: names the random streams.
        checkpoint: where to go on from, and where to save the state whenever it is due.
        test_every: validation and test accuracy are measured every so many epochs, and always in
            the last, also where that is the one that diverged. Nothing else depends on it.
        compiled: whether steps run its `Compiled` form; a graph serves all trainings of one wiring.

    Raises:
        InputError: see `check_trainable`; or `test_every` below 1.

    >>> from nas_core import KNOWN_CELLS, Protocol, Training, load_dataset
    >>> from nas_core.data.splits import split
    >>> from nas_core.protocols.training import DataOptions
    >>> digits = split(load_dataset("digits"), DataOptions(dataset="digits", train_limit=40))
    >>> protocol = Protocol(cells=1, init_channels=2, epochs=2, batch_size=20)
    >>> training = Training(KNOWN_CELLS["DARTS_V2"], protocol, digits, seed=0)
    >>> [epoch.learning_rate for epoch in training.epochs()]
    [0.025, 0.0125]
    >>> 0 <= training.history[-1].test_accuracy <= 1
    True

    """

    protocol: Protocol
    network: EvalNetwork

    def __init__(
        self,
        genotype: Genotype,
        protocol: Protocol,
        split: Split,
        *,
        seed: int,
        checkpoint: Checkpoint | None = None,
        test_every: int = 1,
        compiled: bool = False,
    ) -> None:
        check_trainable(genotype, protocol, split)
        self.genotype = genotype
        self.split = split
        check_test_every(test_every)
        self.test_every = test_every
        self.compiled = compiled
        super().__init__(
            EpochMetrics, protocol, split.train, split.info, seed=seed, checkpoint=checkpoint
        )

    def build(self, epoch: int) -> None:
        """Build the network, which is the same in every epoch."""
        network = evaluation_network(self.genotype, self.protocol, self.info.num_classes)
        self.network = self.ready(network)

    def run_epoch(self, epoch: int) -> Generator[Steps, None, EpochMetrics]:
        """Train one epoch and, where that is due, evaluate."""
        started = time.perf_counter()
        rate = self.begin(epoch)
        meter = Meter(self.device)
        is_measured = measured_after(epoch, self.protocol, self.test_every)
        work = work_of_epoch(self.split, self.protocol, is_measured=is_measured)
        for draws in self.draws(self.split.train, epoch).steps():
            meter.add(*self._step(draws))
            yield from self.told(meter.steps, work)
        train_loss, train_accuracy = meter.means()
        is_measured = is_measured or not math.isfinite(train_loss)  # then it is the last
        validation = self.split.validation if is_measured else None
        return EpochMetrics(
            epoch=epoch,
            learning_rate=rate,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            val_accuracy=None if validation is None else self.accuracy(validation),
            test_accuracy=self.accuracy(self.split.test) if is_measured else None,
            seconds=time.perf_counter() - started,
        )

    def logits(self, images: Tensor) -> Tensor:
        """Classify normalised images (B, 3, H, W): logits (B, classes)."""
        return self.network(images)

    def facts(self) -> dict[str, int | str | None]:
        """Return `parameters` and the `multiply_adds` of one image."""
        height, width = self.split.train.pixels.shape[-2:]
        return {
            "parameters": parameter_count(self.network),
            "multiply_adds": multiply_adds(self.network, height, width),
        }

    def _step(self, draws: Draws) -> StepResult:
        """Take one step of the weights."""
        images, labels = self.batch(self.split.train, draws)
        with self.autocast():
            output = self.forward(images, keep_masks(draws, images))
            logits, auxiliary = output if isinstance(output, tuple) else (output, None)
            loss = cross_entropy(logits, labels)
            if auxiliary is not None:
                loss = loss + self.protocol.auxiliary_weight * cross_entropy(auxiliary, labels)
        self.descend(loss)
        return loss, logits, labels


def evaluation_network(genotype: Genotype, protocol: Protocol, num_classes: int) -> EvalNetwork:
    """Return the network that a protocol trains, as PyTorch initialises it."""
    return EvalNetwork(
        genotype,
        init_channels=protocol.init_channels,
        cells=protocol.cells,
        num_classes=num_classes,
        auxiliary=protocol.auxiliary,
    )


def keep_masks(draws: Draws, images: Tensor) -> Tensor | None:
    """Return the multipliers of drop path for a step's images; None where no path is dropped."""
    return None if draws.keep is None else draws.keep.to(images) / draws.keep_probability


def check_test_every(test_every: int) -> None:
    """Refuse a number of epochs that is none."""
    if test_every < 1:
        raise InputError(f"test_every counts epochs from 1, got {test_every}")


def measured_after(epoch: int, protocol: Protocol, test_every: int) -> bool:
    """Return whether accuracies are measured after an epoch (from 0) whose loss is finite."""
    return epoch == protocol.total_epochs - 1 or (epoch + 1) % test_every == 0


def work_of_epoch(split: Split, protocol: Protocol, *, is_measured: bool) -> float:
    """Return what an epoch does, evaluation included, in steps."""
    parts = (split.test, split.validation) if is_measured else ()
    evaluated = sum(len(part) for part in parts if part is not None)
    steps = math.ceil(len(split.train) / protocol.batch_size)
    return steps + _EVALUATION_COST * evaluated / protocol.batch_size
