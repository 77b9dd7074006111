"""CIFAR's files: torchvision's layout (pickles) or Hugging Face's (Parquet), found and read.

Letters: N images, H and W pixels. Rows are counted from 0.
"""

from __future__ import annotations

import re
import socket
import tarfile
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final, NoReturn
from urllib.error import HTTPError

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nas_core.data.cifar_pickle import read_batch
from nas_core.data.encoded import decode, size_text
from nas_core.errors import InputError
from nas_core.protocols.data import DatasetInfo

PARQUET: Final = "Hugging Face layout (Parquet)"

Labelled = tuple[Tensor, Tensor]
"""Pixels (N, 3, H, W) uint8 and labels (N,) int64."""

_TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_BATCHES: Final[Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]]] = {
    "cifar10": ("cifar-10-batches-py", _TRAIN_BATCHES, ("test_batch",)),
    "cifar100": ("cifar-100-python", ("train",), ("test",)),
}
"""Folder, training files and test files of torchvision's layout."""

_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = ("label", "fine_label")
_DOWNLOAD_TIMEOUT_SECONDS = 60.0


class NoFilesError(InputError):
    """There is not one of the files of a data set, where it was looked for."""


@dataclass(frozen=True)
class DataFiles:
    """Where a data set is: `layout` in words (no path), and its files in the order of reading."""

    layout: str
    train: tuple[Path, ...]
    test: tuple[Path, ...]


def locate(info: DatasetInfo, directory: Path) -> DataFiles:
    """Find the files of CIFAR-10 or CIFAR-100, the originals before Parquet, and read none.

    Raises:
        NoFilesError: there are none.
        InputError: there are only some of them.

    """
    try:
        files = _locate_pickles(info, directory) or _locate_parquet(info, directory)
        where = f"{directory}{'' if directory.is_dir() else ' (no such folder)'}"
    except OSError as error:
        raise InputError(f"cannot look for {info.name} in {directory}: {_line(error)}") from None
    if files is not None:
        return files
    base, train, test = _BATCHES[info.name]
    raise NoFilesError(
        f"no {info.name} in {where}: looked for {base}/ with {', '.join((*train, *test))} "
        "(torchvision's layout) and for train-*.parquet and test-*.parquet, also in "
        f"{', '.join(f'{name}/' for name in _parquet_folders(info))} (Hugging Face's); name the "
        "folder with --data-dir DIR or $TOPO_SWEEP_DATA, or put it at data/; --download fetches "
        "the originals"
    )


def _locate_pickles(info: DatasetInfo, directory: Path) -> DataFiles | None:
    base, train, test = _BATCHES[info.name]
    folder = directory if directory.name == base else directory / base
    if not folder.is_dir():
        return None
    if missing := [name for name in (*train, *test) if not (folder / name).is_file()]:
        raise InputError(
            f"{folder} is incomplete: {', '.join(missing)} missing or not a file; --download "
            "fetches the originals"
        )
    return DataFiles(
        layout=f"torchvision layout ({base})",
        train=tuple(folder / name for name in train),
        test=tuple(folder / name for name in test),
    )


def _parquet_folders(info: DatasetInfo) -> tuple[str, ...]:
    """Return where Hugging Face's repositories keep Parquet files, besides the top folder."""
    return ("data", "plain_text", info.name)


def _locate_parquet(info: DatasetInfo, directory: Path) -> DataFiles | None:
    for folder in (directory, *(directory / name for name in _parquet_folders(info))):
        if not folder.is_dir():
            continue
        paths = sorted(folder.iterdir())
        train, test = (
            tuple(path for path in paths if re.fullmatch(rf"{part}-.*\.parquet", path.name))
            for part in ("train", "test")
        )
        if train or test:
            _check_shards(folder, "train", train)
            _check_shards(folder, "test", test)
            return DataFiles(PARQUET, train, test)
    return None


def _check_shards(folder: Path, part: str, shards: Sequence[Path]) -> None:
    """Refuse what would silently be a smaller data set, or the same images twice."""
    if not shards:
        raise InputError(f"{folder} is incomplete: there is no {part}-*.parquet")
    for path in shards:
        if not path.is_file():
            raise InputError(f"{path} is not a file")
    matches = (re.search(r"-of-(\d+)\.parquet$", path.name) for path in shards)
    totals = {int(match[1]) for match in matches if match}
    if totals and totals != {len(shards)}:
        raise InputError(
            f"{folder} holds {len(shards)} {part}-*.parquet, but their names say "
            f"{' and '.join(str(total) for total in sorted(totals))}: keep exactly one complete set"
        )


def download(info: DatasetInfo, directory: Path) -> None:
    """Let torchvision download the original archive, check it and unpack it into `directory`.

    An archive that is there already is used. torchvision's own classes would unpickle the files.

    Raises:
        InputError: no network, no such page, a damaged archive, or a folder that cannot be written.

    """
    from torchvision.datasets import CIFAR10, CIFAR100
    from torchvision.datasets.utils import download_and_extract_archive

    source = {"cifar10": CIFAR10, "cifar100": CIFAR100}[info.name]
    base = _BATCHES[info.name][0]
    root = directory.parent if directory.name == base else directory
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_SECONDS)  # urllib itself waits for ever
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".unpacking-") as temporary:
            download_and_extract_archive(
                source.url,
                download_root=root,
                extract_root=temporary,
                filename=source.filename,
                md5=source.tgz_md5,
            )
            # Moved when whole: half a file would look like a data set the next time.
            (root / base).mkdir(exist_ok=True)
            for path in sorted((Path(temporary) / base).iterdir()):
                path.replace(root / base / path.name)
    except (OSError, RuntimeError, HTTPException, tarfile.TarError, EOFError, zlib.error) as error:
        if isinstance(error, HTTPError):
            error.close()  # it is also the open connection
        raise InputError(
            f"cannot download {info.name} from {source.url} to {root}: {_line(error)}; fetch it by "
            "other means and name its folder with --data-dir"
        ) from None
    finally:
        socket.setdefaulttimeout(patience)


