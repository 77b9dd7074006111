"""Matrices along a diagonal: which go together, and that none sees another's maps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nas_core.networks.kernels import grouped
from nas_core.networks.kernels.grouped import grouped_norm, products, together

IMAGES, SIDE = 3, 2


@pytest.mark.parametrize(
    ("columns", "out", "width", "count"),
    [
        (60, 4, 4, 4),  # fills a vector of 16
        (30, 4, 4, 6),  # 4 does not divide 30: the most that fit
        (30, 8, 8, 2),
        (60, 4, 16, 4),
        (30, 16, 16, 1),
        (30, 64, 64, 1),  # none fit, not even one
        (7, 4, 4, 7),
        (79, 4, 4, 1),
        (1, 4, 4, 1),
    ],
)
def test_as_many_models_go_together_as_fill_a_vector(
    columns: int, out: int, width: int, count: int
) -> None:
    assert together(columns, out, width) == count


@pytest.mark.parametrize(
    ("terms", "models", "out", "width"), [(1, 4, 4, 3), (2, 3, 4, 4), (2, 2, 16, 5), (1, 1, 3, 2)]
)
def test_gradients_are_those_of_the_function(terms: int, models: int, out: int, width: int) -> None:
    torch.manual_seed(0)
    d, weight, scale, offset = (
        torch.randn(*shape, dtype=torch.float64).requires_grad_()
        for shape in [
            (IMAGES, SIDE, SIDE, terms * models, width),
            (terms, models, out, width),
            (terms, models, out),
            (terms, models, out),
        ]
    )
    keep = torch.rand(IMAGES, terms, models, dtype=torch.float64)

    def function(*tensors: Tensor) -> Tensor:
        d, weight, scale, offset = tensors
        return grouped_norm(d, weight, scale, offset, relu=False, keep=keep)[0]

    assert torch.autograd.gradcheck(function, (d, weight, scale, offset))


@pytest.mark.parametrize("spoilt", [torch.nan, torch.inf, -torch.inf])
def test_columns_that_are_not_finite_are_taken_out(spoilt: float) -> None:
    torch.manual_seed(0)
    x = torch.randn(IMAGES, SIDE, SIDE, 8, 4)
    diagonal = grouped._diagonal(torch.randn(2, 4, 4, 4))
    alone = products(x, diagonal)
    x[1, 0, 1, 5, 2] = spoilt

    y = products(x, diagonal, is_finite=False)

    others = [0, 1, 2, 3, 4, 6, 7]
    assert torch.equal(y[:, :, :, others], alone[:, :, :, others])
    assert y[:, :, :, 5].isnan().all()
    assert not products(x, diagonal)[:, :, :, 4].isfinite().all(), "else nothing needs care"


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_weight_gradients_in_bfloat16_are_near_those_in_single(groups: int) -> None:
    torch.manual_seed(0)
    g, d = torch.randn(IMAGES, 8, 8, 8, 4), torch.randn(IMAGES, 8, 8, 8, 3)

    exact = grouped._outer(g, d, groups)
    near = grouped._outer(g.bfloat16(), d.bfloat16(), groups)

    assert (near.float() - exact).norm() < 0.02 * exact.norm()


def test_gradients_that_are_not_finite_stay_with_their_model() -> None:
    torch.manual_seed(0)
    d = torch.randn(IMAGES, SIDE, SIDE, 4, 4, requires_grad=True)
    weight = torch.randn(1, 4, 4, 4, requires_grad=True)
    ones = torch.ones(1, 4, 4, requires_grad=True)
    y, _, _ = grouped_norm(d, weight, ones, ones, relu=True, keep=None)
    g = torch.randn_like(y)
    alone = torch.autograd.grad(y, [d, weight], g, retain_graph=True)
    g[0, 0, 0, 2] = torch.inf

    of_d, of_weight = torch.autograd.grad(y, [d, weight], g)

    others = [0, 1, 3]
    assert torch.equal(of_d[:, :, :, others], alone[0][:, :, :, others])
    assert torch.equal(of_weight[:, others], alone[1][:, others])
    assert not of_weight[:, 2].isfinite().all()


def test_gradients_that_overflow_behind_a_norm_stay_with_their_model() -> None:
    torch.manual_seed(0)
    d = torch.randn(IMAGES, SIDE, SIDE, 4, 4)
    d[:, :, :, 2] *= 1e-4  # so that its norm multiplies what comes back by hundreds
    d.requires_grad_()
    weight, ones = torch.randn(1, 4, 4, 4), torch.ones(1, 4, 4)
    y, _, _ = grouped_norm(d, weight, ones, ones, relu=False, keep=None)
    g = torch.randn_like(y)
    (alone,) = torch.autograd.grad(y, [d], g, retain_graph=True)
    g[:, :, :, 2] *= 5e35

    (of_d,) = torch.autograd.grad(y, [d], g)

    others = [0, 1, 3]
    assert torch.equal(of_d[:, :, :, others], alone[:, :, :, others])
    assert not of_d[:, :, :, 2].isfinite().all()
