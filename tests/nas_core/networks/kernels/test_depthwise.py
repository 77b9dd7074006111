"""Depthwise convolutions have the values and gradients of PyTorch's own, for every shape."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from nas_core.networks.kernels import switch
from nas_core.networks.kernels.depthwise import depthwise

SIZES = ((8, 8), (6, 10), (7, 7), (5, 8), (4, 4), (2, 2), (1, 3), (1, 1), (4, 1))
close = functools.partial(torch.testing.assert_close, rtol=1e-9, atol=1e-10)


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the faster form of every map, however small."""
    monkeypatch.setattr(switch, "GRADIENTS_FROM", 0)


def maps(channels: int, size: tuple[int, int], dtype: torch.dtype = torch.float64) -> Tensor:
    source = torch.Generator().manual_seed(channels)
    x = torch.randn(3, channels, *size, generator=source, dtype=dtype)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def results(y: Tensor, *leaves: Tensor) -> list[Tensor]:
    towards = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
    return [y, *torch.autograd.grad(y, leaves, towards)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_values_and_gradients_are_pytorchs(
    kernel: int, dilation: int, stride: int, size: tuple[int, int]
) -> None:
    x = maps(4, size)
    weight = torch.randn(4, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    mine = depthwise(x, weight, stride=stride, dilation=dilation)
    plain = conv2d(x, weight, None, stride, dilation * (kernel // 2), dilation, 4)
    close(results(mine, x, weight), results(plain, x, weight))


@pytest.mark.parametrize("channels", [*range(1, 9), 12, 16])
def test_in_single_precision_too_for_every_number_of_channels(channels: int) -> None:
    for kernel, dilation, stride in ((5, 1, 1), (5, 1, 2), (3, 2, 1), (5, 2, 1)):
        x = maps(channels, (8, 8), torch.float32)
        weight = torch.randn(channels, 1, kernel, kernel, requires_grad=True)
        mine = depthwise(x, weight, stride=stride, dilation=dilation)
        padding = dilation * (kernel // 2)
        plain = conv2d(x.contiguous(), weight, None, stride, padding, dilation, channels)
        torch.testing.assert_close(
            results(mine, x, weight), results(plain, x, weight), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("wanted", ["x", "weight"])
def test_only_the_gradient_that_is_asked_for_is_computed(wanted: str) -> None:
    x, weight = maps(2, (8, 8)), torch.randn(2, 1, 5, 5, dtype=torch.float64)
    leaf = x if wanted == "x" else weight.requires_grad_()
    x.requires_grad_(wanted == "x")
    mine, plain = depthwise(x, weight), conv2d(x, weight, None, 1, 2, 1, 2)
    close(results(mine, leaf), results(plain, leaf))


def test_small_maps_take_pytorchs_own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "GRADIENTS_FROM", 2**62)
    x, weight = maps(2, (8, 8)), torch.randn(2, 1, 5, 5, dtype=torch.float64)
    y = depthwise(x, weight)
    assert torch.equal(y, conv2d(x, weight, None, 1, 2, 1, 2))
    assert y.grad_fn is not None
    assert y.grad_fn.name() == "ConvolutionBackward0"


@pytest.mark.parametrize("side", [2, 8])
def test_mixed_precision_is_near_to_pytorchs_own_in_single(side: int) -> None:
    x, weight = maps(4, (side, side), torch.float32), torch.randn(4, 1, 5, 5, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = depthwise(x, weight)
    assert y.dtype == torch.bfloat16
    for mine, plain in zip(
        results(y.float(), x, weight),
        results(conv2d(x, weight, None, 1, 2, 1, 4), x, weight),
        strict=True,
    ):
        assert (mine - plain).norm() < 0.02 * plain.norm()


@pytest.mark.parametrize("side", [2, 4])
def test_a_channel_that_is_not_finite_leaves_the_others_as_they_are(side: int) -> None:
    x = maps(6, (side, side))
    weight = torch.randn(6, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    (alone,) = torch.autograd.grad(depthwise(x, weight).square().sum(), [weight])
    with torch.no_grad():
        x[1, 2, 0, 1] = torch.inf

    (gradient,) = torch.autograd.grad(depthwise(x, weight).square().sum(), [weight])

    others = [number for number in range(6) if number != 2]
    assert torch.equal(gradient[others], alone[others])
    assert not gradient[2].isfinite().all()
