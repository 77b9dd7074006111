"""Depthwise convolutions of stride 1, with gradients by the forms that a CPU computes fastest.

Letters: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from nas_core.networks.kernels.switch import as_multiplied

_TINY: Final = 4
"""Pixels of a map up to which its weight gradient is a sum over pairs of pixels: oneDNN takes 20
times as long at 2x2 (960 channels, one thread)."""


def depthwise(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """Convolve: (B, C, H, W) and (C, 1, k, k) -> (B, C, H, W), zeros around it."""
    y: Tensor = _Depthwise.apply(as_multiplied(x), as_multiplied(weight), dilation)
    return y


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dilation: int) -> Tensor:  # noqa: ANN401 - PyTorch's
        ctx.dilation = dilation
        ctx.save_for_backward(x, weight)
        return _convolved(x, weight, dilation)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        (g,) = gradients
        wants_x, wants_weight, _ = ctx.needs_input_grad
        return (
            _convolved(g, weight.flip(2, 3), ctx.dilation) if wants_x else None,
            _weight_gradient(g, x, weight, ctx.dilation) if wants_weight else None,
            None,
        )


def _convolved(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    return conv2d(x, weight, None, 1, _padding(weight, dilation), dilation, len(weight))


def _padding(weight: Tensor, dilation: int) -> int:
    return dilation * (weight.shape[2] - 1) // 2


def _weight_gradient(g: Tensor, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    if x.shape[2] * x.shape[3] <= _TINY:
        return _by_pairs(g, x, weight, dilation)
    around = _padding(weight, dilation)
    _, of_weight, _ = torch.ops.aten.convolution_backward(
        g,
        x,
        weight,
        None,
        [1, 1],
        [around, around],
        [dilation, dilation],
        False,
        [0, 0],
        len(weight),
        [False, True, False],
    )
    return of_weight


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
