"""Data sets as uint8 tensors: loading, fixed splits, and sharing between processes.

Letters: N images, H and W pixels. File formats are in `data/cifar.py`, batches in
`data/augmentation.py`.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas_core.data import cifar
from nas_core.errors import InputError
from nas_core.protocols.data import DATASETS, DatasetInfo, dataset_info
from nas_core.protocols.training import DataOptions
from nas_core.streams import generator

DATA_VARIABLE = "TOPO_SWEEP_DATA"


@dataclass(frozen=True)
class Images:
    """`pixels` (N, 3, H, W) uint8 and `labels` (N,) int64."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, indices: Tensor) -> Images:
        """Return the images with these indices (int64), in this order."""
        # Not pixels[indices], which for a blank set loads half a second of PyTorch's modules.
        return Images(self.pixels.index_select(0, indices), self.labels[indices])

    def to(self, device: torch.device) -> Images:
        """Return the images on a device."""
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """A data set as loaded; `layout` says in which form it was found."""

    info: DatasetInfo
    train: Images
    test: Images
    layout: str

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that name exactly these pixels and labels."""
        digest = hashlib.sha256()
        for images in (self.train, self.test):
            for tensor in (images.pixels, images.labels):
                digest.update(str(tuple(tensor.shape)).encode())
                digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Split:
    """What a trial sees: `validation` is None where nothing is held out."""

    info: DatasetInfo
    train: Images
    validation: Images | None
    test: Images

    def to(self, device: torch.device) -> Split:
        """Return the split on a device."""
        validation = None if self.validation is None else self.validation.to(device)
        return Split(self.info, self.train.to(device), validation, self.test.to(device))

    def to_arrays(self) -> dict[str, Any]:
        """Return numpy arrays, which Ray shares between processes without copying."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        arrays: dict[str, Any] = {"dataset": self.info.name}
        for name, images in parts.items():
            if images is not None:
                arrays[f"{name}_pixels"] = images.pixels.numpy()
                arrays[f"{name}_labels"] = images.labels.numpy()
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Split:
        """Return the split that `to_arrays` described, over the same memory."""

        def images(name: str) -> Images:
            return Images(_tensor(arrays[f"{name}_pixels"]), _tensor(arrays[f"{name}_labels"]))

        validation = images("validation") if "validation_pixels" in arrays else None
        return cls(DATASETS[arrays["dataset"]], images("train"), validation, images("test"))


@dataclass(frozen=True)
class SearchSplit:
    """What a search sees: images for the weights and others for the alphas, equally many."""

    info: DatasetInfo
    weights: Images
    alphas: Images


def data_directory(option: str | Path | None) -> Path:
    """Return the folder to look in: the option, else $TOPO_SWEEP_DATA, else data/."""
    return Path(option or os.environ.get(DATA_VARIABLE) or "data")


def load_dataset(
    name: str, directory: str | Path | None = None, *, download: bool = False
) -> Dataset:
    """Load a data set into memory (CIFAR: 184 MB; 4.5 s where JPEGs must be decoded).

    Args:
        name: digits, cifar10 or cifar100.
        directory: of the CIFAR files, see `data_directory`.
        download: fetch the files if they are not there.

    Raises:
        InputError: unknown name, no files, a damaged, hostile or unfitting one (named), or a
            download that failed.

    >>> from nas_core import load_dataset
    >>> digits = load_dataset("digits")
    >>> (tuple(digits.train.pixels.shape), digits.train.pixels.dtype, len(digits.test))
    ((1437, 3, 8, 8), torch.uint8, 360)

    """
    info = dataset_info(name)
    if name == "digits":
        return _digits(info)
    folder = data_directory(directory)
    try:
        files = cifar.locate(info, folder)
    except InputError:
        if not download:
            raise
        cifar.download(info, folder)
        files = cifar.locate(info, folder)
    train, test = (Images(*part) for part in cifar.read(files, info))
    classes = int(train.labels.max()) + 1
    if classes != info.num_classes:
        raise InputError(
            f"the labels in {folder} are 0..{classes - 1}, but {name} has {info.num_classes} "
            "classes: is it another data set?"
        )
    return Dataset(info, train, test, files.layout)


