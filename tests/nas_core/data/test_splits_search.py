"""The two halves of a search: disjoint, balanced, equally large, and of training images only."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nas_core.data.splits import (
    Dataset,
    Images,
    Split,
    load_dataset,
    search_split,
    split,
)
from nas_core.errors import InputError
from nas_core.protocols.training import DataOptions

DIGITS = load_dataset("digits")


def numbered(dataset: Dataset) -> Dataset:
    """Return the data set with its images' numbers in their pixels; test images come last."""
    count = len(dataset.train)

    def marked(labels: Tensor, first: int) -> Images:
        number = torch.arange(first, first + len(labels))
        bytes_of_number = torch.stack([number // 256, number % 256, number * 0], dim=1)
        return Images(bytes_of_number.to(torch.uint8)[:, :, None, None], labels)

    train, test = marked(dataset.train.labels, 0), marked(dataset.test.labels, count)
    return Dataset(dataset.info, train, test, dataset.layout)


NUMBERED = numbered(DIGITS)
WHOLE = split(NUMBERED, DataOptions(dataset="digits", holdout=100))


def numbers(images: Images) -> set[int]:
    pixels = images.pixels.long().flatten(1)
    image_numbers = (pixels[:, 0] * 256 + pixels[:, 1]).tolist()
    assert len(set(image_numbers)) == len(image_numbers), "no image twice"
    return set(image_numbers)


def halves(images: int, parts: Split = WHOLE) -> tuple[set[int], set[int]]:
    searched = search_split(parts, images)
    return numbers(searched.weights), numbers(searched.alphas)


@given(st.integers(1, 700))
@settings(max_examples=30)
def test_halves_are_disjoint_equally_large_and_of_training_images(images: int) -> None:
    weights, alphas = halves(images)
    assert len(weights) == len(alphas) == min(images, len(WHOLE.train) // 2)
    assert not weights & alphas
    assert weights | alphas <= numbers(WHOLE.train)


def test_validation_and_test_images_are_never_searched_on() -> None:
    assert WHOLE.validation is not None
    others = numbers(WHOLE.validation) | numbers(WHOLE.test)
    assert len(others) == 100 + len(DIGITS.test)
    weights, alphas = halves(25_000)
    assert not (weights | alphas) & others
    assert len(numbers(WHOLE.train) - weights - alphas) <= 1, "all that there are but an odd one"


def test_half_and_half_is_used_where_there_are_fewer_images() -> None:
    limited = split(NUMBERED, DataOptions(dataset="digits", train_limit=71))
    weights, alphas = halves(2_500, limited)
    assert len(weights) == len(alphas) == 35
    assert weights | alphas <= numbers(limited.train)


@pytest.mark.parametrize("images", [50, 100, 333])
def test_each_half_has_the_classes_in_proportion(images: int) -> None:
    searched = search_split(WHOLE, images)
    everywhere = WHOLE.train.labels.bincount(minlength=10) / len(WHOLE.train)
    for half in (searched.weights, searched.alphas):
        counts = half.labels.bincount(minlength=10)
        assert (counts - images * everywhere).abs().max() <= 2


def test_a_smaller_part_is_a_subset_of_a_larger_one() -> None:
    larger = halves(600)
    for images in (1, 10, 192, 599):
        for part, whole in zip(halves(images), larger, strict=True):
            assert part < whole


def test_labels_stay_with_their_images() -> None:
    searched = search_split(WHOLE, 300)
    for half in (searched.weights, searched.alphas):
        pixels = half.pixels.long().flatten(1)
        places = pixels[:, 0] * 256 + pixels[:, 1]
        assert torch.equal(NUMBERED.train.labels[places], half.labels)


def test_a_search_needs_two_images() -> None:
    one = WHOLE.train[torch.arange(1)]
    with pytest.raises(InputError, match="a search needs 2 training images or more, got 1"):
        search_split(Split(WHOLE.info, one, None, WHOLE.test), 10)
