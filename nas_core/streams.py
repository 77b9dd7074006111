"""The random streams: every random tensor has a key, never a place in a sequence.

Initial weights are keyed by (seed, parameter name), an epoch's draws by (seed, epoch, purpose).
All are drawn on the CPU, so they do not depend on device, worker, topology or what was trained
before. Letters: N training images, S steps an epoch, B batch size.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nas_core.protocols.training import NetworkTraining, Protocol

EDGE_SLOTS = 8
"""Edges of a cell with four nodes; slots 2 * n and 2 * n + 1 are those of its node n everywhere."""


def generator(*key: str | int) -> torch.Generator:
    """Return a CPU generator that depends on this key alone."""
    return torch.Generator().manual_seed(key_number(*key))


def key_number(*key: str | int) -> int:
    """Return 64 bits that depend on this key alone."""
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def initialise_(network: nn.Module, seed: int, *, purpose: str = "weights") -> None:
    """Draw every parameter from PyTorch's default distribution, keyed by its name.

    Args:
        network: its batch norms forget what they have seen.
        seed: of the training or search.
        purpose: names another stream, such as a later stage's.

    Raises:
        TypeError: a module holds parameters for which no default is known here.

    """
    for prefix, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            _initialise_linear_map_(module, prefix, (purpose, seed))
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            if module.affine:
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
        elif any(True for _ in module.parameters(recurse=False)):
            raise TypeError(f"no default initialisation is known for {type(module).__name__}")


def _initialise_linear_map_(
    module: nn.Conv2d | nn.Linear, prefix: str, key: tuple[str, int]
) -> None:
    """Draw U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weight and bias, as PyTorch's layers do."""
    bound = 1 / math.sqrt(module.weight[0].numel())
    for name, parameter in module.named_parameters(recurse=False):
        stream = generator(*key, f"{prefix}.{name}")
        drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=stream)
        with torch.no_grad():
            parameter.copy_(drawn)


@dataclass(frozen=True)
class Draws:
    """Every random tensor of one epoch, drawn at its start on the CPU, or those of one step of it.

    `order` (N,) is a permutation of the training images; `offsets` (N, 2: row, column), `flips`
    (N,) and `cutout_centres` (N, 2) belong to positions in that order; `keep`
    (S, cells, EDGE_SLOTS, B) is True where a path of a sample is kept. Each is None where the
    protocol does not use it. A step has B positions instead of N, and its `keep` no S.
    """

    order: Tensor
    offsets: Tensor | None
    flips: Tensor | None
    cutout_centres: Tensor | None
    keep: Tensor | None
    keep_probability: float
    batch_size: int

    @classmethod
    def draw(
        cls,
        protocol: NetworkTraining,
        *,
        seed: int,
        epoch: int,
        images: int,
        image_size: tuple[int, int],
        role: str = "",
    ) -> Draws:
        """Draw the streams of `epoch` (from 0) for `images` images of (height, width).

        `role` names streams of their own for other images of the same epoch, such as those of
        the alpha steps. Only a cell's training drops paths.
        """

        def stream(purpose: str) -> torch.Generator:
            return generator(f"{role}{purpose}", seed, epoch)

        shifts = 2 * protocol.crop_padding + 1
        centres = (
            torch.randint(size, (images,), generator=stream(f"cutout {axis}"))
            for axis, size in enumerate(image_size)
        )
        keep_probability = 1 - drop_path_probability(protocol, epoch)
        steps = math.ceil(images / protocol.batch_size)
        mask_shape = (steps, protocol.cells, EDGE_SLOTS, protocol.batch_size)
        return cls(
            order=torch.randperm(images, generator=stream("order")),
            offsets=torch.randint(shifts, (images, 2), generator=stream("crop"))
            if protocol.crop_padding
            else None,
            flips=torch.rand(images, generator=stream("flip")) < 0.5 if protocol.flip else None,
            cutout_centres=torch.stack(tuple(centres), dim=1) if protocol.cutout else None,
            keep=torch.rand(mask_shape, generator=stream("drop path")) < keep_probability
            if keep_probability < 1
            else None,
            keep_probability=keep_probability,
            batch_size=protocol.batch_size,
        )

    def to(self, device: torch.device | str) -> Draws:
        """Return the same on a device, where no step has to copy anything then."""
        tensors: dict[str, Any] = {
            name: each.to(device) for name, each in vars(self).items() if isinstance(each, Tensor)
        }
        return replace(self, **tensors)

    def steps(self) -> Iterator[Draws]:
        """Yield the draws of each step of an epoch; the last batch may be smaller."""
        for step, start in enumerate(range(0, len(self.order), self.batch_size)):
            chosen = slice(start, start + self.batch_size)
            order = self.order[chosen]
            yield replace(
                self,
                order=order,
                offsets=None if self.offsets is None else self.offsets[chosen],
                flips=None if self.flips is None else self.flips[chosen],
                cutout_centres=None if self.cutout_centres is None else self.cutout_centres[chosen],
                keep=None if self.keep is None else self.keep[step, ..., : len(order)],
            )


def drop_path_probability(protocol: NetworkTraining, epoch: int) -> float:
    """Return DARTS' linear schedule: p * epoch / epochs, so 0 in epoch 0 and never quite p."""
    if not isinstance(protocol, Protocol):
        return 0.0
    return protocol.drop_path * epoch / protocol.epochs
