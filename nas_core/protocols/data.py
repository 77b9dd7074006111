"""Facts about the data sets that planning needs without reading an image. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from nas_core.errors import InputError, nearest

Channels = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """One data set.

    `image_size` is (height, width); `mean` and `std` normalise pixels scaled to 0..1.
    """

    name: str
    num_classes: int
    image_size: tuple[int, int]
    train_images: int
    test_images: int
    mean: Channels
    std: Channels


DATASETS: Final[Mapping[str, DatasetInfo]] = MappingProxyType(
    {
        info.name: info
        for info in (
            DatasetInfo(
                name="digits",
                num_classes=10,
                image_size=(8, 8),
                train_images=1437,
                test_images=360,
                # Of the 1,437 training scans of our fixed split, measured once.
                mean=(0.3052, 0.3052, 0.3052),
                std=(0.3756, 0.3756, 0.3756),
            ),
            DatasetInfo(
                name="cifar10",
                num_classes=10,
                image_size=(32, 32),
                train_images=50_000,
                test_images=10_000,
                # Of the training images, as in the DARTS code.
                mean=(0.49139968, 0.48215827, 0.44653124),
                std=(0.24703233, 0.24348505, 0.26158768),
            ),
            DatasetInfo(
                name="cifar100",
                num_classes=100,
                image_size=(32, 32),
                train_images=50_000,
                test_images=10_000,
                # As in the P-DARTS code.
                mean=(0.5071, 0.4867, 0.4408),
                std=(0.2675, 0.2565, 0.2761),
            ),
        )
    }
)
"""All data sets by name."""


def dataset_info(name: str) -> DatasetInfo:
    """Return the facts of a data set.

    Raises:
        InputError: unknown name; names the nearest ones first.

    """
    if name not in DATASETS:
        nearest_first = nearest(name.lower(), DATASETS, cutoff=0.0)
        raise InputError(f"unknown data set {name!r}: use {nearest_first}")
    return DATASETS[name]
