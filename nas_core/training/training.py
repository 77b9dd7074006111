"""Training of one network: a generator of epochs that can stop and go on after any of them.

Letters: B batch. All randomness comes from `streams.py`, so a training is a pure function of
(genotype, protocol, split, seed) and, in float32, of the threads that add numbers up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nas_core.cells.genotype import Genotype
from nas_core.data.augmentation import normalise, training_batch
from nas_core.data.splits import Images, Split
from nas_core.errors import InputError
from nas_core.networks.evaluation import EvalNetwork, check_image_size, reduction_positions
from nas_core.protocols.training import NetworkTraining, Protocol
from nas_core.streams import EDGE_SLOTS, EpochDraws, StepDraws, initialise_
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.optimizer_state import optimizer_tensors, restore_optimizer

EVALUATION_BATCH = 512
MOMENTUM = {"momentum": "momentum_buffer"}
"""Names of the state of SGD in a checkpoint."""
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """What one epoch (counted from 0) gave; accuracies are fractions 0..1.

    `val_accuracy` is None where there is no hold-out. `seconds` covers training and evaluation.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    val_accuracy: float | None
    test_accuracy: float
    seconds: float

    @property
    def diverged(self) -> bool:
        """Whether the loss is no longer finite, which ends the training."""
        return not math.isfinite(self.train_loss)


def learning_rate(protocol: NetworkTraining, epoch: int) -> float:
    """Return the cosine schedule, stepped once an epoch: epoch 0 has the full initial rate."""
    swing = protocol.learning_rate - protocol.learning_rate_min
    return (
        protocol.learning_rate_min + swing * (1 + math.cos(math.pi * epoch / protocol.epochs)) / 2
    )


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
    height, width = split.train.pixels.shape[-2:]
    check_image_size(height, width, cells=protocol.cells, auxiliary=protocol.auxiliary)
    _check_last_batch(len(split.train), (height, width), protocol)


