"""A 1x1 convolution with its batch norm has PyTorch's values and gradients, for every model."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d

from nas_core.networks.kernels.grouped import EPS
from nas_core.networks.kernels.pointwise import Moments, normalised_by, pointwise_norm

IMAGES, SIDE, MODELS, TERMS, CHANNELS_IN, CHANNELS_OUT = 5, 4, 3, 2, 4, 6
MAPS = (IMAGES, SIDE, SIDE)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


def arguments() -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs, which are far from mean 0, and weight, scale and offset."""
    torch.manual_seed(0)
    inputs = [drawn(*MAPS, MODELS, CHANNELS_IN) for _ in range(TERMS)]
    with torch.no_grad():
        inputs[1].add_(3)
    weight = drawn(TERMS, MODELS, CHANNELS_OUT, CHANNELS_IN)
    return inputs, [weight, *(drawn(TERMS, MODELS, CHANNELS_OUT) for _ in range(2))]


def by_pytorch(
    inputs: list[Tensor],
    parameters: list[Tensor],
    *,
    keep: Tensor | None = None,
    moments: Moments | None = None,
) -> Tensor:
    """Return the same of PyTorch's layers, a model and a term at a time: (B, H, W, K, O)."""
    weight, scale, offset = parameters
    models = []
    for k in range(MODELS):
        total = torch.zeros(IMAGES, CHANNELS_OUT, SIDE, SIDE, dtype=torch.float64)
        for s, d in enumerate(inputs):
            maps = d[:, :, :, k].permute(0, 3, 1, 2)
            y = batch_norm(
                conv2d(maps, weight[s, k, :, :, None, None]),
                None if moments is None else moments.mean[s, k],
                None if moments is None else moments.inverse[s, k] ** -2 - EPS,
                scale[s, k],
                offset[s, k],
                training=moments is None,
            )
            total = total + (y if keep is None else y * keep[:, s, k, None, None, None])
        models.append(total.permute(0, 2, 3, 1))
    return torch.stack(models, 3)


@pytest.mark.parametrize(
    ("with_keep", "relu", "together"), [*itertools.product((False, True), repeat=3)]
)
def test_values_and_gradients_are_pytorchs(with_keep: bool, relu: bool, together: bool) -> None:
    inputs, parameters = arguments()
    keep = None
    if with_keep:
        keep = (torch.rand(IMAGES, TERMS, MODELS) < 0.7).double() / 0.7
    towards = torch.randn(*MAPS, MODELS, CHANNELS_OUT, dtype=torch.float64)

    maps = [torch.cat(inputs, 3)] if together else inputs
    y, _ = pointwise_norm(maps, *parameters, relu=relu, keep=keep)
    expected = by_pytorch(inputs, parameters, keep=keep)
    expected = expected.relu() if relu else expected

    leaves = [*inputs, *parameters]
    ours = torch.autograd.grad((y * towards + y**2).sum(), leaves)
    theirs = torch.autograd.grad((expected * towards + expected**2).sum(), leaves)
    for mine, reference in zip((y, *ours), (expected, *theirs), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-11, atol=1e-11)


def test_the_moments_are_those_that_a_batch_norm_remembers() -> None:
    inputs, parameters = arguments()

    _, moments = pointwise_norm(inputs, *parameters)

    for s, d in enumerate(inputs):
        p = torch.einsum("bhwki,koi->bhwko", d, parameters[0][s])
        torch.testing.assert_close(moments.mean[s], p.mean((0, 1, 2)))
        deviation = (p.var((0, 1, 2), correction=0) + EPS).sqrt()
        torch.testing.assert_close(1 / moments.inverse[s], deviation)
    assert not moments.mean.requires_grad


def test_moments_that_are_given_replace_those_of_the_batch() -> None:
    inputs, parameters = arguments()
    mean, variance = (drawn(TERMS, MODELS, CHANNELS_OUT).detach() for _ in range(2))
    moments = Moments(mean, 1 / (variance.abs() + EPS).sqrt())

    weight, scale, offset = parameters
    y = normalised_by(inputs, weight, scale, offset, moments)

    torch.testing.assert_close(y, by_pytorch(inputs, parameters, moments=moments))


def test_a_model_that_is_not_finite_leaves_the_others_as_they_are() -> None:
    inputs, parameters = arguments()
    alone, _ = pointwise_norm(inputs, *parameters)
    alone_gradients = torch.autograd.grad(alone.square().sum(), [*inputs, *parameters])
    with torch.no_grad():
        parameters[0][0, 1, 2, 3] = torch.nan
        inputs[1][0, 1, 3, 1] = torch.inf

    y, _ = pointwise_norm(inputs, *parameters)
    gradients = torch.autograd.grad(y.square().sum(), [*inputs, *parameters])

    assert not y[:, :, :, 1].isfinite().all()
    assert torch.equal(y[:, :, :, [0, 2]], alone[:, :, :, [0, 2]])
    for number, (mine, reference) in enumerate(zip(gradients, alone_gradients, strict=True)):
        dim = 3 if number < TERMS else 1
        of_models, expected = (each.movedim(dim, 0) for each in (mine, reference))
        assert torch.equal(of_models[[0, 2]], expected[[0, 2]])


def test_maps_whose_mean_is_far_from_zero_lose_few_digits_in_float32() -> None:
    torch.manual_seed(0)
    d = torch.randn(1, 64, 64, 1, 8, dtype=torch.float64) + 10
    weight = torch.randn(1, 1, 8, 8, dtype=torch.float64)
    ones, zeros = torch.ones(1, 1, 8, dtype=torch.float64), torch.zeros(1, 1, 8).double()
    exact, _ = pointwise_norm([d], weight, ones, zeros)

    y, _ = pointwise_norm([d.float()], weight.float(), ones.float(), zeros.float())

    assert (y - exact).abs().max() < 1e-4  # of a spread of 1
