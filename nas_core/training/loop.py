"""The loop of epochs that training and search share: it can stop and go on after any of them.

What differs, the network and the steps of an epoch, is in `training.py` and `search.py`, and of
several at once in `pack.py` and `search_pack.py`. All randomness comes from `streams.py`, so the
epochs are a pure function of what a loop is given and, in float32, of the threads that add numbers
up. Letters: B batch, K models.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nas_core.data.augmentation import normalise, training_batch
from nas_core.data.splits import Images
from nas_core.errors import InputError
from nas_core.networks.stack import check_image_size, last_map
from nas_core.protocols.data import DatasetInfo
from nas_core.protocols.training import NetworkTraining
from nas_core.streams import Draws, initialise_
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.compiled import Compiled
from nas_core.training.epochs import Epoch, PackEpoch, SearchPackEpoch, Steps
from nas_core.training.optimizers import Sgd

DTYPES: Final = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.float32,
    "tf32": torch.float32,
}
"""Of weights, by the precision of the protocol: bfloat16 is for the maps alone, and tf32 for the
factors of products."""

STEPS_SECONDS: Final = 5.0
"""An epoch that takes less is not told of before its end."""
_FEWEST_STEPS: Final = 3
"""So many are timed before a loop tells how long its first epoch takes."""

_FEWEST_EVALUATED, _MOST_EVALUATED = 64, 512
"""Images that are classified together."""
_CACHED_VALUES: Final = 2**20
"""Of one map of all images together; a CPU is up to twice as slow with more."""

StepResult = tuple[Tensor, Tensor, Tensor]
"""Loss () or (K,), logits (..., B, classes) and labels (..., B) of a step, as seen before it."""

E = TypeVar("E", bound=Epoch | PackEpoch | SearchPackEpoch)
N = TypeVar("N", bound=nn.Module)


class Loop(ABC, Generic[E]):
    """Epochs on the device that holds the images that weights learn on; `epochs` runs them.

    A subclass sets what its `build` needs, then calls this constructor, which builds and, where a
    checkpoint is there, goes on from it. `epoch_type` is what an epoch gives.
    """

    network: nn.Module
    forward: Callable[..., Any]
    """The network, or its `Compiled` form."""
    optimizer: Sgd
    compiled: bool = False
    """Whether steps run the `Compiled` form of the network; numbers then differ by rounding."""

    def __init__(
        self,
        epoch_type: type[E],
        protocol: NetworkTraining,
        images: Images,
        info: DatasetInfo,
        *,
        seed: int,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.protocol = protocol
        self.info = info
        self.seed = seed
        self.device = images.pixels.device
        check_precision(protocol.precision, self.device.type)
        self.dtype = DTYPES[protocol.precision]
        self.checkpoint = checkpoint
        self.history: list[E] = []
        """All epochs so far, those that the checkpoint held first."""
        self._tells_steps = True
        self._first_step_ended = 0.0
        saved = None if checkpoint is None else checkpoint.load()
        if saved is not None:
            self.history = [epoch_type(**epoch) for epoch in saved[1]]
        self.build(max(len(self.history) - 1, 0))
        if saved is not None:
            self.restore(saved[0])

    @property
    def models(self) -> int:
        """How many the network is made of."""
        return 1

    @property
    def evaluation_batch(self) -> int:
        """How many images are classified together: few, where more would leave a CPU's cache."""
        fitting = _MOST_EVALUATED // self.models
        if self.device.type == "cpu":
            height, width = self.info.image_size
            fitting = _CACHED_VALUES // (self.models * self.protocol.init_channels * height * width)
        return min(max(fitting, _FEWEST_EVALUATED), _MOST_EVALUATED)

    @abstractmethod
    def build(self, epoch: int) -> None:
        """Set `network` and `optimizer` as this epoch (from 0) needs them, see `ready`."""

    @abstractmethod
    def run_epoch(self, epoch: int) -> Generator[Steps, None, E]:
        """Run one epoch (counted from 0), yield what `told` does and return what it gave."""

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Classify normalised images (B, 3, H, W): logits (B, classes)."""

    @abstractmethod
    def facts(self) -> dict[str, int | str | None]:
        """Return the columns of a row that its epochs do not tell, by name."""

    @property
    def diverged(self) -> bool:
        """Whether the loss stopped being finite, which ends the loop: it is a result."""
        return bool(self.history) and self.history[-1].diverged

    @property
    def stopped_because(self) -> str | None:
        """Why the loop ended before its last epoch, in words; None where it did not."""
        return None

    def epochs(self) -> Iterator[E]:
        """Yield the epochs that the checkpoint held, then run the others, each as it ends."""
        yield from tuple(self.history)
        yield from (report for report in self.reports() if not isinstance(report, Steps))

    def reports(self) -> Iterator[E | Steps]:
        """Run the epochs that are left, yield each as it ends and what `told` does before."""
        for epoch in range(len(self.history), self.protocol.total_epochs):
            if self.diverged or self.stopped_because is not None:
                return
            self.history.append((yield from self.run_epoch(epoch)))
            self._tells_steps = False
            if self.checkpoint is not None and self.checkpoint.is_due:
                self.checkpoint.save(self.tensors(), [asdict(past) for past in self.history])
            yield self.history[-1]

    def told(self, step: int, of: float) -> Iterator[Steps]:
        """Yield how far the first epoch is, once, after some steps and seconds of it.

        The first step warms up and is not timed. Nothing is waited for: a GPU may still be at
        work on the last steps that are counted.

        Args:
            step: steps of the epoch so far, from 1.
            of: its work, in steps.

        """
        if not self._tells_steps:
            return
        now = time.perf_counter()
        if step == 1:
            self._first_step_ended = now
        seconds = now - self._first_step_ended
        if step > _FEWEST_STEPS and seconds >= STEPS_SECONDS:
            self._tells_steps = False
            yield Steps(share=step / of, epoch_seconds=of * seconds / (step - 1))

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that the next epoch depends on, by name."""
        state = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        return state | self.optimizer.tensors()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned."""
        state = {name: tensors[f"network.{name}"] for name in self.network.state_dict()}
        self.network.load_state_dict(state)
        self.optimizer.restore(tensors)

    def ready(self, network: N, *, purpose: str = "weights") -> N:
        """Draw a network's weights, move it to the device and give it a new optimiser."""
        initialise_(network, self.seed, purpose=purpose)
        return self.optimised(network)

    def optimised(self, network: N) -> N:
        """Move a network to the device and give it a new optimiser."""
        network.to(self.device, self.dtype)
        self.optimizer = Sgd(
            dict(network.named_parameters()),
            learning_rate=self.protocol.learning_rate,
            momentum=self.protocol.momentum,
            weight_decay=self.protocol.weight_decay,
        )
        self.forward = Compiled(network, self.protocol) if self.compiled else network
        return network

    def begin(self, epoch: int) -> float:
        """Prepare network and optimiser for the steps of an epoch; return its learning rate."""
        rate = learning_rate(self.protocol, epoch % self.protocol.epochs)
        self.optimizer.learning_rate = rate
        self.network.train()
        # Else GPUs round the inputs of convolutions to TF32, whatever the protocol says.
        rounds = self.protocol.precision == "tf32"
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = rounds
        return rate

    def draws(
        self, images: Images, epoch: int, *, role: str = "", seed: int | None = None
    ) -> Draws:
        """Return what is random in an epoch over these images, by default for the loop's seed.

        See `Draws.draw`; it is on the loop's device.
        """
        height, width = images.pixels.shape[-2:]
        draws = Draws.draw(
            self.protocol,
            seed=self.seed if seed is None else seed,
            epoch=epoch,
            images=len(images),
            image_size=(height, width),
            role=role,
        )
        return draws.to(self.device)

    def batch(self, images: Images, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return a step's augmented images (B, 3, H, W) and labels (B,)."""
        batch = training_batch(images.pixels, draws, self.protocol, self.info, self.dtype)
        return batch, images.labels[draws.order]

    def autocast(self) -> torch.autocast:
        """Return the context in which the network computes."""
        enabled = self.protocol.precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

    def descend(self, loss: Tensor) -> None:
        """Take one step of the weights down the clipped gradient of this loss ()."""
        loss.backward()
        self.update()

    def update(self) -> None:
        """Take one step of the weights down the clipped gradient that they have, and forget it."""
        self.clip()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def clip(self) -> None:
        """Bring the gradient of the weights to the protocol's greatest norm."""
        parameters = self.optimizer.parameters.values()
        torch.nn.utils.clip_grad_norm_(parameters, self.protocol.gradient_clip)

    def accuracy(self, images: Images, logits: Callable[[Tensor], Tensor] | None = None) -> float:
        """Return the fraction of these images that the network classifies correctly.

        `logits` takes the place of the method of that name, in evaluation mode like it.
        """
        return float(self.accuracies(images, logits))

    @torch.no_grad()
    def accuracies(
        self, images: Images, logits: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Return the same as a float64 tensor (), or (K,) where `logits` has K models."""
        classify = logits or self.logits
        self.network.eval()
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for start in range(0, len(images), self.evaluation_batch):
            chosen = slice(start, start + self.evaluation_batch)
            batch = normalise(images.pixels[chosen], self.info, self.dtype)
            with self.autocast():
                chosen_classes = classify(batch).argmax(dim=-1)
            correct = correct + (chosen_classes == images.labels[chosen]).sum(dim=-1)
        return correct.double() / len(images)


def losses_by_model(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross entropy of each model: (K, B, classes), (K, B) -> (K,)."""
    each = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return each.view(labels.shape).mean(1)


def learning_rate(protocol: NetworkTraining, epoch: int) -> float:
    """Return the cosine schedule, stepped once an epoch: epoch 0 has the full initial rate."""
    swing = protocol.learning_rate - protocol.learning_rate_min
    return (
        protocol.learning_rate_min + swing * (1 + math.cos(math.pi * epoch / protocol.epochs)) / 2
    )


def check_precision(precision: str, device: str) -> None:
    """Refuse a precision that a device ('cpu' or 'cuda') does not have.

    Raises:
        InputError: names both, and what there is.

    """
    if precision == "tf32" and device != "cuda":
        raise InputError(
            f"precision=tf32 is a GPU's, and this runs on the {device.upper()}: use "
            "precision=float32, or bfloat16"
        )


def check_images(
    images: Images,
    protocol: NetworkTraining,
    *,
    cells: int,
    auxiliary: bool = False,
    called: str,
    setting: str,
) -> None:
    """Refuse images for weights that would fail in the middle of a loop over so many cells.

    Errors say what the images are `called` and which `setting` changes their number.

    Raises:
        InputError: images too small for the depth, or a batch of one image whose maps are one
            pixel (an auxiliary head's always are): its batch norm has no variance.

    """
    height, width = images.pixels.shape[-2:]
    check_image_size(height, width, cells=cells, auxiliary=auxiliary)
    lone_image = len(images) % protocol.batch_size == 1 or protocol.batch_size == 1
    if lone_image and (auxiliary or last_map(height, width, cells=cells) == (1, 1)):
        raise InputError(
            f"{len(images)} {called} in batches of {protocol.batch_size} leave a batch of one "
            f"image, whose 1x1 maps batch norm cannot normalise: change batch_size or {setting}"
        )