def _check_last_batch(images: int, size: tuple[int, int], protocol: Protocol) -> None:
    """Refuse a batch of one image where maps shrink to one pixel: batch norm has no variance."""
    smallest = max(-(-side // 2 ** len(reduction_positions(protocol.cells))) for side in size)
    lone_image = images % protocol.batch_size == 1 or protocol.batch_size == 1
    if lone_image and (protocol.auxiliary or smallest == 1):
        raise InputError(
            f"{images} training images in batches of {protocol.batch_size} leave a batch of one "
            "image, whose 1x1 maps batch norm cannot normalise: change batch_size or train_limit"
        )


class Training:
    """One training on the device that holds the images; `epochs` runs it.

    Args:
        genotype: the cells.
        protocol: every setting.
        split: the images; their device is where everything runs.
        seed: names the random streams.
        checkpoint: where to go on from, and where to save the state whenever it is due.

    """

    def __init__(
        self,
        genotype: Genotype,
        protocol: Protocol,
        split: Split,
        *,
        seed: int,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.protocol = protocol
        self.split = split
        self.seed = seed
        self.device = split.train.pixels.device
        self.dtype = DTYPES[protocol.precision]
        check_trainable(genotype, protocol, split)
        self.network = EvalNetwork(
            genotype,
            init_channels=protocol.init_channels,
            cells=protocol.cells,
            num_classes=split.info.num_classes,
            auxiliary=protocol.auxiliary,
        )
        initialise_(self.network, seed)
        self.network.to(self.device, self.dtype)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=protocol.learning_rate,
            momentum=protocol.momentum,
            weight_decay=protocol.weight_decay,
            fused=True,
        )
        self.checkpoint = checkpoint
        self.history: list[EpochMetrics] = []
        """All epochs so far, those that the checkpoint held first."""
        if checkpoint is not None and (saved := checkpoint.load()) is not None:
            tensors, epochs = saved
            self.history = [EpochMetrics(**epoch) for epoch in epochs]
            self.restore(tensors)

    @property
    def diverged(self) -> bool:
        """Whether the loss stopped being finite, which ends the training: it is a result."""
        return bool(self.history) and self.history[-1].diverged

    def epochs(self) -> Iterator[EpochMetrics]:
        """Train the epochs that are left and yield the metrics of each as it ends."""
        yield from tuple(self.history)
        for epoch in range(len(self.history), self.protocol.epochs):
            if self.diverged:
                return
            self.history.append(self.run_epoch(epoch))
            if self.checkpoint is not None and self.checkpoint.is_due:
                self.checkpoint.save(self.tensors(), [asdict(past) for past in self.history])
            yield self.history[-1]

    def facts(self):
        from nas_core.networks.evaluation import multiply_adds, parameter_count

        height, width = self.split.train.pixels.shape[-2:]
        return {
            "parameters": parameter_count(self.network),
            "multiply_adds": multiply_adds(self.network, height, width),
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the next epoch depends on, by name."""
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        named = self.network.named_parameters()
        return state | optimizer_tensors(self.optimizer, named, MOMENTUM)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` returned."""
        self.network.load_state_dict(
            {
                name.removeprefix("network."): value
                for name, value in tensors.items()
                if name.startswith("network.")
            }
        )
        named = self.network.named_parameters()
        restore_optimizer(self.optimizer, named, MOMENTUM, tensors)

    def run_epoch(self, epoch: int) -> EpochMetrics:
        """Train one epoch and evaluate."""
        started = time.perf_counter()
        rate = learning_rate(self.protocol, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        train_loss, train_accuracy = self._train_epoch(epoch)
        validation = self.split.validation
        return EpochMetrics(
            epoch=epoch,
            learning_rate=rate,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            val_accuracy=None if validation is None else self._accuracy(validation),
            test_accuracy=self._accuracy(self.split.test),
            seconds=time.perf_counter() - started,
        )

    def _train_epoch(self, epoch: int) -> tuple[float, float]:
        """Return mean loss and accuracy over the training images, as seen while training."""
        self.network.train()
        train = self.split.train
        draws = EpochDraws.draw(
            self.protocol,
            seed=self.seed,
            epoch=epoch,
            images=len(train),
            image_size=(train.pixels.shape[-2], train.pixels.shape[-1]),
        )
        # Sums stay on the device: reading one each step would stall a GPU.
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for step in draws.steps():
            labels = train.labels[step.order.to(self.device)]
            loss, logits = self._step(step, labels, draws.keep_probability)
            loss_sum += loss.detach() * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum()
        return loss_sum.item() / len(train), correct.item() / len(train)

    def _step(
        self, step: StepDraws, labels: Tensor, keep_probability: float
    ) -> tuple[Tensor, Tensor]:
        """Take one optimiser step; return its loss () and logits (B, classes) before the step."""
        images = training_batch(
            self.split.train.pixels, step, self.protocol, self.split.info, self.dtype
        )
        keep = None
        if step.keep_masks is not None:
            keep = step.keep_masks.to(self.device, self.dtype) / keep_probability
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            output = self.network(images, keep)
            logits, auxiliary = output if isinstance(output, tuple) else (output, None)
            loss = cross_entropy(logits, labels)
            if auxiliary is not None:
                loss = loss + self.protocol.auxiliary_weight * cross_entropy(auxiliary, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.protocol.gradient_clip)
        self.optimizer.step()
        return loss, logits

    @torch.no_grad()
    def _accuracy(self, images: Images) -> float:
        """Return the fraction of these images that the network classifies correctly."""
        self.network.eval()
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for start in range(0, len(images), EVALUATION_BATCH):
            chosen = slice(start, start + EVALUATION_BATCH)
            batch = normalise(images.pixels[chosen], self.split.info, self.dtype)
            with self._autocast():
                logits = self.network(batch)
            correct += (logits.argmax(dim=1) == images.labels[chosen]).sum()
        return correct.item() / len(images)

    def _autocast(self) -> torch.autocast:
        return autocast(self.protocol, self.device)


def autocast(protocol: NetworkTraining, device: torch.device) -> torch.autocast:
    """Return the context in which a network of this protocol computes."""
    enabled = protocol.precision == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
