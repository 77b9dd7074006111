"""Layers that a CPU computes faster than PyTorch's own, which run on a GPU and for small maps.

PyTorch 2.14 with oneDNN is slow at what a supernet is full of: weight gradients of 5x5 and of
dilated depthwise convolutions, and pooling of plain (not channels-last) maps. The forms here
give the same values and gradients up to the order in which floats are added; the benchmark
`benchmarks/search_step.py` compares both. Letters: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from nas_core.networks.kernels.switch import layers_pay
from nas_core.networks.operations import Layers, builders

_TILE = 3  # columns of a kernel up to which oneDNN computes weight gradients fast
_LARGE = 5


class DepthwiseConv2d(nn.Conv2d):
    """A padded depthwise convolution: (B, C, H, W) -> (B, C, H / stride, W / stride)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's own name
        """Convolve."""
        stride, dilation = self.stride[0], self.dilation[0]
        factor = max(stride, dilation)
        if not layers_pay(input) or any(side % factor for side in input.shape[-2:]):
            return super().forward(input)
        if stride == dilation:  # both 1, or both 2: then only pixels of one residue are read
            return _depthwise(input[..., ::stride, ::stride], self.weight)
        if dilation > 1:
            # Pixels of one residue only meet each other: each residue is an image of its own.
            apart = _residues_apart(input, dilation)
            return _residues_joined(_depthwise(apart, self.weight), dilation)
        if self.kernel_size[0] == _LARGE:
            return _strided_5x5(input, self.weight)
        return super().forward(input)


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution of stride 1: (B, C_in, H, W) -> (B, C_out, H, W)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's own name
        """Convolve."""
        if not layers_pay(input):
            return super().forward(input)
        return _Pointwise.apply(input, self.weight)


class MaxPool2d(nn.MaxPool2d):
    """Max pooling through a channels-last copy, whose kernel is vectorised."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's own name
        """Pool."""
        if layers_pay(input):
            input = input.contiguous(memory_format=torch.channels_last)  # noqa: A001 - as above
        return super().forward(input).contiguous()


class AvgPool2d(nn.AvgPool2d):
    """3x3 average pooling over real pixels as a depthwise convolution and a division."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's own name
        """Pool."""
        if not layers_pay(input):
            return super().forward(input)
        channels, height, width = input.shape[1:]
        ones = input.new_ones(channels, 1, _TILE, _TILE)
        real = conv2d(input.new_ones(1, 1, height, width), ones[:1], None, self.stride, 1)
        return conv2d(input, ones, None, self.stride, 1, groups=channels) / real


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm, faster where it has no scale and offset: (B, C, H, W) -> the same."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's own name
        """Normalise, in training by the batch, and then remember its statistics."""
        is_covered = self.training and not self.affine and input.dtype != torch.bfloat16
        if not is_covered or not layers_pay(input):
            return super().forward(input)
        y, mean, variance = _BatchNorm.apply(input, self.eps)
        if self.track_running_stats and self.running_mean is not None:
            assert self.running_var is not None and self.num_batches_tracked is not None  # noqa: PT018, S101
            count = input.numel() / input.shape[1]
            momentum = 0.1 if self.momentum is None else self.momentum
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), momentum)
        return y


FAST_OPS: Final = builders(
    Layers(
        depthwise=DepthwiseConv2d,
        pointwise=PointwiseConv2d,
        batch_norm=BatchNorm2d,
        max_pool=MaxPool2d,
        avg_pool=AvgPool2d,
    )
)
"""`OPS` built of the layers above: the same parameters and buffers by the same names."""


class _Depthwise5x5(torch.autograd.Function):
    """A padded 5x5 depthwise convolution whose weight gradient is put together from 3x3 tiles."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:  # noqa: ANN401 - PyTorch's
        ctx.save_for_backward(x, weight)
        return conv2d(x, weight, padding=2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        wants_x, wants_weight = ctx.needs_input_grad
        flipped = weight.flip(2, 3)
        return (
            conv2d(gradient, flipped, padding=2, groups=len(weight)) if wants_x else None,
            _tiled_weight_gradient(gradient, x, weight) if wants_weight else None,
        )


def _tiled_weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Return (C, 1, 5, 5) from the gradients of two 5x3 kernels that share the middle column.

    oneDNN is fast up to three columns, however many rows: 5x5 took it 20 to 35 times as long as
    5x3 (one thread, maps of 8x8 to 32x32).
    """

    def tile(left: int, right: int) -> Tensor:
        """Return (C, 1, 5, 3), read from x after `left` and `right` columns of zeros are added."""
        _, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient,
            pad(x, (left, right)),
            weight[..., :_TILE],
            None,
            *([1, 1], [2, 0], [1, 1], False, [0, 0], len(weight), [False, True, False]),
        )
        return of_weight

    return torch.cat([tile(2, 0), tile(0, 2)[..., 1:]], dim=3)


