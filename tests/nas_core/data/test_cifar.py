"""CIFAR's files in both layouts: found, read, or refused in one line."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from nas_core.data.cifar import locate
from nas_core.data.splits import blank_dataset, load_dataset
from nas_core.errors import InputError
from nas_core.protocols.data import DATASETS
from tests.nas_core.data.cifar_files import (
    TRAIN_BATCHES,
    encoded,
    png,
    some_pixels,
    write_batch,
    write_cifar10_batches,
    write_parquet,
    write_shard,
)

SHARED_DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "cifar10-jpeg"

# Both layouts


def test_torchvisions_layout_is_read_in_the_order_of_its_batches(tmp_path: Path) -> None:
    pixels = write_cifar10_batches(tmp_path)

    dataset = load_dataset("cifar10", tmp_path)

    assert dataset.layout == "torchvision layout (cifar-10-batches-py)"
    assert np.array_equal(dataset.train.pixels.numpy(), pixels)
    assert dataset.train.labels.tolist() == list(range(10))
    assert dataset.test.labels.tolist() == [7, 8, 9]


def test_the_folder_of_the_batches_itself_may_be_named(tmp_path: Path) -> None:
    write_cifar10_batches(tmp_path)

    assert len(load_dataset("cifar10", tmp_path / "cifar-10-batches-py").train) == 10


def test_cifar100_is_read_by_its_fine_labels(tmp_path: Path) -> None:
    for name, labels in (("train", [0, 99]), ("test", [42, 1])):
        path = tmp_path / "cifar-100-python" / name
        write_batch(path, some_pixels(2, 32, 32), labels, key=b"fine_labels")

    dataset = load_dataset("cifar100", tmp_path)

    assert dataset.train.labels.tolist() == [0, 99]
    assert dataset.test.labels.tolist() == [42, 1]


@pytest.mark.parametrize("folder", ["", "data", "plain_text", "cifar10"])
@pytest.mark.parametrize("columns", [("img", "label"), ("image", "fine_label")])
@pytest.mark.parametrize("plain", [True, False])
def test_parquet_is_read_from_each_folder_and_form_in_use(
    folder: str, columns: tuple[str, str], plain: bool, tmp_path: Path
) -> None:
    pixels = some_pixels(4, 6, 5)
    write_parquet(tmp_path / folder, pixels, [0, 9, 3, 3], columns=columns, plain=plain)

    dataset = load_dataset("cifar10", tmp_path)

    assert dataset.layout == "Hugging Face layout (Parquet)"
    assert np.array_equal(dataset.train.pixels.numpy(), pixels)
    assert dataset.train.labels.tolist() == [0, 9, 3, 3]
    assert dataset.train.labels.dtype == torch.int64
    assert np.array_equal(dataset.test.pixels.numpy(), pixels[:2])


def test_shards_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    pixels = some_pixels(12, 2, 2)
    for shard_number in reversed(range(12)):
        path = tmp_path / f"train-{shard_number:05}-of-00012.parquet"
        write_shard(path, [png(pixels[shard_number])], [shard_number % 10])
    write_shard(tmp_path / "test-00000-of-00001.parquet", [png(pixels[0])], [0])

    assert np.array_equal(load_dataset("cifar10", tmp_path).train.pixels.numpy(), pixels)
    assert len(blank_dataset("cifar10", tmp_path).train) == 12


def test_a_shard_in_several_chunks_gives_all_of_its_rows(tmp_path: Path) -> None:
    pixels = some_pixels(5, 2, 2)
    write_parquet(tmp_path, pixels, [0, 1, 2, 3, 9])
    path = tmp_path / "train-00000-of-00001.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=2)

    dataset = load_dataset("cifar10", str(tmp_path))

    assert np.array_equal(dataset.train.pixels.numpy(), pixels)
    assert dataset.train.labels.tolist() == [0, 1, 2, 3, 9]


def test_the_originals_are_preferred_where_both_layouts_are_there(tmp_path: Path) -> None:
    write_cifar10_batches(tmp_path)
    write_parquet(tmp_path, some_pixels(2, 4, 4), [0, 1])

    assert "torchvision" in locate(DATASETS["cifar10"], tmp_path).layout


def test_the_data_directory_is_the_argument_else_the_variable_else_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, size in (("argument", 4), ("variable", 5), ("data", 6), (".", 7)):
        write_parquet(tmp_path / name, some_pixels(2, size, size), [0, 9])

    def side(directory: Path | None) -> int:
        return load_dataset("cifar10", directory).train.pixels.shape[-1]

    monkeypatch.setenv("TOPO_SWEEP_DATA", "variable")
    assert side(Path("argument")) == 4
    assert side(None) == 5
    monkeypatch.setenv("TOPO_SWEEP_DATA", "")
    assert side(None) == 6
    monkeypatch.delenv("TOPO_SWEEP_DATA")
    assert side(None) == 6


def test_finding_and_counting_open_no_image(tmp_path: Path) -> None:
    for part, rows in (("train", 3), ("test", 2)):
        write_shard(tmp_path / f"{part}-0.parquet", [b"not an image"] * rows, [0] * rows)
    folder = tmp_path / "batches" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in (*TRAIN_BATCHES, "test_batch"):
        (folder / name).write_bytes(b"not a pickle")

    assert locate(DATASETS["cifar10"], tmp_path).train == (tmp_path / "train-0.parquet",)

    def counts(name: str, directory: Path | None = None) -> tuple[int, int]:
        dataset = blank_dataset(name, directory)
        return len(dataset.train), len(dataset.test)

    assert counts("cifar10", tmp_path) == (3, 2)
    assert counts("cifar10", tmp_path / "batches") == (50_000, 10_000)
    assert counts("digits") == (1437, 360)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason=f"there is no {SHARED_DATA.name} beside here")
def test_ten_thousand_real_images_are_read_as_they_are(tmp_path: Path) -> None:
    shard = SHARED_DATA / "test-00000-of-00001.parquet"
    for part in ("train", "test"):
        (tmp_path / f"{part}-00000-of-00001.parquet").symlink_to(shard)
    dataset = load_dataset("cifar10", tmp_path)

    assert dataset.train.pixels.shape == (10_000, 3, 32, 32)
    assert dataset.train.labels.bincount().tolist() == [1000] * 10
    # Close to the mean of the originals, which swapped channels or scales would not be.
    mean = dataset.train.pixels.double().mean(dim=(0, 2, 3)) / 255
    torch.testing.assert_close(mean, torch.tensor(dataset.info.mean).double(), atol=0.01, rtol=0)


# What is refused


def refused(directory: Path, name: str = "cifar10") -> str:
    """Return the one line with which loading fails."""
    with pytest.raises(InputError) as raised:
        load_dataset(name, directory)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_folder_without_data_is_told_all_that_was_looked_for_and_how_to_name_it(
    tmp_path: Path,
) -> None:
    message = refused(tmp_path)

    assert message.startswith(f"no cifar10 in {tmp_path}: ")
    for part in ("cifar-10-batches-py/", "data_batch_5", "test_batch", "train-*.parquet"):
        assert part in message
    for way in ("--data-dir", "$TOPO_SWEEP_DATA", "data/", "--download"):
        assert way in message
    with pytest.raises(InputError, match="no cifar10 in "):
        len(blank_dataset("cifar10", tmp_path).train)


def test_a_folder_that_is_not_there_and_a_file_in_its_place_are_said_to_be_no_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()

    for name in ("nowhere", "file"):
        assert f"{tmp_path / name} (no such folder)" in refused(tmp_path / name)


def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)

    assert refused(tmp_path) == f"cannot look for cifar10 in {tmp_path}: Permission denied"


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar10_batches(tmp_path)

    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)

    path = tmp_path / "cifar-10-batches-py" / "data_batch_1"
    assert refused(tmp_path) == f"cannot read {path}: Permission denied"


@pytest.mark.parametrize("missing", ["data_batch_3", "test_batch"])
@pytest.mark.parametrize("as_folder", [True, False])
def test_an_incomplete_torchvision_folder_names_what_is_missing(
    missing: str, as_folder: bool, tmp_path: Path
) -> None:
    write_cifar10_batches(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / missing
    path.unlink()
    if as_folder:
        path.mkdir()

    assert f"incomplete: {missing} missing or not a file" in refused(tmp_path)


def test_a_part_or_a_shard_that_is_missing_doubled_or_a_folder_is_said(tmp_path: Path) -> None:
    images = [png(some_pixels(1, 2, 2)[0])]
    write_shard(tmp_path / "train-00000-of-00002.parquet", images, [9])
    second = tmp_path / "train-00001-of-00002.parquet"
    write_shard(second, images, [9])
    assert refused(tmp_path) == f"{tmp_path} is incomplete: there is no test-*.parquet"

    write_shard(tmp_path / "test-00000-of-00001.parquet", images, [9])
    assert len(load_dataset("cifar10", tmp_path).train) == 2

    second.unlink()
    assert "holds 1 train-*.parquet, but their names say 2: keep" in refused(tmp_path)

    second.mkdir()
    assert refused(tmp_path) == f"{second} is not a file"

    second.rmdir()
    write_shard(tmp_path / "train-00000-of-00001.parquet", images, [9])
    assert "their names say 1 and 2: keep exactly one complete set" in refused(tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_truncated_batch_is_named(kept: int, tmp_path: Path) -> None:
    write_cifar10_batches(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_2"
    path.write_bytes(path.read_bytes()[:kept])

    assert refused(tmp_path).startswith(f"{path} is not a batch of CIFAR images: ")


def test_a_hostile_batch_is_named_and_not_executed(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    write_cifar10_batches(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "data_batch_1"
    path.write_bytes(pickle.dumps({b"data": Attack(), b"labels": [0]}, protocol=2))

    message = refused(tmp_path)

    assert message.startswith(f"{path} is not a batch of CIFAR images: it wants to use ")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("kept", [0, 4, 60, -1])
def test_a_truncated_parquet_file_is_named(kept: int, tmp_path: Path) -> None:
    write_parquet(tmp_path, some_pixels(3, 8, 8), [0, 1, 2])
    path = tmp_path / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:kept])

    assert refused(tmp_path).startswith(f"{path} is not a readable Parquet file: ")
    with pytest.raises(InputError, match="is not a readable Parquet file"):
        blank_dataset("cifar10", tmp_path)


def test_a_parquet_file_with_damaged_pages_is_named(tmp_path: Path) -> None:
    write_parquet(tmp_path, some_pixels(20, 8, 8), list(range(10)) * 2)
    path = tmp_path / "train-00000-of-00001.parquet"
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)

    assert str(path) in refused(tmp_path)


def test_other_columns_are_refused_with_those_found_and_those_expected(tmp_path: Path) -> None:
    write_parquet(tmp_path, some_pixels(2, 4, 4), [0, 1], columns=("picture", "label"))

    message = refused(tmp_path)

    assert "has the columns picture, label: " in message
    assert "img or image" in message
    assert "label or fine_label" in message


@pytest.mark.parametrize(
    ("images", "labels", "problem"),
    [
        (pa.array([1, 2]), pa.array([0, 1]), "column img is of type int64, expected encoded"),
        (pa.array(["a", "b"]), pa.array([0, 1]), "column img is of type string"),
        (pa.array([{"path": "a"}] * 2), pa.array([0, 1]), "column img is of type struct"),
        (pa.array([b"a", b"b"]), pa.array(["0", "1"]), "column label is of type string"),
        (pa.array([b"a", b"b"]), pa.array([0.0, 1.0]), "column label is of type double"),
        (pa.array([b"a", None]), pa.array([0, 1]), "column img has 1 missing values"),
        (pa.array([{"bytes": b"a"}, None]), pa.array([0, 1]), "column img has 1 missing"),
        (
            pa.array([{"bytes": None}] * 2, pa.struct([("bytes", pa.binary())])),
            pa.array([0, 1]),
            "column img has 2 missing",
        ),
        (pa.array([b"a", b"b"]), pa.array([0, None]), "column label has 1 missing values"),
        (pa.array([], pa.binary()), pa.array([], pa.int64()), "holds no images"),
        (pa.array([b"a"]), pa.array([2**64 - 1], pa.uint64()), "not a readable Parquet"),
    ],
)
def test_columns_of_another_type_or_with_gaps_are_refused(
    images: pa.Array, labels: pa.Array, problem: str, tmp_path: Path
) -> None:
    for part in ("train", "test"):
        table = pa.Table.from_arrays([images, labels], names=["img", "label"])
        pq.write_table(table, tmp_path / f"{part}-0.parquet")

    assert problem in refused(tmp_path)


def test_an_image_that_cannot_be_decoded_is_named_by_file_and_row(tmp_path: Path) -> None:
    good = png(some_pixels(1, 8, 8)[0])
    jpeg = encoded(some_pixels(1, 8, 8)[0], "JPEG")
    for bad in (b"", b"no image", good[:30], jpeg[:-30], jpeg[:-30] + b"\xff\xd9"):
        for part in ("train", "test"):
            write_shard(tmp_path / f"{part}-0.parquet", [good, good, bad], [0, 1, 2])
        assert f"{tmp_path / 'train-0.parquet'}, row 2: not a readable image: " in refused(tmp_path)


def test_images_of_several_sizes_are_refused_in_a_file_and_between_files(tmp_path: Path) -> None:
    small, large = (png(some_pixels(1, size, size)[0]) for size in (4, 6))
    train, test = (tmp_path / f"{part}-0.parquet" for part in ("train", "test"))
    write_shard(train, [small, large], [0, 1])
    write_shard(test, [large, large], [0, 1])
    assert f"{train}, row 1: an image of 6x6 pixels, row 0 has 4x4" in refused(tmp_path)

    write_shard(train, [small, small], [0, 1])
    assert refused(tmp_path) == f"{test} holds images of 6x6 pixels, but {train} of 4x4"


@pytest.mark.parametrize("label", [10, 99, -1])
def test_labels_that_the_network_has_no_class_for_are_refused_in_both_layouts(
    label: int, tmp_path: Path
) -> None:
    problem = "is negative" if label < 0 else "means more classes in the data than the network has"
    write_cifar10_batches(tmp_path / "a")
    path = tmp_path / "a" / "cifar-10-batches-py" / "data_batch_4"
    write_batch(path, some_pixels(2, 32, 32), [0, label])
    write_parquet(tmp_path / "b", some_pixels(2, 4, 4), [0, label], columns=("img", "fine_label"))

    for directory in (tmp_path / "a", tmp_path / "b"):
        message = refused(directory)
        assert f", row 1: cifar10 has 10 classes (0..9), label {label} {problem}" in message
        assert str(directory) in message


def test_fewer_classes_than_the_name_says_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path, some_pixels(20, 2, 2), list(range(10)) * 2)

    assert "are 0..9, but cifar100 has 100 classes" in refused(tmp_path, "cifar100")


def test_two_data_sets_in_one_folder_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    write_parquet(tmp_path / "cifar10", some_pixels(2, 4, 4), [0, 9])
    write_parquet(tmp_path / "cifar100", some_pixels(2, 5, 5), [0, 99])

    assert load_dataset("cifar10", tmp_path).train.labels.tolist() == [0, 9]
    assert load_dataset("cifar100", tmp_path).train.labels.tolist() == [0, 99]
