"""Columns are views of images, and are gathered with their gradients, in every width."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nas_core.networks.kernels.columns import as_images, as_maps, gathered, halves

IMAGES, SIDE, COLUMNS = 2, 3, 5


def maps(channels: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(IMAGES, SIDE, SIDE, COLUMNS, channels).to(dtype)


def test_images_and_maps_are_views_of_one_memory() -> None:
    x = maps()

    images = as_images(x)

    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images[:, 4:8], x[:, :, :, 1].permute(0, 3, 1, 2))
    assert as_maps(images, COLUMNS).data_ptr() == x.data_ptr()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_chosen_columns_are_copied_bit_for_bit(channels: int, dtype: torch.dtype) -> None:
    x = maps(channels, dtype)
    x[0, 0, 0, 3, 0] = torch.nan
    places = [3, 0, 4]

    y = gathered(x, torch.tensor(places))

    as_bits = {8: torch.int64, 4: torch.int32, 2: torch.int16}[dtype.itemsize]
    assert torch.equal(y.view(as_bits), x[:, :, :, places].view(as_bits))


@pytest.mark.parametrize("channels", [3, 4])
def test_gradients_return_to_the_columns_that_were_read(channels: int) -> None:
    x = maps(channels).requires_grad_()
    places = torch.tensor([3, 0, 4])

    assert torch.autograd.gradcheck(gathered, (x, places))


@pytest.mark.parametrize("sides", [(4, 6), (5, 4), (4, 3), (1, 1)])
def test_halves_are_the_pixels_of_both_grids(sides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(IMAGES, *sides, 2, 3, dtype=torch.float64, requires_grad=True)
    height, width = sides
    padded = torch.nn.functional.pad(x, (0, 0, 0, 0, 0, width % 2, 0, height % 2))

    y = halves(x)

    assert torch.equal(y[:, :, :, ::2], padded[:, ::2, ::2])
    assert torch.equal(y[:, :, :, 1::2], padded[:, 1::2, 1::2])
    assert torch.autograd.gradcheck(halves, (x,))


@pytest.mark.parametrize("form", ["gathered", "halves"])
def test_a_second_derivative_is_refused_and_not_wrong(form: str) -> None:
    x = maps().requires_grad_()
    y = gathered(x, torch.tensor([1, 3])) if form == "gathered" else halves(x)
    (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
