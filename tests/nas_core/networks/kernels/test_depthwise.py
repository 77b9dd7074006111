"""Depthwise convolutions have PyTorch's values and gradients, for maps of every size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from nas_core.networks.kernels.depthwise import depthwise

CHANNELS = 6


def drawn(*shape: int) -> Tensor:
    x = torch.randn(*shape, dtype=torch.float64)
    if x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    return x.requires_grad_()


@pytest.mark.parametrize("sides", [(1, 1), (2, 2), (1, 3), (4, 1), (3, 3), (8, 5)])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_values_and_gradients_are_pytorchs(
    sides: tuple[int, int], kernel: int, dilation: int
) -> None:
    torch.manual_seed(0)
    x, weight = drawn(3, CHANNELS, *sides), drawn(CHANNELS, 1, kernel, kernel)
    towards = torch.randn(3, CHANNELS, *sides, dtype=torch.float64)

    y = depthwise(x, weight, dilation)
    around = dilation * (kernel - 1) // 2
    expected = conv2d(x, weight, None, 1, around, dilation, CHANNELS)

    torch.testing.assert_close(y, expected)
    ours = torch.autograd.grad((y * towards).sum(), [x, weight])
    theirs = torch.autograd.grad((expected * towards).sum(), [x, weight])
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference)


@pytest.mark.parametrize("side", [2, 4])
def test_a_channel_that_is_not_finite_leaves_the_others_as_they_are(side: int) -> None:
    torch.manual_seed(0)
    x, weight = drawn(3, CHANNELS, side, side), drawn(CHANNELS, 1, 3, 3)
    (alone,) = torch.autograd.grad(depthwise(x, weight, 1).square().sum(), [weight])
    with torch.no_grad():
        x[1, 2, 0, 1] = torch.inf

    (gradient,) = torch.autograd.grad(depthwise(x, weight, 1).square().sum(), [weight])

    others = [number for number in range(CHANNELS) if number != 2]
    assert torch.equal(gradient[others], alone[others])
    assert not gradient[2].isfinite().all()


def test_only_the_gradients_that_are_asked_for_are_made() -> None:
    x, weight = drawn(3, CHANNELS, 4, 4).detach(), drawn(CHANNELS, 1, 3, 3)

    depthwise(x, weight, 1).sum().backward()

    assert weight.grad is not None
    assert x.grad is None
