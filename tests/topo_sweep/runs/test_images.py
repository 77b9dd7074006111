"""On which data sets a sweep is run: the whole ones, unless fewer images are asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nas_core.data.splits import Dataset, Images, load_dataset, split
from nas_core.errors import InputError
from nas_core.protocols.data import DATASETS
from nas_core.protocols.training import DataOptions
from tests.nas_core.data.cifar_files import write_cifar10_batches
from tests.topo_sweep.conftest import small_spec
from topo_sweep.runs.images import ImagesByPath, OtherImagesError, checked_images

WHOLE, TEST = 50_000, 10_000


def found(train: int, test: int) -> Dataset:
    """A CIFAR-10 with so many images, which hold nothing."""

    def blank(count: int) -> Images:
        pixels = torch.empty((count, 3, 32, 32), dtype=torch.uint8, device="meta")
        return Images(pixels, torch.arange(count) % 10)

    return Dataset(DATASETS["cifar10"], blank(train), blank(test), "made up")


def is_refused(dataset: Dataset, limit: int | None = None, *, partial_data: bool = False) -> bool:
    data = DataOptions(dataset="cifar10", train_limit=limit)
    trials = list(small_spec(data=data).trials().values())
    try:
        checked_images(data, trials, dataset, partial_data=partial_data)
    except InputError as error:
        return "--partial-data" in str(error)
    return False


def test_the_whole_data_set_is_taken() -> None:
    assert not is_refused(found(WHOLE, TEST))
    assert not is_refused(found(WHOLE, TEST), limit=48)


@pytest.mark.parametrize(
    ("train", "test"),
    [(300, TEST), (WHOLE - 1, TEST), (WHOLE + 1, TEST), (WHOLE, 300), (WHOLE, TEST + 1)],
)
def test_fewer_or_more_images_are_refused_unless_that_is_meant(train: int, test: int) -> None:
    assert is_refused(found(train, test))
    assert not is_refused(found(train, test), partial_data=True)


def test_a_limit_allows_fewer_training_images_and_no_other_test_images() -> None:
    assert not is_refused(found(300, TEST), limit=48)
    assert is_refused(found(WHOLE + 1, TEST), limit=48)
    assert is_refused(found(WHOLE, 300), limit=48)


def test_the_refusal_names_both_counts_and_the_ways_out() -> None:
    data = DataOptions(dataset="cifar10")
    (trial, *_) = small_spec(data=data).trials().values()

    with pytest.raises(InputError) as refusal:
        checked_images(data, [trial], found(300, 100))

    assert str(refusal.value) == (
        "cifar10 has 50,000 training and 10,000 test images, but 300 and 100 were found: name the "
        "folder of the whole data set, or allow fewer training images with --train-limit N, or any "
        "numbers with --partial-data"
    )


def test_where_nothing_is_trained_the_numbers_do_not_matter() -> None:
    checked_images(DataOptions(dataset="cifar10"), [], found(300, 100))


def test_what_is_read_by_its_path_is_what_was_found_here(tmp_path: Path) -> None:
    write_cifar10_batches(tmp_path)
    data = DataOptions(dataset="cifar10", holdout=2)
    dataset = load_dataset("cifar10", tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path.parent)
        here = ImagesByPath.of(dataset, data, Path(tmp_path.name))
    assert here.folder == tmp_path, "whatever folder a worker is in"

    read, sent = here.read(), split(dataset, data)
    assert read.validation is not None
    assert sent.validation is not None
    pairs = [(read.train, sent.train), (read.validation, sent.validation), (read.test, sent.test)]
    assert all(torch.equal(one.pixels, other.pixels) for one, other in pairs)

    with pytest.raises(OtherImagesError, match=f"{tmp_path} holds others, fingerprint"):
        replace(here, fingerprint="another").read()
    with pytest.raises(OtherImagesError, match="no cifar10 in"):
        replace(here, folder=tmp_path / "none").read()
