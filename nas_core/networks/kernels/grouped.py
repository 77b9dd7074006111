"""A 1x1 convolution and the batch norm behind it, for many models of few channels at once.

Matrices of 4 x 4 leave a processor idle. So models side by side share one convolution, whose
weights are their matrices along a diagonal: more products, most of them with zeros, but each at
full speed, and maps stay as they are in memory. A zero times what is not finite is not zero: where
that happens, its model is taken out first, and the others get what they get otherwise, bit for bit.

Letters: B batch, H and W pixels, K models, M maps of each model that are summed, I and O channels
in and out. Columns (see `kernels/columns.py`) are M * K, the model innermost.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

from nas_core.networks.kernels.columns import as_images, as_maps
from nas_core.networks.kernels.switch import as_multiplied

EPS: Final = 1e-5
"""Added to a variance, as PyTorch's batch norm does by default."""

_WIDTH: Final = 16
"""Channels that a processor's vector holds: groups that fill it are computed fastest."""
_WIDEST_OUT: Final = 32
_WIDEST_IN: Final = 64


def grouped_norm(
    d: Tensor,
    weight: Tensor,
    scale: Tensor,
    offset: Tensor,
    *,
    relu: bool,
    keep: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum over M of norm(map W^T), and what the batch norms saw.

    Args:
        d: the maps, (B, H, W, M * K, I).
        weight: (M, K, O, I).
        scale: of the batch norms, (M, K, O).
        offset: of the batch norms, (M, K, O).
        relu: of the sum.
        keep: (B, M, K) multipliers of each map and image.

    Returns:
        (B, H, W, K, O); mean and 1 / sqrt(biased variance + EPS) of each batch norm, (M * K * O,)
        each, through which no gradient flows.

    """
    y, mean, inverse = _GroupedNorm.apply(
        relu, keep, as_multiplied(d).contiguous(), weight, scale, offset
    )
    return y, mean, inverse


def grouped_sum(d: Tensor, weight: Tensor, shift: Tensor, *, is_finite: bool = True) -> Tensor:
    """Return the sum over M of map W^T + shift.

    Args:
        d: the maps, (B, H, W, M * K, I).
        weight: (M, K, O, I).
        shift: (M, K, O).
        is_finite: whether all maps are: else those that are not are computed apart.

    Returns:
        (B, H, W, K, O).

    """
    d = as_multiplied(d).contiguous()
    y = products(d, _diagonal(weight.to(d.dtype)), is_finite=is_finite)
    return _summed(y, len(weight)) + shift.sum(0).to(y.dtype)


class _GroupedNorm(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 - autograd takes no names
        ctx: Any,  # noqa: ANN401 - PyTorch's
        relu: bool,
        keep: Tensor | None,
        d: Tensor,
        weight: Tensor,
        scale: Tensor,
        offset: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        terms = len(weight)
        diagonal = _diagonal(weight.to(d.dtype))
        p = products(d, diagonal)
        z, mean, inverse = _normalised(p, scale, offset)
        if len(diagonal) < d.shape[3] and not _is_finite(mean):
            p = products(d, diagonal, is_finite=False)
            z, mean, inverse = _normalised(p, scale, offset)
        if keep is not None:
            z.mul_(keep.flatten(1)[:, None, None, :, None])
        y = _summed(z, terms)
        if relu:
            y.relu_()
        ctx.relu = relu
        result = y if relu else None
        ctx.save_for_backward(keep, d, p, weight, diagonal, scale, mean, inverse, result)
        ctx.mark_non_differentiable(mean, inverse)
        return y, mean, inverse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        keep, d, p, weight, diagonal, scale, mean, inverse, y = ctx.saved_tensors
        if gradients[0] is None:
            return (None,) * 6
        g = gradients[0].contiguous()
        if ctx.relu:
            g = torch.ops.aten.threshold_backward(g, y, 0)
        terms = len(weight)
        if terms > 1:
            g = torch.cat([g] * terms, dim=3)
        if keep is not None:
            g = g * keep.flatten(1)[:, None, None, :, None].to(g.dtype)
        of_p, of_scale, of_offset = torch.ops.aten.native_batch_norm_backward(
            as_images(g),
            as_images(p),
            scale.flatten(),
            None,
            None,
            mean,
            inverse,
            True,
            EPS,
            [True, True, True],
        )
        of_p = as_maps(of_p, g.shape[3])
        of_d = None
        if ctx.needs_input_grad[2]:
            is_finite = len(diagonal) == d.shape[3] or _is_finite(of_p)
            of_d = products(of_p, diagonal.transpose(1, 2), is_finite=is_finite)
        of_weight = _outer(of_p, d, len(diagonal)).view(weight.shape).to(weight.dtype)
        shape = scale.shape
        return None, None, of_d, of_weight, of_scale.view(shape), of_offset.view(shape)


def together(columns: int, out: int, width: int) -> int:
    """Return how many of some columns, O and I channels wide, are convolved as one."""
    fitting = [
        count
        for count in range(1, columns + 1)
        if columns % count == 0 and count * out <= _WIDEST_OUT and count * width <= _WIDEST_IN
    ]
    full = [count for count in fitting if count * out % _WIDTH == 0]
    return min(full) if full else max(fitting, default=1)


def products(x: Tensor, diagonal: Tensor, *, is_finite: bool = True) -> Tensor:
    """Return maps (B, H, W, columns, O) of matrices on diagonals, (groups, m * O, m * I).

    `is_finite` says that all of x is: else columns that are not are computed apart.
    """
    groups, out, _ = diagonal.shape
    columns = x.shape[3]
    if groups == columns and _batched_pays(x, out):
        rows = x.flatten(0, 2).transpose(0, 1)
        y = torch.bmm(rows, diagonal.transpose(1, 2)).transpose(0, 1).contiguous()
        return y.view(*x.shape[:4], out)
    weight = diagonal.reshape(groups * out, -1, 1, 1)
    if is_finite:
        return as_maps(conv2d(as_images(x), weight, groups=groups), columns)
    lost = ~x.isfinite().all(4).flatten(0, 2).all(0)[:, None]
    y = conv2d(as_images(x.masked_fill(lost, 0)), weight, groups=groups)
    return as_maps(y, columns).masked_fill(lost, math.nan)


def _batched_pays(x: Tensor, out: int) -> bool:
    """Whether matrices, one a column, are faster as a batch of products than as a convolution."""
    if x.device.type != "cpu":
        return True
    # On a CPU a batched product of bfloat16 copies what it reads.
    return x.shape[3] > 1 and out >= _WIDTH and x.dtype != torch.bfloat16


def _summed(z: Tensor, terms: int) -> Tensor:
    """(B, H, W, M * K, O) -> the sum over M, (B, H, W, K, O)."""
    if terms == 1:
        return z
    first, second, *others = z.chunk(terms, dim=3)
    y = first + second
    for other in others:
        y.add_(other)
    return y


def _diagonal(weight: Tensor) -> Tensor:
    """(M, K, O, I) -> (groups, m * O, m * I): the matrices of a group along the diagonal.

    Not on a GPU, which computes small products at the speed of its memory.
    """
    out, width = weight.shape[2:]
    columns = weight.shape[:2].numel()
    count = together(columns, out, width) if weight.device.type == "cpu" else 1
    if count == 1:
        return weight.flatten(0, 1)
    matrices = weight.reshape(-1, count, out, width)
    blocks = weight.new_zeros(len(matrices), count, out, count, width)
    blocks.diagonal(dim1=1, dim2=3).copy_(matrices.permute(0, 2, 3, 1))
    return blocks.flatten(3).flatten(1, 2)


def _outer(g: Tensor, d: Tensor, groups: int) -> Tensor:
    """Return g^T d of each column: (B, H, W, columns, O) and (..., I) -> (columns, O, I)."""
    columns, out, width = g.shape[3], g.shape[4], d.shape[4]
    left, right = (part.view(-1, groups, columns // groups * part.shape[4]) for part in (g, d))
    if groups == 1:
        blocks = torch.mm(left[:, 0].T, right[:, 0])[None]
    elif g.dtype == torch.bfloat16 and g.device.type == "cpu":
        blocks = _convolution_weight_gradient(left, right)
    else:
        blocks = torch.bmm(left.permute(1, 2, 0), right.transpose(0, 1))
    count = columns // groups
    if count == 1:
        return blocks
    each = blocks.view(groups, count, out, count, width).diagonal(dim1=1, dim2=3)
    return each.permute(0, 3, 1, 2).reshape(columns, out, width)


def _convolution_weight_gradient(g: Tensor, d: Tensor) -> Tensor:
    """Return g^T d of each group: (N, groups, m * O) and (N, groups, m * I) -> (groups, ...)."""
    groups, out, width = *g.shape[1:], d.shape[2]
    images = (part.flatten(1).T[None, :, :, None] for part in (g, d))
    _, blocks, _ = torch.ops.aten.convolution_backward(
        *images,
        g.new_empty(groups * out, width, 1, 1),
        None,
        *([1, 1], [0, 0], [1, 1], False, [0, 0], groups, [False, True, False]),
    )
    return blocks.view(groups, out, width)


def _normalised(p: Tensor, scale: Tensor, offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    z, mean, inverse = torch.native_batch_norm(
        as_images(p), scale.flatten(), offset.flatten(), None, None, True, 0.0, EPS
    )
    return as_maps(z, p.shape[3]), mean, inverse


def _is_finite(x: Tensor) -> bool:
    return math.isfinite(x.sum().item())