class _Pointwise(torch.autograd.Function):
    """A 1x1 convolution as one matrix product an image."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:  # noqa: ANN401 - PyTorch's
        ctx.save_for_backward(x, weight)
        return _products(weight[:, :, 0, 0], x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        wants_x, wants_weight = ctx.needs_input_grad
        of_weight = None
        if wants_weight:
            products = torch.bmm(gradient.flatten(2), x.flatten(2).transpose(1, 2))
            of_weight = products.sum(0)[:, :, None, None]
        return _products(weight[:, :, 0, 0].T, gradient) if wants_x else None, of_weight


def _products(matrix: Tensor, x: Tensor) -> Tensor:
    """(O, I) and (B, I, H, W) -> (B, O, H, W)."""
    return torch.bmm(matrix.expand(len(x), -1, -1), x.flatten(2)).unflatten(2, x.shape[2:])


class _BatchNorm(torch.autograd.Function):
    """Normalisation by the batch; also returns its mean and (biased) variance, both (C,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        mean = _channel_mean(x)
        y = x - mean[:, None, None]
        squares = torch.linalg.vector_norm(y.flatten(2), dim=2).square()  # (B, C)
        variance = squares.sum(0) / (x.numel() // x.shape[1])
        scale = torch.rsqrt(variance + eps)[:, None, None]
        y.mul_(scale)
        ctx.save_for_backward(x, y, scale)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        x, y, scale = ctx.saved_tensors
        gradient = gradients[0]
        if torch.is_grad_enabled():  # for a second derivative, as functions of x
            y = x - _channel_mean(x)[:, None, None]
            scale = torch.rsqrt(_channel_mean(y * y) + ctx.eps)[:, None, None]
            y = y * scale
        along = _channel_mean(gradient * y)[:, None, None]
        rest = gradient - _channel_mean(gradient)[:, None, None]
        return torch.addcmul(rest, y, along, value=-1) * scale, None


class _WeightedSum(torch.autograd.Function):
    """The sum of weight * map: weights (N,), N maps of one shape -> that shape.

    A matrix product over stacked maps copies all of them, twice with the gradients.
    """

    @staticmethod
    def forward(ctx: Any, weights: Tensor, *maps: Tensor) -> Tensor:  # noqa: ANN401 - PyTorch's
        ctx.save_for_backward(weights, *maps)
        first, *others = maps
        total: Tensor = first * weights[0]
        for weight, x in zip(weights[1:], others, strict=True):
            total.addcmul_(x, weight)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        weights, *maps = ctx.saved_tensors
        (gradient,) = gradients
        wants_weights, *wants = ctx.needs_input_grad
        of_weights = None
        if wants_weights:
            of_weights = torch.stack([(gradient * x).sum() for x in maps])
        of_maps = (
            gradient * weight if wanted else None
            for weight, wanted in zip(weights, wants, strict=True)
        )
        return of_weights, *of_maps


def weighted_sum(weights: Tensor, maps: Sequence[Tensor]) -> Tensor:
    """Return the sum of weight * map: weights (N,), N maps of one shape -> that shape."""
    if layers_pay(maps[0]):
        return _WeightedSum.apply(weights, *maps)
    stacked = torch.stack(tuple(maps))
    if stacked.dtype == weights.dtype:
        # One product over all maps: far fewer kernels than a sum of scaled maps.
        return torch.tensordot(weights, stacked, dims=1)
    # In mixed precision a product would round the weights, which differ by 1e-4, to 8 bits.
    return (weights[:, None, None, None, None] * stacked).sum(0)


def _channel_mean(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (C,); innermost sums first, which are vectorised."""
    return x.flatten(2).sum(2).sum(0) / (x.numel() // x.shape[1])


def _depthwise(x: Tensor, weight: Tensor) -> Tensor:
    if weight.shape[-1] == _LARGE:
        return _Depthwise5x5.apply(x, weight)
    return conv2d(x, weight, padding=weight.shape[-1] // 2, groups=len(weight))


def _strided_5x5(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve with stride 2: each of the four residues with its own taps, which are 3x3."""
    even, odd = weight[..., 0::2, :], pad(weight[..., 1::2, :], (0, 0, 0, 1))
    taps = [
        part for rows in (even, odd) for part in (rows[..., 0::2], pad(rows[..., 1::2], (0, 1)))
    ]
    batch = len(x)
    apart = _residues_apart(x, 2).unflatten(0, (batch, 4)).flatten(1, 2)  # (B, 4 * C, H/2, W/2)
    y = conv2d(apart, torch.cat(taps), padding=1, groups=4 * len(weight))
    return y.unflatten(1, (4, len(weight))).sum(1)


def _residues_apart(x: Tensor, n: int) -> Tensor:
    """(B, C, H, W) -> (B * n * n, C, H / n, W / n)."""
    split = x.unflatten(3, (-1, n)).unflatten(2, (-1, n))  # (B, C, H / n, n, W / n, n)
    return split.permute(0, 3, 5, 1, 2, 4).flatten(0, 2)


def _residues_joined(x: Tensor, n: int) -> Tensor:
    """(B * n * n, C, H / n, W / n) -> (B, C, H, W)."""
    split = x.unflatten(0, (-1, n, n)).permute(0, 3, 4, 1, 5, 2)
    return split.flatten(4, 5).flatten(2, 3)
