"""Blocks of parameters by the names of `EvalNetwork`, and the convolutions that they stand for.

Letters: B batch, K models, H and W pixels, N = B * H * W, I and O channels of a model in and out,
S slots that are summed. Maps are (B, H, W, K, channels).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from nas_core.networks.kernels.pointwise import Moments, normalised_by, pointwise_norm
from nas_core.networks.packs.packing import Block, Packing


class Norm(NamedTuple):
    """A 1x1 convolution with its batch norm: blocks of parameters and of running statistics."""

    weight: Block
    scale: Block
    offset: Block
    statistics: Block


class Reduce(NamedTuple):
    """A `FactorizedReduce`: each half of its channels has a convolution of its own."""

    even: Block
    odd: Block
    scale: Block
    offset: Block
    statistics: Block


class Memory:
    """Lays out what `EvalNetwork` calls by name in blocks of all models."""

    def __init__(self, models: int, shapes: Mapping[str, torch.Size]) -> None:
        self.parameters = Packing(models, shapes)
        self.statistics = Packing(models, shapes)

    def norm(self, *names: tuple[str, str]) -> Norm:
        """Append blocks of convolutions and their batch norms, S of them a model."""
        convolutions, norms = zip(*names, strict=True)
        return Norm(
            weight=self.parameters.block(*(f"{name}.weight" for name in convolutions)),
            scale=self.parameters.block(*(f"{name}.weight" for name in norms)),
            offset=self.parameters.block(*(f"{name}.bias" for name in norms)),
            statistics=self.statistics.block(*(f"{name}.running_mean" for name in norms)),
        )

    def reduce(self, name: str) -> Reduce:
        """Append the blocks of a `FactorizedReduce`."""
        return Reduce(
            even=self.parameters.block(f"{name}.conv_even.weight"),
            odd=self.parameters.block(f"{name}.conv_odd.weight"),
            scale=self.parameters.block(f"{name}.bn.weight"),
            offset=self.parameters.block(f"{name}.bn.bias"),
            statistics=self.statistics.block(f"{name}.bn.running_mean"),
        )


class Pass:
    """One pass through the network: what its blocks hold now, and what batch norms see in it.

    Args:
        blocks: of the parameters.
        running: means and variances of the blocks of statistics; None normalises by the batch.

    """

    def __init__(self, blocks: Sequence[Tensor], running: Sequence[Moments] | None) -> None:
        self.blocks = blocks
        self.running = running
        self.seen: dict[int, tuple[Moments, int]] = {}
        """Moments and how many pixels they are of, by the number of a block of statistics."""

    def norm(
        self,
        norm: Norm,
        maps: Sequence[Tensor],
        *,
        joined: bool = False,
        relu: bool = False,
        keep: Tensor | None = None,
    ) -> Tensor:
        """Return the sum of S maps (B, H, W, K, I), each convolved and normalised.

        Args:
            norm: of S slots.
            maps: one a slot.
            joined: all models read the same map (K = 1), so they are one model K * O wide.
            relu: of the sum.
            keep: (B, K, S) multipliers of each term and image.

        Returns:
            (B, H, W, K, O).

        """
        blocks = (self.blocks[block.number] for block in (norm.weight, norm.scale, norm.offset))
        parts = [part.flatten(3) if part.ndim > 3 else part for part in blocks]
        if joined:
            parts = [part.reshape(1, 1, -1, *part.shape[3:]) for part in parts]
        y, moments = self._norm(norm, parts, maps, relu=relu, keep=keep)
        if moments is not None:
            self.seen[norm.statistics.number] = moments, maps[0].shape[:3].numel()
        return y.view(*maps[0].shape[:3], norm.weight.shape[0], -1)

    def halved(self, reduce: Reduce, x: Tensor, *, relu: bool = False) -> Tensor:
        """Return what a `FactorizedReduce` makes of x after its ReLU, (B, H, W, K, I).

        `relu` is of the result.
        """
        height, width = x.shape[1:3]
        shifted = pad(x[:, 1:, 1:], (0, 0, 0, 0, 0, width % 2, 0, height % 2))
        maps = [part[:, ::2, ::2] for part in (x, shifted)]
        scale, offset = (self.blocks[b.number].chunk(2, 2) for b in (reduce.scale, reduce.offset))
        weights = [self.blocks[block.number].flatten(3) for block in (reduce.even, reduce.odd)]
        halves = [
            self._norm(reduce, parts, [each], half=half, relu=relu)
            for half, (*parts, each) in enumerate(zip(weights, scale, offset, maps, strict=True))
        ]
        ys, moments = zip(*halves, strict=True)
        if self.running is None:
            means, inverses = (torch.cat(part, 2) for part in zip(*moments, strict=True))
            self.seen[reduce.statistics.number] = (
                Moments(means, inverses),
                maps[0].shape[:3].numel(),
            )
        shape = *maps[0].shape[:3], reduce.scale.shape[0]
        return torch.cat([y.view(*shape, -1) for y in ys], dim=4)

    def _norm(
        self,
        norm: Norm | Reduce,
        parts: Sequence[Tensor],
        maps: Sequence[Tensor],
        *,
        relu: bool = False,
        keep: Tensor | None = None,
        half: int | None = None,
    ) -> tuple[Tensor, Moments | None]:
        """Return rows (N, K, O), and in training the moments; `half` is of a norm's channels."""
        weight, scale, offset = parts
        inputs = [each.reshape(-1, *each.shape[3:]) for each in maps]
        if self.running is None:
            return pointwise_norm(inputs, weight, scale, offset, relu=relu, keep=keep)
        running = self.running[norm.statistics.number]
        if half is not None:
            mean, inverse = (part.chunk(2, 2)[half] for part in running)
        else:
            mean, inverse = (part.reshape(scale.shape) for part in running)
        moments = Moments(mean, inverse)
        return normalised_by(inputs, weight, scale, offset, moments, relu=relu), None
