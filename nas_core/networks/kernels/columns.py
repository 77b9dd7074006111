"""Maps of many models side by side: as images of PyTorch's layers, and gathered by model.

A column is one map of one model; maps are (B, H, W, columns, C), letters as in PyTorch's layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_WIDE: Final = (torch.complex128, torch.int64, torch.int32, torch.int16)
"""Types as which a column's values are copied, several at once; nothing is computed in them."""


def as_images(x: Tensor) -> Tensor:
    """(B, H, W, columns, C) -> (B, columns * C, H, W), channels last: a view."""
    return x.flatten(3).permute(0, 3, 1, 2)


def as_maps(x: Tensor, columns: int) -> Tensor:
    """(B, columns * C, H, W) -> (B, H, W, columns, C): a view of what is channels last."""
    return x.permute(0, 2, 3, 1).contiguous().unflatten(3, (columns, -1))


def selected(x: Tensor, numbers: Sequence[int], dim: int = 0) -> Tensor:
    """Return these entries of a dimension, each of them once."""
    return x.index_select(dim, _index_on(x.device, tuple(numbers)))


@lru_cache(maxsize=1024)
def _index_on(device: torch.device, numbers: tuple[int, ...]) -> Tensor:
    """Return numbers as a tensor; kept, because a copy to a GPU in every step would stall it."""
    with torch.inference_mode(mode=False):  # else training could not use it later
        return torch.tensor(numbers, device=device)


def gathered(x: Tensor, places: Tensor) -> Tensor:
    """Return some columns of x, each of them once: (B, H, W, columns, C) -> (..., len(places), C).

    Args:
        x: contiguous.
        places: the columns to read, int64, no two of them equal.

    """
    y: Tensor = _Gathered.apply(x, places)
    return y


class _Gathered(torch.autograd.Function):
    """Copies columns as few wide numbers: PyTorch's own gather takes a call for every float."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor) -> Tensor:  # noqa: ANN401 - PyTorch's
        ctx.columns = x.shape[3]
        ctx.save_for_backward(places)
        rows = _wide(x)
        chosen = rows.gather(1, _expanded(rows, places, ctx.columns))
        return chosen.view(x.dtype).view(*x.shape[:3], len(places), x.shape[4])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        (places,) = ctx.saved_tensors
        g = gradients[0].contiguous()
        of_x = g.new_zeros(*g.shape[:3], ctx.columns, g.shape[4])
        rows = _wide(of_x)
        rows.scatter_(1, _expanded(rows, places, ctx.columns), _wide(g))
        return of_x, None


def halves(x: Tensor) -> Tensor:
    """Return pixels of even rows and columns, and those of odd ones: (B, H', W', 2 * columns, C).

    Both of a column are beside each other. Where the last row or column has no odd partner, that
    is zero: H' and W' are half of H and W, rounded up.
    """
    y: Tensor = _Halves.apply(x)
    return y


class _Halves(torch.autograd.Function):
    """Writes each gradient once, where slices would add up maps of zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401 - PyTorch's
        ctx.shape = x.shape
        batch, height, width, columns, channels = x.shape
        y = x.new_empty(batch, -(-height // 2), -(-width // 2), columns, 2, channels)
        y[..., 0, :] = x[:, ::2, ::2]
        odd = y[:, : height // 2, : width // 2, :, 1]
        odd.copy_(x[:, 1::2, 1::2])
        y[:, height // 2 :, :, :, 1] = 0
        y[:, :, width // 2 :, :, 1] = 0
        return y.flatten(3, 4)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        _, height, width, columns, _ = ctx.shape
        both = gradients[0].unflatten(3, (columns, 2))
        of_x = both.new_zeros(ctx.shape)
        of_x[:, ::2, ::2] = both[..., 0, :]
        of_x[:, 1::2, 1::2] = both[:, : height // 2, : width // 2, :, 1]
        return of_x


def _wide(x: Tensor) -> Tensor:
    """Return a contiguous map as rows of pixels, in the widest numbers that fill a column."""
    size = x.shape[4] * x.element_size()
    dtype = next(dtype for dtype in _WIDE if size % dtype.itemsize == 0)
    return x.view(-1, x.shape[3] * x.shape[4]).view(dtype)


def _expanded(rows: Tensor, places: Tensor, columns: int) -> Tensor:
    """Return where the numbers of each of the columns are, in every row."""
    width = rows.shape[1] // columns
    wide = places if width == 1 else torch.stack([places * width + n for n in range(width)], 1)
    return wide.flatten().expand(len(rows), -1)
