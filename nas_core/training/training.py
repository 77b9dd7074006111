"""Training of one network: what its epochs do. The loop around them is in `training/loop.py`."""

from __future__ import annotations

import time

from torch import Tensor
from torch.nn.functional import cross_entropy

from nas_core.cells.genotype import Genotype
from nas_core.data.splits import Split
from nas_core.errors import InputError
from nas_core.networks.evaluation import EvalNetwork, multiply_adds, parameter_count
from nas_core.protocols.training import Protocol
from nas_core.streams import EDGE_SLOTS, Draws
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import EpochMetrics
from nas_core.training.loop import Loop, Meter, StepResult, check_images


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

    Raises:
        InputError: see `check_trainable`.

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
    ) -> None:
        check_trainable(genotype, protocol, split)
        self.genotype = genotype
        self.split = split
        super().__init__(
            EpochMetrics, protocol, split.train, split.info, seed=seed, checkpoint=checkpoint
        )

    def build(self, epoch: int) -> None:
        """Build the network, which is the same in every epoch."""
        self.network = self.ready(
            EvalNetwork(
                self.genotype,
                init_channels=self.protocol.init_channels,
                cells=self.protocol.cells,
                num_classes=self.info.num_classes,
                auxiliary=self.protocol.auxiliary,
            )
        )

    def run_epoch(self, epoch: int) -> EpochMetrics:
        """Train one epoch and evaluate."""
        started = time.perf_counter()
        rate = self.begin(epoch)
        meter = Meter(self.device)
        for draws in self.draws(self.split.train, epoch).steps():
            meter.add(*self._step(draws))
        train_loss, train_accuracy = meter.means()
        validation = self.split.validation
        return EpochMetrics(
            epoch=epoch,
            learning_rate=rate,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            val_accuracy=None if validation is None else self.accuracy(validation),
            test_accuracy=self.accuracy(self.split.test),
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
        keep = None
        if draws.keep is not None:
            keep = draws.keep.to(self.device, self.dtype) / draws.keep_probability
        with self.autocast():
            output = self.network(images, keep)
            logits, auxiliary = output if isinstance(output, tuple) else (output, None)
            loss = cross_entropy(logits, labels)
            if auxiliary is not None:
                loss = loss + self.protocol.auxiliary_weight * cross_entropy(auxiliary, labels)
        self.descend(loss)
        return loss, logits, labels
