"""The candidate operations of a DARTS cell, after the code that Liu et al. (2019) released.

Letters: B batch, C channels, H and W pixels. Every operation maps (B, C, H, W) to
(B, C, ceil(H / stride), ceil(W / stride)). `affine` says whether batch norm has a scale and an
offset: yes in evaluation networks, no in the cells of a search network. `layers` are the forms of
PyTorch's layers that an operation is built of; faster ones are in `kernels/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from torch import Tensor, cat, nn
from torch.nn.functional import pad

from nas_core.cells.genotype import OPERATION_NAMES

Builder = Callable[[int, int, bool], nn.Module]
"""(channels, stride, affine) -> operation."""


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The classes that operations are built of: PyTorch's own, or subclasses of them."""

    depthwise: type[nn.Conv2d] = nn.Conv2d
    pointwise: type[nn.Conv2d] = nn.Conv2d
    batch_norm: type[nn.BatchNorm2d] = nn.BatchNorm2d
    max_pool: type[nn.MaxPool2d] = nn.MaxPool2d
    avg_pool: type[nn.AvgPool2d] = nn.AvgPool2d


PYTORCH: Final = Layers()


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
        layers: Layers = PYTORCH,
    ) -> None:
        super().__init__()
        if channels_out % 2:
            raise ValueError(f"channels_out must be even, got {channels_out}")
        self.relu = nn.ReLU()
        half = channels_out // 2
        self.conv_even = nn.Conv2d(channels_in, half, kernel_size=1, stride=2, bias=False)
        self.conv_odd = nn.Conv2d(channels_in, half, kernel_size=1, stride=2, bias=False)
        self.bn = layers.batch_norm(channels_out, affine=affine)

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
        layers: Layers,
    ) -> None:
        stages = [
            Stage(
                layers.depthwise(
                    channels,
                    channels,
                    kernel_size=kernel,
                    stride=stride,
                    padding=dilation * (kernel - 1) // 2,
                    dilation=dilation,
                    groups=channels,
                    bias=False,
                ),
                layers.pointwise(channels, channels, kernel_size=1, bias=False),
                layers.batch_norm(channels, affine=affine),
            )
            for stride in strides
        ]
        super().__init__(*(module for stage in stages for module in (nn.ReLU(), *stage)))
        self.stages = stages


class NormalisedPool(nn.Sequential):
    """Pooling as a search uses it, followed by batch norm: (B, C, H, W) -> (B, C, H', W')."""

    def __init__(self, pool: nn.Module, channels: int) -> None:
        super().__init__(pool, nn.BatchNorm2d(channels, affine=False))


def builders(layers: Layers) -> Mapping[str, Builder]:
    """Return how to build each operation of these layers, by the name that genotypes use."""

    def average_pool(_channels: int, stride: int, _affine: bool) -> nn.Module:
        """Average over the real pixels only: padding does not count."""
        return layers.avg_pool(3, stride=stride, padding=1, count_include_pad=False)

    def skip(channels: int, stride: int, affine: bool) -> nn.Module:
        """Return the identity, or where the map halves a FactorizedReduce, which learns."""
        if stride == 1:
            return nn.Identity()
        return FactorizedReduce(channels, channels, affine=affine, layers=layers)

    def separable(kernel: int) -> Builder:
        return lambda c, stride, affine: Convolution(
            c, kernel, (stride, 1), affine=affine, layers=layers
        )

    def dilated(kernel: int) -> Builder:
        return lambda c, stride, affine: Convolution(
            c, kernel, (stride,), dilation=2, affine=affine, layers=layers
        )

    return MappingProxyType(
        {
            "none": lambda _c, stride, _affine: Zero(stride),
            "max_pool_3x3": lambda _c, stride, _affine: layers.max_pool(3, stride, padding=1),
            "avg_pool_3x3": average_pool,
            "skip_connect": skip,
            "sep_conv_3x3": separable(3),
            "sep_conv_5x5": separable(5),
            "dil_conv_3x3": dilated(3),
            "dil_conv_5x5": dilated(5),
        }
    )


OPS: Final = builders(PYTORCH)
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
