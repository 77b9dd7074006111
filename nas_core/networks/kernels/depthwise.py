"""Depthwise convolutions of channels-last maps, with gradients that a CPU computes faster.

PyTorch 2.14 with oneDNN is slow at some gradients that supernets and packs are full of: weight
gradients of 5x5 kernels and of tiny maps, and both gradients of dilated ones. The form here gives
the same values up to the order in which floats are added; benchmarks/switches.py measures it. All
other gradients are PyTorch's own, which are as fast or faster.
Letters: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, pad

from nas_core.networks.kernels.switch import as_multiplied, gradients_pay

_TILE: Final = 3  # columns of a kernel up to which oneDNN computes weight gradients fast
_SMALL: Final = 4  # columns of a map up to which it does not
_TINY: Final = 4
"""Pixels of a map up to which its weight gradient is a sum over pairs of pixels: oneDNN takes 20
times as long at 2x2 (960 channels, one thread)."""


def depthwise(x: Tensor, weight: Tensor, *, stride: int = 1, dilation: int = 1) -> Tensor:
    """Convolve each channel by itself, padded so that only the stride makes the map smaller.

    Args:
        x: (B, C, H, W).
        weight: (C, 1, k, k), k odd.
        stride: 1 or 2.
        dilation: 1 or 2.

    Returns:
        (B, C, ceil(H / stride), ceil(W / stride)), differentiable once where gradients are ours.

    """
    if stride == dilation == 2:  # then only even pixels are read
        x = x[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last)
        stride = dilation = 1
    is_slow = weight.shape[-1] > _TILE or dilation > 1 or _is_tiny(x)
    if is_slow and gradients_pay(x):
        y: Tensor = _Depthwise.apply(as_multiplied(x), as_multiplied(weight), stride, dilation)
        return y
    return _convolved(x, weight, stride, dilation)


def _is_tiny(x: Tensor) -> bool:
    return x.shape[2] * x.shape[3] <= _TINY


def _convolved(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    padding = dilation * (weight.shape[-1] // 2)
    return conv2d(x, weight, None, stride, padding, dilation, len(weight))


class _Depthwise(torch.autograd.Function):
    """See `depthwise`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:  # noqa: ANN401 - PyTorch's
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation
        return _convolved(x, weight, stride, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, *_ = ctx.needs_input_grad
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_x = of_weight = None
        if wants_x and ctx.stride == 1:
            of_x = _convolved(gradient, weight.flip(2, 3), 1, ctx.dilation)
        elif wants_x:
            of_x = _gradient(gradient, x, weight, ctx.stride, of_weight=False)
        if wants_weight and ctx.stride == 1 and _is_tiny(x):
            of_weight = _by_pairs(gradient, x, weight, ctx.dilation)
        elif wants_weight:
            if ctx.dilation == 2:
                # Pixels of one residue only meet each other: each residue is an image of its own.
                gradient, x = _residues_apart(gradient), _residues_apart(x)
            of_weight = _weight_gradient(gradient, x, weight, ctx.stride)
        return of_x, of_weight, None, None


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Return (C, 1, k, k); of 5x5 kernels from two of 5x3 that share the middle column.

    oneDNN is fast up to three columns, however many rows: 5x5 took it 20 to 35 times as long as
    5x3 (one thread, maps of 8x8 to 32x32).
    """
    if weight.shape[-1] <= _TILE:
        return _gradient(gradient, x, weight, stride, of_weight=True)
    if stride == 1 and x.shape[-1] <= _SMALL:
        gradient, x = pad(gradient, (0, 2, 0, 2)), pad(x, (0, 2, 0, 2))

    def tile(left: int, right: int) -> Tensor:
        """Return (C, 1, 5, 3), read from x after `left` and `right` columns of zeros are added."""
        padded = pad(x, (left, right))
        return _gradient(gradient, padded, weight[..., :_TILE], stride, of_weight=True, columns=0)

    return torch.cat([tile(2, 0), tile(0, 2)[..., 1:]], dim=3)


def _gradient(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: int,
    *,
    of_weight: bool,
    columns: int | None = None,
) -> Tensor:
    """Return PyTorch's gradient of the weight, or of x; `columns` of padding instead of usual."""
    rows = weight.shape[-2] // 2
    padding = [rows, weight.shape[-1] // 2 if columns is None else columns]
    of_x, of_kernel, _ = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [stride, stride], padding, [1, 1], False, [0, 0], len(weight),
        [not of_weight, of_weight, False],
    )  # fmt: skip
    return of_kernel if of_weight else of_x


def _residues_apart(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (4 * B, C, ceil(H / 2), ceil(W / 2)), channels last, with zeros at odd ends.

    Image by image: pixels of even rows and columns, then odd columns, odd rows, and odd both.
    """
    height, width = x.shape[-2:]
    if height % 2 or width % 2:
        x = pad(x, (0, width % 2, 0, height % 2))
    split = x.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    return split.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)


def _by_pairs(g: Tensor, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """Multiply what was read at each pixel with what each pixel asks for."""
    height, width = x.shape[2:]
    read, asked = (part.permute(0, 2, 3, 1).flatten(1, 2) for part in (x, g))  # (B, P, C)
    pairs = (read[:, :, None] * asked[:, None]).sum(0).flatten(0, 1)  # (P * P, C)
    taps = _taps(height, width, weight.shape[2], dilation).to(pairs)
    return (taps @ pairs).T.reshape(weight.shape)


@lru_cache(maxsize=64)
def _taps(height: int, width: int, kernel: int, dilation: int) -> Tensor:
    """Return 1 where a tap joins two pixels, (k * k, P * P); what is read comes first."""
    pixels = [(row, column) for row in range(height) for column in range(width)]
    taps = torch.zeros(kernel, kernel, len(pixels), len(pixels))
    for read, (y, x) in enumerate(pixels):
        for asked, (row, column) in enumerate(pixels):
            down, rest_down = divmod(y - row, dilation)
            right, rest_right = divmod(x - column, dilation)
            down, right = down + kernel // 2, right + kernel // 2
            if not (rest_down or rest_right) and 0 <= down < kernel and 0 <= right < kernel:
                taps[down, right, read, asked] = 1
    return taps.flatten(2).flatten(0, 1)
