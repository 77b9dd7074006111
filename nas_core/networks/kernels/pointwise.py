"""A 1x1 convolution and the batch norm behind it, for several models at once.

For large maps both are one function. What a batch norm needs is in the moments of the convolution's
input d: with p = d W^T, mean(p) = W mean(d) and cov(p) = W cov(d) W^T. So the input is read twice,
the normalised output is written once, and p never exists; forwards and backwards the rest is
algebra on matrices of C x C. Where outputs are summed at a node, the sum is taken in the same
product. For small maps, where the number of operations decides, see `kernels/grouped.py`.

Letters: B batch, H and W pixels, N = B * H * W, K models, M maps of each model that are summed, I
and O channels in and out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nas_core.networks.kernels.grouped import EPS, grouped_norm, grouped_sum
from nas_core.networks.kernels.switch import moments_pay

_PARTS = 64


class Moments(NamedTuple):
    """What a batch norm sees, (M, K, O) each: `inverse` is 1 / sqrt(biased variance + EPS)."""

    mean: Tensor
    inverse: Tensor


def pointwise_norm(
    maps: Sequence[Tensor],
    weight: Tensor,
    scale: Tensor,
    offset: Tensor,
    *,
    relu: bool = False,
    keep: Tensor | None = None,
) -> tuple[Tensor, Moments]:
    """Return the sum over M of norm(map W^T), normalised by this batch, and the moments.

    Args:
        maps: M * K of them, M outermost, in tensors (B, H, W, some, I).
        weight: (M, K, O, I).
        scale: of the batch norm, (M, K, O).
        offset: of the batch norm, (M, K, O).
        relu: of the sum.
        keep: (B, M, K) multipliers of each map and image.

    Returns:
        (B, H, W, K, O), and the moments, through which no gradient flows.

    """
    if not moments_pay(maps[0], weight.shape[2]):
        return _apart(maps, weight, scale, offset, relu=relu, keep=keep)
    weight, scale, offset = (each.transpose(0, 1) for each in (weight, scale, offset))
    if keep is not None:
        keep = keep.transpose(1, 2)
    y, mean, inverse = _PointwiseNorm.apply(
        relu, keep, weight, scale, offset, *_rows(maps, len(weight))
    )
    moments = Moments(mean.transpose(0, 1), inverse.transpose(0, 1))
    return y.view(*maps[0].shape[:3], *y.shape[1:]), moments


def _apart(
    maps: Sequence[Tensor],
    weight: Tensor,
    scale: Tensor,
    offset: Tensor,
    *,
    relu: bool,
    keep: Tensor | None,
) -> tuple[Tensor, Moments]:
    """Return the same with a batch norm after the convolution, one tensor of maps at a time."""
    if len(maps) == 1:
        y, mean, inverse = grouped_norm(maps[0], weight, scale, offset, relu=relu, keep=keep)
        return y, Moments(mean.view(scale.shape), inverse.view(scale.shape))
    counts = [each.shape[3] // weight.shape[1] for each in maps]
    parts = zip(*(each.split(counts) for each in (weight, scale, offset)), strict=True)
    kept = [None] * len(maps) if keep is None else keep.split(counts, dim=1)
    sums, means, inverses = zip(
        *(
            grouped_norm(d, *part, relu=False, keep=each)
            for d, part, each in zip(maps, parts, kept, strict=True)
        ),
        strict=True,
    )
    seen = (torch.cat(each).view(scale.shape) for each in (means, inverses))
    total: Tensor = sum(sums[1:], sums[0])
    return total.relu_() if relu else total, Moments(*seen)


def normalised_by(
    maps: Sequence[Tensor],
    weight: Tensor,
    scale: Tensor,
    offset: Tensor,
    moments: Moments,
    *,
    relu: bool = False,
    is_finite: bool = True,
) -> Tensor:
    """Return the same normalised by moments that are given, as in evaluation.

    `is_finite` says that all maps are, which large ones need not be.
    """
    factor = scale * moments.inverse
    shift = offset - moments.mean * factor
    folded = weight * factor[..., None]
    if moments_pay(maps[0], weight.shape[2]):
        folded = folded.transpose(0, 1)
        y = _products(_rows(maps, len(folded)), folded, shift.sum(0))
        y = y.view(*maps[0].shape[:3], *y.shape[1:])
    else:
        counts = [each.shape[3] // weight.shape[1] for each in maps]
        parts = zip(maps, folded.split(counts), shift.split(counts), strict=True)
        first, *others = (grouped_sum(*part, is_finite=is_finite) for part in parts)
        y = sum(others, first)
    return y.relu_() if relu else y


def _rows(maps: Sequence[Tensor], models: int) -> list[Tensor]:
    """Return M maps as rows of pixels, (N, K, I) each."""
    rows = (each.flatten(0, 2) for each in maps)
    return [part for each in rows for part in each.split(models, dim=1)]


def _products(inputs: Sequence[Tensor], weight: Tensor, shift: Tensor) -> Tensor:
    """Return the sum over s of inputs[s] W_s^T, plus a shift (K, O): (N, K, O)."""
    first, *others = (
        (d.transpose(0, 1), weight[:, s].transpose(1, 2).to(d.dtype)) for s, d in enumerate(inputs)
    )
    total = torch.bmm(*first)  # (K, N, O)
    for d, w in others:
        total.baddbmm_(d, w)
    return _shifted(total, shift)


def _shifted(total: Tensor, shift: Tensor) -> Tensor:
    """Add (K, O) to (K, N, O), which is lost, and put the models inside: (N, K, O)."""
    models, pixels, channels = total.shape
    if models == 1:
        return total.add_(shift.to(total.dtype)).transpose(0, 1)
    if total.requires_grad:  # in evaluation, where autograd looks on
        return (total.transpose(0, 1) + shift).contiguous()
    y = total.new_empty(pixels, models, channels)
    return torch.add(total.transpose(0, 1), shift.to(total.dtype), out=y)


class _PointwiseNorm(torch.autograd.Function):
    """See `pointwise_norm`; here the maps are S rows of pixels, (N, K, I), the weight (K, S, O, I).

    Backwards, with g the gradient of y, x = (p - mean(p)) / sd the normalised p and f = scale / sd:
    sum(g), sum(g x) and sum(p^T g) all follow from g^T d, (O, I). The gradient of p is
    f (g - mean(g) - x mean(g x)), and x = (d - mean(d)) W^T / sd, so that of d is
    g (f W) - (d - mean(d)) M - mean(g) (f W) with M = W^T (f mean(g x) / sd) W.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd takes no names
        ctx: Any,  # noqa: ANN401 - PyTorch's
        relu: bool,
        keep: Tensor | None,
        weight: Tensor,
        scale: Tensor,
        offset: Tensor,
        *inputs: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        count = len(inputs[0])
        centre, covariance = _means_and_covariances(inputs)
        w_cov = weight @ covariance  # (K, S, O, I)
        mean = (weight @ centre)[..., 0]
        variance = (w_cov * weight).sum(-1).clamp_min_(0)
        inverse = torch.rsqrt(variance + EPS)
        factor = scale * inverse
        folded = weight * factor[..., None]
        shift = torch.addcmul(offset, mean, factor, value=-1)
        if keep is None:
            y = _products(inputs, folded, shift.sum(1))
        else:
            kept = [_kept(d, keep[..., s]) for s, d in enumerate(inputs)]
            y = _products(kept, folded, torch.zeros_like(shift[:, 0]))
            shifts = torch.einsum("bks,kso->bko", keep, shift)
            y.view(len(keep), -1, *y.shape[1:]).add_(shifts[:, None])
        if relu:
            y.relu_()
        ctx.relu, ctx.count = relu, count
        result = y if relu else None
        ctx.save_for_backward(
            keep, weight, centre, w_cov, mean, inverse, factor, folded, result, *inputs
        )
        ctx.mark_non_differentiable(mean, inverse)
        return y, mean, inverse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        keep, weight, centre, w_cov, mean, inverse, factor, folded, y, *inputs = ctx.saved_tensors
        g = gradients[0]
        if ctx.relu:
            g = torch.ops.aten.threshold_backward(g, y, 0)
        outer = g.transpose(0, 1).transpose(1, 2)  # (K, O, N)
        kept = inputs if keep is None else [_kept(d, keep[..., s]) for s, d in enumerate(inputs)]
        g_d = torch.stack([torch.bmm(outer, d.transpose(0, 1)) for d in kept], 1).to(weight.dtype)
        if keep is None:
            g_sum = _pixel_sums(g.to(weight.dtype))[:, None]  # (K, 1, O)
        else:
            per_image = g.view(len(keep), -1, *g.shape[1:]).sum(1, dtype=weight.dtype)
            g_sum = torch.einsum("bks,bko->kso", keep, per_image)
        g_x = ((g_d * weight).sum(-1) - mean * g_sum) * inverse  # (K, S, O): of scale
        w_mean = g_sum / ctx.count
        of_weight = torch.addcmul(g_d, g_sum[..., None], centre.transpose(2, 3), value=-1)
        of_weight.addcmul_((g_x * inverse)[..., None], w_cov, value=-1).mul_(factor[..., None])
        of_inputs: list[Tensor | None] = [None] * len(inputs)
        if any(ctx.needs_input_grad[5:]):
            along = weight * (factor * inverse * g_x / -ctx.count)[..., None]
            m = weight.transpose(2, 3) @ along  # (K, S, I, I): minus M
            constant = -(centre.transpose(2, 3) @ m + (w_mean[..., None, :] @ folded))
            for s, d in enumerate(inputs):
                by_model = torch.bmm(g.transpose(0, 1), folded[:, s].to(g.dtype))  # (K, N, I)
                if keep is not None:
                    images = by_model.view(len(by_model), len(keep), -1, d.shape[-1])
                    images.mul_(keep[..., s].T[:, :, None, None].to(g.dtype))
                by_model.baddbmm_(d.transpose(0, 1), m[:, s].to(d.dtype))
                of_inputs[s] = _shifted(by_model, constant[:, s, 0])
        of_offset = g_sum.expand_as(g_x)
        return None, None, of_weight, g_x, of_offset, *of_inputs


