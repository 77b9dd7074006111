"""A 1x1 convolution and the batch norm behind it, for several models at once.

Maps may come in several tensors; what is done for one of them is in `kernels/grouped.py`.

Letters: B batch, H and W pixels, K models, M maps of each model that are summed, I and O channels
in and out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nas_core.networks.kernels.grouped import grouped_norm, grouped_sum


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
    counts = [each.shape[3] // weight.shape[1] for each in maps]
    parts = zip(maps, folded.split(counts), shift.split(counts), strict=True)
    first, *others = (grouped_sum(*part, is_finite=is_finite) for part in parts)
    y = sum(others, first)
    return y.relu_() if relu else y
