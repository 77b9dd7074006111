"""Data sets in memory: the digits, fingerprints, splits and their way between processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_core.data.splits import Dataset, Images, Split, blank_dataset, load_dataset, split
from nas_core.errors import InputError
from nas_core.protocols.data import DATASETS
from nas_core.protocols.training import DataOptions


def numbered(labels: list[int], name: str = "cifar10") -> Dataset:
    """Return a data set whose training image k holds the number k, in 2x2 pixels."""
    rows = torch.arange(len(labels))
    pixels = torch.stack([rows // 256**byte % 256 for byte in range(3)], dim=1)
    train = Images(
        pixels.to(torch.uint8).view(-1, 3, 1, 1).repeat(1, 1, 2, 2), torch.tensor(labels)
    )
    test = train[torch.arange(min(3, len(labels)))]
    return Dataset(DATASETS[name], train, test, "made for a test")


def numbers(images: Images | None) -> list[int]:
    """Return which images of `numbered` these are, in their order."""
    assert images is not None
    channels = images.pixels[:, :, 0, 0].to(torch.int64)
    return (channels * torch.tensor([1, 256, 65536])).sum(dim=1).tolist()


def options(**values: Any) -> DataOptions:
    return DataOptions().with_values(values)


# Loading


def test_digits_are_1437_and_360_real_scans_in_fixed_parts_with_equal_class_shares() -> None:
    dataset = load_dataset("digits")

    assert dataset.train.pixels.shape == (1437, 3, 8, 8)
    assert dataset.test.pixels.shape == (360, 3, 8, 8)
    tested, trained = dataset.test.labels.bincount(), dataset.train.labels.bincount()
    assert ((tested / (tested + trained) - 360 / 1797).abs() < 1 / 174).all()
    assert (dataset.train.pixels.dtype, dataset.train.labels.dtype) == (torch.uint8, torch.int64)
    assert dataset.info == DATASETS["digits"]
    assert dataset.layout == "bundled with scikit-learn"
    # Stores name these pixels: a change here makes every kept result of the demo another's.
    assert dataset.fingerprint == load_dataset("digits").fingerprint == "b69be0957a658e2f"


def test_digits_are_scikit_learns_scans_with_its_sixteen_greys_spread_over_a_byte() -> None:
    from sklearn.datasets import load_digits

    scans = load_digits()
    expected = {
        (np.rint(image * 255 / 16).astype(np.uint8).tobytes(), int(target))
        for image, target in zip(scans.images, scans.target, strict=True)
    }
    dataset = load_dataset("digits")
    loaded_scans: set[tuple[bytes, int]] = set()
    for images in (dataset.train, dataset.test):
        assert torch.equal(images.pixels[:, :1].expand(-1, 3, -1, -1), images.pixels)
        for image, label in zip(images.pixels, images.labels.tolist(), strict=True):
            loaded_scans.add((image[0].numpy().tobytes(), label))

    assert loaded_scans == expected
    assert dataset.train.pixels.max() == 255


def test_an_unknown_data_set_is_refused_before_any_file_is_looked_for() -> None:
    for function in (load_dataset, blank_dataset):
        with pytest.raises(InputError, match="unknown data set 'cifar': use cifar10 or"):
            function("cifar")


def test_the_fingerprint_names_pixels_labels_order_and_shape() -> None:
    dataset = numbered([0, 1, 2, 3])
    train = dataset.train

    def fingerprint(images: Images) -> str:
        return replace(dataset, train=images).fingerprint

    others = [
        Images(train.pixels + 1, train.labels),
        Images(train.pixels, train.labels.flip(0)),
        train[torch.tensor([1, 0, 2, 3])],
        train[torch.tensor([0, 1, 2])],
        Images(train.pixels.view(4, 3, 4, 1), train.labels),
    ]
    digits = {dataset.fingerprint, *(fingerprint(images) for images in others)}

    assert len(digits) == 1 + len(others)
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in digits)
    assert fingerprint(Images(train.pixels.clone(), train.labels.clone())) == dataset.fingerprint
    assert replace(dataset, layout="another").fingerprint == dataset.fingerprint


# Splits


@st.composite
def splits(draw: st.DrawFn) -> tuple[Dataset, DataOptions]:
    """Draw any labels, often with classes of one size, and sizes that they allow."""
    equal = st.integers(1, 8).flatmap(lambda size: st.permutations(list(range(10)) * size))
    labels = draw(equal | st.lists(st.integers(0, 9), min_size=2, max_size=80))
    holdout = draw(st.integers(0, len(labels) - 1))
    limit = draw(st.none() | st.integers(1, len(labels) - holdout))
    return numbered(list(labels)), options(holdout=holdout, train_limit=limit)


@settings(max_examples=80)
@given(splits())
def test_a_split_has_the_sizes_asked_for_and_is_disjoint_and_in_file_order(
    case: tuple[Dataset, DataOptions],
) -> None:
    dataset, chosen = case
    parts = split(dataset, chosen)
    left = len(dataset.train) - chosen.holdout
    train = numbers(parts.train)
    held_out = numbers(parts.validation) if chosen.holdout else []

    assert (parts.validation is None) == (chosen.holdout == 0)
    assert len(held_out) == chosen.holdout
    assert len(train) == (left if chosen.train_limit is None else chosen.train_limit)
    assert train == sorted(train)
    assert held_out == sorted(held_out)
    assert not set(train) & set(held_out)
    assert torch.equal(parts.train.labels, dataset.train.labels[train])
    assert parts.test is dataset.test
    assert parts.info == dataset.info


@settings(max_examples=60)
@given(st.integers(1, 8), st.data())
def test_both_parts_are_balanced_where_the_classes_have_one_size(
    size: int, data: st.DataObject
) -> None:
    dataset = numbered(data.draw(st.permutations(list(range(10)) * size)))
    holdout = data.draw(st.integers(0, 10 * size - 1))
    limit = data.draw(st.integers(1, 10 * size - holdout))
    parts = split(dataset, options(holdout=holdout, train_limit=limit))

    def spread(images: Images) -> int:
        counts = images.labels.bincount(minlength=10)
        return int(counts.max() - counts.min())

    if parts.validation is not None:
        assert spread(parts.validation) == (0 if holdout % 10 == 0 else 1)
    # A hold-out that is no multiple of ten leaves its last round of classes open.
    assert spread(parts.train) <= (1 if holdout % 10 == 0 else 2)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 9), min_size=20, max_size=80), st.data())
def test_classes_of_several_sizes_keep_their_shares(labels: list[int], data: st.DataObject) -> None:
    dataset = numbered(labels)
    holdout = data.draw(st.integers(1, len(labels) - 1))
    validation = split(dataset, options(holdout=holdout)).validation
    assert validation is not None
    available = torch.tensor(labels).bincount(minlength=10)
    # Each class is rounded to whole images at one common share, of which `shares` is the range.
    counts = validation.labels.bincount(minlength=10)[available > 0].double()
    available = available[available > 0]
    shares = ((counts - 0.5) / available).max(), ((counts + 0.5) / available).min()
    assert shares[0] <= shares[1]


@settings(max_examples=15)
@given(splits())
def test_a_smaller_limit_chooses_a_subset_and_the_largest_chooses_all(
    case: tuple[Dataset, DataOptions],
) -> None:
    dataset, chosen = case
    left = len(dataset.train) - chosen.holdout
    all_of_them = split(dataset, chosen.with_values({"train_limit": None}))
    larger: set[int] = set()
    for limit in range(1, left + 1):
        parts = split(dataset, chosen.with_values({"train_limit": limit}))
        assert larger < set(numbers(parts.train))
        larger = set(numbers(parts.train))
        if chosen.holdout:
            assert numbers(parts.validation) == numbers(all_of_them.validation)
    assert torch.equal(parts.train.pixels, all_of_them.train.pixels)


def test_the_split_of_a_data_set_never_changes() -> None:
    # These rows are part of what every stored validation accuracy means.
    dataset = numbered([row % 10 for row in range(40)])
    parts = split(dataset, options(holdout=5, train_limit=4))

    assert numbers(parts.validation) == [15, 17, 28, 30, 39]
    assert numbers(parts.train) == [2, 4, 11, 23]


def test_the_split_depends_on_the_name_the_holdout_and_the_size_and_not_on_pixels() -> None:
    labels = [row % 10 for row in range(400)]

    def held_out(dataset: Dataset, holdout: int = 50) -> set[int]:
        return set(numbers(split(dataset, options(holdout=holdout)).validation))

    base = held_out(numbered(labels))
    assert held_out(numbered(labels)) == base
    assert held_out(numbered(labels, name="cifar100")) != base
    assert held_out(numbered([*labels, *labels[:10]])) != base
    assert not base < held_out(numbered(labels), 60)
    other_labels = numbered([(row + 1) % 10 for row in range(400)])
    assert len(held_out(other_labels)) == 50


def test_nothing_held_out_and_no_limit_shares_the_memory_of_the_data_set() -> None:
    dataset = numbered([0, 1, 2])

    assert split(dataset, options()).train is dataset.train


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"holdout": 4}, "holdout=4 leaves nothing to train on: cifar10 has 4 training images"),
        ({"train_limit": 5}, "train_limit=5 is more than the 4 training images of cifar10"),
        ({"holdout": 3, "train_limit": 2}, "train_limit=2 is more than the 1 training images"),
    ],
)
def test_more_images_than_there_are_is_refused_with_the_maximum(
    values: dict[str, int], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        split(numbered([0, 1, 2, 3]), options(**values))


# Between processes


@pytest.mark.parametrize("holdout", [0, 2])
def test_a_split_comes_back_from_read_only_arrays_without_a_copy(holdout: int) -> None:
    parts = split(numbered([0, 1, 2, 3, 4]), options(holdout=holdout))
    arrays = parts.to_arrays()
    for array in arrays.values():
        if isinstance(array, np.ndarray):
            array.flags.writeable = False  # as Ray's object store hands them out

    again = Split.from_arrays(arrays)

    assert again.info == parts.info
    pairs = [(parts.train, again.train), (parts.test, again.test)]
    if holdout:
        assert parts.validation is not None
        assert again.validation is not None
        pairs.append((parts.validation, again.validation))
    else:
        assert again.validation is None
    for old, new in pairs:
        assert torch.equal(old.pixels, new.pixels)
        assert torch.equal(old.labels, new.labels)
        assert new.pixels.data_ptr() == old.pixels.data_ptr()
        assert new.labels.data_ptr() == old.labels.data_ptr()


def test_a_split_moves_to_a_device_whole() -> None:
    moved = split(numbered([0, 1, 2, 3]), options(holdout=1)).to(torch.device("meta"))

    assert moved.validation is not None
    for images in (moved.train, moved.validation, moved.test):
        assert images.pixels.device.type == images.labels.device.type == "meta"
