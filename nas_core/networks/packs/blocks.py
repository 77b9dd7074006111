"""Blocks of parameters by the names of `EvalNetwork`, and the convolutions that they stand for.

Letters: B batch, K models, M maps of each model, H and W pixels, I and O channels of a model in and
out. Maps are (B, H, W, columns, channels), columns being M * K, the model innermost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nas_core.networks.kernels.columns import halves
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
        """Append blocks of convolutions and their batch norms, M of them a model."""
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
        is_finite: whether all maps are, which a pass that normalises by the batch finds out itself.

    """

    def __init__(
        self,
        blocks: Sequence[Tensor],
        running: Sequence[Moments] | None,
        *,
        is_finite: bool = True,
    ) -> None:
        self.blocks = blocks
        self.running = running
        self.is_finite = is_finite
        self.seen: dict[int, tuple[Moments, int]] = {}
        """Moments and how many pixels they are of, by the number of a block of statistics."""

    def norm(
        self,
        norm: Norm,
        maps: Sequence[Tensor],
        *,
        joined: bool = False,
        apart: bool = False,
        relu: bool = False,
        keep: Tensor | None = None,
    ) -> Tensor:
        """Return the sums of M maps of each model, each convolved and normalised: (..., K, O).

        Args:
            norm: of M maps.
            maps: their M * K columns, in one tensor or several.
            joined: all models read the same map, so they are one model K * O wide.
            apart: nothing is summed, (..., M * K, O).
            relu: of the sum.
            keep: (B, M, K) multipliers of each map and image.

        """
        weight, scale, offset = (
            self.blocks[block.number] for block in (norm.weight, norm.scale, norm.offset)
        )
        if apart:
            weight, scale, offset = (each.flatten(0, 1)[None] for each in (weight, scale, offset))
        if joined:
            weight, scale, offset = (
                each.flatten(1, 2)[:, None] for each in (weight, scale, offset)
            )
        y = self._normalised(norm.statistics, maps, weight.flatten(3), scale, offset, relu, keep)
        return y.view(*y.shape[:3], norm.weight.shape[1], -1) if joined else y

    def halved(self, reduce: Reduce, x: Tensor, *, relu: bool = False) -> Tensor:
        """Return what a `FactorizedReduce` makes of x after its ReLU, (B, H, W, K, I).

        Each half of its channels is a model of its own here. `relu` is of the result.
        """
        models = x.shape[3]
        even, odd = (self.blocks[block.number].flatten(3) for block in (reduce.even, reduce.odd))
        weight = torch.stack([even, odd], dim=2).flatten(1, 2)
        scale, offset = (
            self.blocks[block.number].view(1, 2 * models, -1)
            for block in (reduce.scale, reduce.offset)
        )
        y = self._normalised(reduce.statistics, [halves(x)], weight, scale, offset, relu, None)
        return y.view(*y.shape[:3], models, -1)

    def _normalised(  # noqa: PLR0917 - each is another thing
        self,
        statistics: Block,
        maps: Sequence[Tensor],
        weight: Tensor,
        scale: Tensor,
        offset: Tensor,
        relu: bool,
        keep: Tensor | None,
    ) -> Tensor:
        """Normalise by what the models remember, or by the batch, and then note what was seen."""
        if self.running is not None:
            mean, inverse = (each.view(scale.shape) for each in self.running[statistics.number])
            moments = Moments(mean, inverse)
            return normalised_by(
                maps, weight, scale, offset, moments, relu=relu, is_finite=self.is_finite
            )
        y, moments = pointwise_norm(maps, weight, scale, offset, relu=relu, keep=keep)
        self.seen[statistics.number] = moments, y.shape[:3].numel()
        return y