def read(files: DataFiles, info: DatasetInfo) -> tuple[Labelled, Labelled]:
    """Read the training images and the test images.

    Raises:
        InputError: names the file (and the row) that is damaged, hostile or does not fit.

    """
    read_file = _read_parquet if files.layout == PARQUET else _read_pickle
    paths = (*files.train, *files.test)
    parts: list[Labelled] = []
    for path in paths:
        try:
            part = read_file(path, info)
        except OSError as error:
            raise InputError(f"cannot read {path}: {_line(error)}") from None
        if parts and part[0].shape[1:] != parts[0][0].shape[1:]:
            raise InputError(
                f"{path} holds images of {size_text(part[0])} pixels, but {paths[0]} of "
                f"{size_text(parts[0][0])}"
            )
        parts.append(part)
    middle = len(files.train)
    return _joined(parts[:middle]), _joined(parts[middle:])


def _joined(parts: Sequence[Labelled]) -> Labelled:
    if len(parts) == 1:
        return parts[0]
    pixels, labels = zip(*parts, strict=True)
    return torch.cat(pixels), torch.cat(labels)


def _line(error: BaseException) -> str:
    """Return what an error says as one line of bounded length."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return " ".join(text.split())[:300] or type(error).__name__


def _checked_labels(labels: npt.NDArray[np.int64], path: Path, info: DatasetInfo) -> Tensor:
    wrong = np.flatnonzero((labels < 0) | (labels >= info.num_classes))
    if len(wrong):
        label = labels[wrong[0]]
        problem = (
            "is negative"
            if label < 0
            else "means more classes in the data than the network has; is it another data set?"
        )
        raise InputError(
            f"{path}, row {wrong[0]}: {info.name} has {info.num_classes} classes (0.."
            f"{info.num_classes - 1}), label {label} {problem}"
        )
    return torch.from_numpy(labels)


def _read_pickle(path: Path, info: DatasetInfo) -> Labelled:
    try:
        pixels, labels = read_batch(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is not a batch of CIFAR images: {_line(error)}") from None
    return torch.from_numpy(pixels), _checked_labels(labels, path, info)


def image_counts(files: DataFiles, info: DatasetInfo) -> tuple[int, int]:
    """Return how many training and how many test images there are, without decoding one.

    Parquet files say it; CIFAR's pickles are taken to be the originals.

    Raises:
        InputError: a Parquet file is damaged, or cannot be read.

    """
    if files.layout != PARQUET:
        return info.train_images, info.test_images
    return sum(map(_parquet_rows, files.train)), sum(map(_parquet_rows, files.test))


def _parquet_rows(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        _refuse_parquet(path, error)


def _refuse_parquet(path: Path, error: Exception) -> NoReturn:
    raise InputError(f"{path} is not a readable Parquet file: {_line(error)}") from None


def _read_parquet(path: Path, info: DatasetInfo) -> Labelled:
    """Read one shard: a column of encoded images and one of labels."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            image, label = _columns(path, file.schema_arrow.names)
            table = file.read(columns=[image, label])
        images, labels = table[image], table[label]
        if pa.types.is_struct(images.type) and images.type.get_field_index("bytes") >= 0:
            images = pc.struct_field(images, "bytes")
        if not (pa.types.is_binary(images.type) or pa.types.is_large_binary(images.type)):
            raise InputError(
                f"{path}: column {image} is of type {table[image].type}, expected encoded images "
                "(binary, or a struct with a binary field bytes)"
            )
        if not pa.types.is_integer(labels.type):
            raise InputError(
                f"{path}: column {label} is of type {labels.type}, expected whole numbers"
            )
        for name, column in ((image, images), (label, labels)):
            if column.null_count:
                raise InputError(f"{path}: column {name} has {column.null_count} missing values")
        if not len(table):
            raise InputError(f"{path} holds no images")
        numbers = labels.cast(pa.int64()).to_numpy().copy()
    except (pa.ArrowException, OSError) as error:
        _refuse_parquet(path, error)
    try:
        pixels = decode(images.to_pylist())
    except ValueError as error:
        raise InputError(f"{path}, {_line(error)}") from None
    return pixels, _checked_labels(numbers, path, info)


def _columns(path: Path, names: Sequence[str]) -> tuple[str, str]:
    """Return the names of the image column and of the label column."""
    image, label = (
        next((name for name in candidates if names.count(name) == 1), None)
        for candidates in (_IMAGE_COLUMNS, _LABEL_COLUMNS)
    )
    if image is None or label is None:
        raise InputError(
            f"{path} has the columns {', '.join(names)}: expected one of "
            f"{' or '.join(_IMAGE_COLUMNS)} and one of {' or '.join(_LABEL_COLUMNS)}"
        )
    return image, label
