"""The candidate operations of a DARTS cell, after the code that Liu et al. (2019) released.

Letters: B batch, C channels, H and W pixels. Every operation maps (B, C, H, W) to
(B, C, ceil(H / stride), ceil(W / stride)). `affine` says whether batch norm has a scale and an
offset: yes in evaluation networks, no in the cells of a search network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from torch import Tensor, cat, nn
from torch.nn.functional import pad

from nas_core.cells.genotype import OPERATION_NAMES

Builder = Callable[[int, int, bool], nn.Module]
"""(channels, stride, affine) -> operation."""


class Zero(nn.Module):
    """No connection: (B, C, H, W) -> zeros (B, C, ceil(H / stride), ceil(W / stride))."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros, whatever x holds; no gradient flows back."""
        strided = x[:, :, :: self.stride, :: self.stride]
        return strided.new_zeros(()).expand_as(strided)


class ReluConvBn(nn.Sequential):
    """ReLU, 1x1 convolution, batch norm: (B, C_in, H, W) -> (B, C_out, H, W)."""

    def __init__(self, channels_in: int, channels_out: int, *, affine: bool = True) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels_in, channels_out, kernel_size=1, bias=False),
            nn.BatchNorm2d(channels_out, affine=affine),
        )


class FactorizedReduce(nn.Module):
    """Halve the map without losing pixels: (B, C_in, H, W) -> (B, C_out, ceil(H/2), ceil(W/2)).

    ReLU, two stride-2 1x1 convolutions, the second on the map shifted by one pixel down and
    right, concatenated, batch norm. Odd sizes read one row and column of zeros past the edge,
    as the padded 3x3 operations beside it do.

    Raises:
        ValueError: an odd number of output channels.

    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        affine: bool = True,
    ) -> None:
        super().__init__()
        if channels_out % 2:
            raise ValueError(f"channels_out must be even, got {channels_out}")
        self.relu = nn.ReLU()
        half = channels_out // 2
        self.conv_even = nn.Conv2d(channels_in, half, kernel_size=1, stride=2, bias=False)
        self.conv_odd = nn.Conv2d(channels_in, half, kernel_size=1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(channels_out, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve the even and the odd pixels and concatenate the channels."""
        x = self.relu(x)
        height, width = x.shape[-2:]
        shifted = x[:, :, 1:, 1:]
        if height % 2 or width % 2:
            shifted = pad(shifted, (0, width % 2, 0, height % 2))
        return self.bn(cat([self.conv_even(x), self.conv_odd(shifted)], dim=1))


class Stage(NamedTuple):
    """The layers of one stage of a convolution; a ReLU stands before them."""

    depthwise: nn.Conv2d
    pointwise: nn.Conv2d
    norm: nn.BatchNorm2d


class Convolution(nn.Sequential):
    """(ReLU, depthwise and pointwise convolution, batch norm), once for each of the strides.

    A separable convolution has the strides (stride, 1), a dilated one (stride,) and dilation 2.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        strides: tuple[int, ...],
        *,
        dilation: int = 1,
        affine: bool,
    ) -> None:
        stages = [
            Stage(
                nn.Conv2d(
                    channels,
                    channels,
                    kernel_size=kernel,
                    stride=stride,
                    padding=dilation * (kernel - 1) // 2,
                    dilation=dilation,
                    groups=channels,
                    bias=False,
                ),
                nn.Conv2d(channels, channels, kernel_size=1, bias=False),
                nn.BatchNorm2d(channels, affine=affine),
            )
            for stride in strides
        ]
        super().__init__(*(module for stage in stages for module in (nn.ReLU(), *stage)))

    @property
    def stages(self) -> list[Stage]:
        """What stands behind each ReLU."""
        layers: list[Any] = list(self)
        return [Stage(*layers[start : start + 3]) for start in range(1, len(layers), 4)]


class NormalisedPool(nn.Sequential):
    """Pooling as a search uses it, followed by batch norm: (B, C, H, W) -> (B, C, H', W')."""

    def __init__(self, pool: nn.Module, channels: int) -> None:
        super().__init__(pool, nn.BatchNorm2d(channels, affine=False))


def _average_pool(_channels: int, stride: int, _affine: bool) -> nn.Module:
    """Average over the real pixels only: padding does not count."""
    return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)


def _skip(channels: int, stride: int, affine: bool) -> nn.Module:
    """Return the identity, or where the map halves a FactorizedReduce, which learns."""
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine=affine)


def _separable(kernel: int) -> Builder:
    return lambda c, stride, affine: Convolution(c, kernel, (stride, 1), affine=affine)


def _dilated(kernel: int) -> Builder:
    return lambda c, stride, affine: Convolution(c, kernel, (stride,), dilation=2, affine=affine)


OPS: Final[Mapping[str, Builder]] = MappingProxyType(
    {
        "none": lambda _c, stride, _affine: Zero(stride),
        "max_pool_3x3": lambda _c, stride, _affine: nn.MaxPool2d(3, stride, padding=1),
        "avg_pool_3x3": _average_pool,
        "skip_connect": _skip,
        "sep_conv_3x3": _separable(3),
        "sep_conv_5x5": _separable(5),
        "dil_conv_3x3": _dilated(3),
        "dil_conv_5x5": _dilated(5),
    }
)
"""How to build each operation, by its name in genotypes: (channels, stride, affine) -> module.

Every module maps (B, C, H, W) to (B, C, ceil(H / stride), ceil(W / stride)); `affine` says whether
batch norm has a scale and an offset. After Liu et al. (2019) and their `operations.py`.

>>> import torch
>>> from nas_core import OPS
>>> separable = OPS["sep_conv_3x3"](8, 2, True)
>>> tuple(separable(torch.zeros(4, 8, 32, 32)).shape)
(4, 8, 16, 16)
"""

assert tuple(OPS) == OPERATION_NAMES, "genotypes and builders must know the same operations"  # noqa: S101
