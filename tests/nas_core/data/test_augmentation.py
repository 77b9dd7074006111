"""Batched augmentation against slow references, one image at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nas_core.data.augmentation import augment, cutout, normalise
from nas_core.protocols.data import DATASETS
from nas_core.protocols.training import Protocol
from nas_core.streams import Draws


def random_pixels(*shape: int) -> Tensor:
    return torch.randint(1, 256, shape, dtype=torch.uint8)  # 0 is left to the border


def step_draws(protocol: Protocol, batch: int, size: tuple[int, int], seed: int = 0) -> Draws:
    draws = Draws.draw(protocol, seed=seed, epoch=0, images=batch, image_size=size)
    return next(draws.steps())


def one_by_one(pixels: Tensor, draws: Draws, padding: int) -> Tensor:
    """Crop and flip each image with torchvision's functions."""
    from torchvision.transforms import functional  # takes seconds to load

    height, width = pixels.shape[-2:]
    done = []
    for number, image in enumerate(pixels):
        if draws.offsets is not None:
            row, column = draws.offsets[number].tolist()
            image = functional.crop(  # noqa: PLW2901 - the next stage of this image
                functional.pad(image, [padding], fill=0), row, column, height, width
            )
        if draws.flips is not None and draws.flips[number]:
            image = functional.hflip(image)  # noqa: PLW2901 - the next stage of this image
        done.append(image)
    return torch.stack(done)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 6), st.just(3), st.integers(1, 9), st.integers(1, 9)),
    padding=st.integers(0, 5),
    flip=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_a_batch_is_augmented_as_torchvision_does_image_by_image(
    shape: tuple[int, int, int, int], padding: int, flip: bool, seed: int
) -> None:
    protocol = Protocol(batch_size=shape[0], crop_padding=padding, flip=flip)
    pixels = random_pixels(*shape)
    draws = step_draws(protocol, shape[0], shape[2:], seed)

    augmented = augment(pixels, draws, protocol)

    assert augmented.dtype == torch.uint8
    assert augmented.is_contiguous()  # the memory format decides which kernels train
    assert torch.equal(augmented, one_by_one(pixels, draws, padding))


def test_the_flip_mirrors_what_was_cropped_and_not_the_other_way_round() -> None:
    protocol = Protocol(crop_padding=1)
    pixels = torch.tensor([1, 2, 3], dtype=torch.uint8).expand(1, 3, 1, 3)
    draws = Draws(
        order=torch.tensor([0]),
        offsets=torch.tensor([[1, 2]]),
        flips=torch.tensor([True]),
        cutout_centres=None,
        keep=None,
        keep_probability=1.0,
        batch_size=1,
    )

    # Padded: 0 1 2 3 0. The crop from column 2: 2 3 0. Mirrored: 0 3 2; the other order: 2 1 0.
    assert augment(pixels, draws, protocol)[0, 0, 0].tolist() == [0, 3, 2]


def test_augmenting_leaves_the_images_themselves_alone() -> None:
    protocol = Protocol(batch_size=4)
    pixels = random_pixels(4, 3, 8, 8)
    before = pixels.clone()

    augment(pixels, step_draws(protocol, 4, (8, 8)), protocol)
    normalise(pixels, DATASETS["cifar10"], torch.float32)

    assert torch.equal(pixels, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalising_subtracts_the_mean_of_each_channel_and_divides_by_its_std(
    dtype: torch.dtype,
) -> None:
    info = DATASETS["cifar10"]
    pixels = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 1, 1, 3).expand(1, 3, 1, 3)

    images = normalise(pixels, info, dtype)

    expected = [
        [(value / 255 - mean) / std for value in (0, 128, 255)]
        for mean, std in zip(info.mean, info.std, strict=True)
    ]
    torch.testing.assert_close(images[0, :, 0], torch.tensor(expected, dtype=dtype))


def test_cutout_zeroes_the_square_of_each_image_and_nothing_else() -> None:
    cut = cutout(torch.ones(2, 3, 5, 6), torch.tensor([[2, 3], [0, 5]]), 4)

    inner = ["100001", "100001", "100001", "100001", "111111"]
    assert [rows_of(cut[0, channel]) for channel in range(3)] == [inner] * 3
    corner = ["111000", "111000", "111111", "111111", "111111"]  # clipped at two borders
    assert [rows_of(cut[1, channel]) for channel in range(3)] == [corner] * 3


def rows_of(image: Tensor) -> list[str]:
    return ["".join(str(int(value)) for value in row) for row in image]


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 20), st.data())
def test_cutout_is_that_of_darts(height: int, width: int, length: int, data: st.DataObject) -> None:
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    images = torch.rand(1, 3, height, width) + 1

    expected = images.clone()  # the arithmetic of DARTS' Cutout, which clips all four borders
    top, bottom = max(row - length // 2, 0), min(row + length // 2, height)
    left, right = max(column - length // 2, 0), min(column + length // 2, width)
    expected[..., top:bottom, left:right] = 0

    assert torch.equal(cutout(images, torch.tensor([[row, column]]), length), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_augments_exactly_as_the_cpu() -> None:
    protocol = Protocol(batch_size=64, cutout=16)
    pixels = random_pixels(64, 3, 32, 32)
    draws = step_draws(protocol, 64, (32, 32))
    assert draws.cutout_centres is not None

    def images(device: str) -> Tensor:
        there = draws.to(device)
        augmented = augment(pixels.to(device), there, protocol)
        normalised = normalise(augmented, DATASETS["cifar10"], torch.float64)
        assert there.cutout_centres is not None
        return cutout(normalised, there.cutout_centres, protocol.cutout).cpu()

    torch.testing.assert_close(images("cuda"), images("cpu"), rtol=1e-12, atol=1e-12)