def blank_dataset(name: str, directory: Path | None = None) -> Dataset:
    """Return a stand-in for a data set without decoding an image.

    It has as many images, of the usual size; their pixels hold nothing, their classes are equally
    frequent. For checks before anything is loaded.

    Raises:
        InputError: unknown name, no files, or damaged ones.

    """
    info = dataset_info(name)
    train, test = info.train_images, info.test_images
    if name != "digits":
        files = cifar.locate(info, data_directory(directory))
        train, test = cifar.image_counts(files, info)

    def blank(images: int) -> Images:
        pixels = torch.empty((images, 3, *info.image_size), dtype=torch.uint8, device="meta")
        return Images(pixels, torch.arange(images) % info.num_classes)

    return Dataset(info, blank(train), blank(test), layout="blank")


def split(dataset: Dataset, options: DataOptions) -> Split:
    """Hold out validation images and limit the training images, both balanced over classes.

    Which images are held out depends on the data set's name and the sizes alone, never on a
    seed. A smaller `train_limit` is a subset of a larger one.

    Raises:
        InputError: more images asked for than there are.

    """
    total = len(dataset.train)
    if options.holdout >= total:
        raise InputError(
            f"holdout={options.holdout} leaves nothing to train on: "
            f"{dataset.info.name} has {total} training images here"
        )
    if options.train_limit is not None and options.train_limit > total - options.holdout:
        raise InputError(
            f"train_limit={options.train_limit} is more than the {total - options.holdout} "
            f"training images of {dataset.info.name} that are not held out"
        )
    # Every prefix of this order is balanced, so it holds out and limits by cutting.
    order = _balanced_order(dataset.train.labels, "split", dataset.info.name, options.holdout)
    held_out, rest = order[: options.holdout], order[options.holdout :][: options.train_limit]
    untouched = not options.holdout and options.train_limit is None
    return Split(
        info=dataset.info,
        train=dataset.train if untouched else dataset.train[rest.sort().values],
        validation=dataset.train[held_out.sort().values] if options.holdout else None,
        test=dataset.test,
    )


def search_split(split: Split, images: int) -> SearchSplit:
    """Return two disjoint class-balanced parts of the training images, `images` each.

    Validation and test images are never searched on. Where there are fewer than twice as many
    images, each part is half of them. The parts do not depend on a seed; a smaller part is a
    subset of a larger one.

    Raises:
        InputError: fewer than two training images.

    """
    size = min(images, len(split.train) // 2)
    if size < 1:
        raise InputError(f"a search needs 2 training images or more, got {len(split.train)}")
    order = _balanced_order(split.train.labels, "search halves", split.info.name)
    # Every second image of each class: prefixes of either half are balanced like the whole.
    by_class = order[split.train.labels[order].argsort(stable=True)]
    is_first = torch.zeros(len(order), dtype=torch.bool)
    is_first[by_class[::2]] = True
    first, second = order[is_first[order]][:size], order[~is_first[order]][:size]
    return SearchSplit(
        split.info,
        weights=split.train[first.sort().values],
        alphas=split.train[second.sort().values],
    )


def _balanced_order(labels: Tensor, *key: str | int) -> Tensor:
    """Return a keyed random order (N,) in which every prefix has the classes in proportion."""
    shuffled = torch.randperm(len(labels), generator=generator(*key, len(labels)))
    fraction = torch.empty(len(labels), dtype=torch.float64)
    for label in range(int(labels.max()) + 1):
        members = shuffled[labels[shuffled] == label]
        # The k-th of m members belongs at the fraction (k + 1/2) / m of the order.
        fraction[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return shuffled[fraction[shuffled].argsort(stable=True)]


def _digits(info: DatasetInfo) -> Dataset:
    """Return scikit-learn's bundled scans; the test images are a fixed balanced fifth."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    grey = torch.from_numpy(np.rint(scans.images * (255 / 16)).astype(np.uint8))
    images = Images(
        grey[:, None].expand(-1, 3, -1, -1).contiguous(),
        torch.from_numpy(scans.target.astype(np.int64)),
    )
    order = _balanced_order(images.labels, "digits")
    test, train = order[: info.test_images], order[info.test_images :]
    return Dataset(
        info, images[train.sort().values], images[test.sort().values], "bundled with scikit-learn"
    )


def _tensor(array: Any) -> Tensor:  # noqa: ANN401 - a numpy array of either type
    with warnings.catch_warnings():
        # Ray's shared memory is read-only; nothing here ever writes to images or labels.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
