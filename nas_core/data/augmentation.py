"""Augmentation of whole batches on the device that holds them; no per-image Python.

Letters: N images, B batch, H and W pixels. The randomness comes in as tensors, see
`streams.Draws`.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from nas_core.protocols.data import Channels, DatasetInfo
from nas_core.protocols.training import NetworkTraining
from nas_core.streams import Draws


def training_batch(
    pixels: Tensor,
    draws: Draws,
    protocol: NetworkTraining,
    info: DatasetInfo,
    dtype: torch.dtype,
) -> Tensor:
    """Return one step's images, augmented and normalised: (N, 3, H, W) uint8 -> (B, 3, H, W).

    Pixels and draws are on one device.
    """
    images = normalise(augment(pixels[draws.order], draws, protocol), info, dtype)
    if draws.cutout_centres is None:
        return images
    return cutout(images, draws.cutout_centres, protocol.cutout)


def augment(pixels: Tensor, draws: Draws, protocol: NetworkTraining) -> Tensor:
    """Crop from black-padded images, then mirror: (B, 3, H, W) uint8 -> the same.

    `draws.offsets` (B, 2) are the top row and left column of each crop in the padded image,
    0..2 * crop_padding; `draws.flips` (B,) says which crops are mirrored.
    """
    if draws.offsets is None and draws.flips is None:
        return pixels
    batch, _, height, width = pixels.shape
    device = pixels.device
    rows = torch.arange(height, device=device).expand(batch, height)
    columns = torch.arange(width, device=device).expand(batch, width)
    if draws.flips is not None:
        columns = torch.where(draws.flips[:, None], columns.flip(1), columns)
    if draws.offsets is not None:
        pixels = pad(pixels, [protocol.crop_padding] * 4)
        rows, columns = rows + draws.offsets[:, :1], columns + draws.offsets[:, 1:]
    samples = torch.arange(batch, device=device)[:, None, None]
    gathered = pixels[samples, :, rows[:, :, None], columns[:, None, :]]  # (B, H, W, 3)
    # Contiguous: a channels-last batch would switch every convolution after it to that layout,
    # in which PyTorch 2.14's CPU kernels write past their memory for some channel counts.
    return gathered.permute(0, 3, 1, 2).contiguous()


def normalise(pixels: Tensor, info: DatasetInfo, dtype: torch.dtype) -> Tensor:
    """Return (x / 255 - mean) / std per channel: (B, 3, H, W) uint8 -> `dtype`."""
    mean, std = (_channels(numbers, dtype, pixels.device) for numbers in (info.mean, info.std))
    return (pixels.to(dtype) / 255 - mean) / std


@lru_cache(maxsize=16)
def _channels(numbers: Channels, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return (3, 1, 1); kept, because a copy to a GPU in every step would stall it."""
    return torch.tensor(numbers, dtype=dtype, device=device)[:, None, None]


def cutout(images: Tensor, centres: Tensor, length: int) -> Tensor:
    """Set a square of each normalised image to 0, the mean: (B, 3, H, W) -> the same.

    The square covers [c - length // 2, c + length // 2) around `centres` (B, 2: row, column),
    clipped at the borders (DeVries and Taylor, 2017, as in the DARTS code).
    """
    height, width = images.shape[-2:]
    half = length // 2

    def inside(size: int, centre: Tensor) -> Tensor:
        pixel = torch.arange(size, device=images.device)
        return (pixel >= centre[:, None] - half) & (pixel < centre[:, None] + half)

    hole = inside(height, centres[:, 0])[:, :, None] & inside(width, centres[:, 1])[:, None, :]
    return images.masked_fill(hole[:, None], 0)