def _means_and_covariances(inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """S times (N, K, I) -> means (K, S, I, 1) and biased covariances (K, S, I, I).

    Of one model the pixels are added up in parts, and those in float64: the covariance is a
    difference of sums that are much larger where the mean is far from zero.
    """
    count, models, channels = inputs[0].shape
    # Fewer parts of wide maps: their matrices would be larger than the maps.
    most = min(_PARTS, max(count // (8 * channels), 1))
    parts = math.gcd(count, 2 ** int(math.log2(most))) if models == 1 else 1
    ones = inputs[0].new_ones(1, 1, count // parts).expand(parts * models, -1, -1)
    sums = []
    for d in inputs:
        maps = d.reshape(parts, -1, models, channels).transpose(1, 2).flatten(0, 1)
        sums += [torch.bmm(maps.transpose(1, 2), maps), torch.bmm(ones, maps)]  # by part and model
    of_all = torch.cat(sums, dim=1).double().unflatten(0, (parts, models)).sum(0) / count
    of_all = of_all.unflatten(1, (len(inputs), channels + 1))  # (K, S, I + 1, I)
    second, mean = of_all[:, :, :-1], of_all[:, :, -1:]
    covariance = second - mean.transpose(2, 3) * mean
    return mean.transpose(2, 3).to(inputs[0].dtype), covariance.to(inputs[0].dtype)


def _pixel_sums(x: Tensor) -> Tensor:
    """(N, K, C) -> (K, C); as a product, for a CPU sums few columns slowly."""
    return (x.new_ones(1, len(x)) @ x.reshape(len(x), -1)).view(x.shape[1:])


def _kept(d: Tensor, keep: Tensor) -> Tensor:
    """Multiply (N, K, I) by (B, K), an image a row."""
    images = d.view(len(keep), -1, *d.shape[1:])
    return (images * keep[:, None, :, None].to(d.dtype)).view_as(d)
