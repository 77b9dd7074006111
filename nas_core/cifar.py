"""Reading CIFAR-10 and CIFAR-100 from the files in which people have them.

Two layouts: the original Python pickles, as torchvision unpacks them, and the Parquet files of
Hugging Face. Both become uint8 pixels (N, 3, H, W) and int64 labels (N,). How a pickle, which is
a program, is read safely is in `cifar_pickle.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from nas_core.cifar_pickle import read_batch
from nas_core.datasets import DatasetInfo
from nas_core.errors import InputError

Arrays = tuple[Tensor, Tensor]
"""Pixels (N, 3, H, W) uint8 and labels (N,) int64."""

_PARQUET_FOLDERS = ("", "data", "plain_text", "cifar10", "cifar100")
_IMAGE_COLUMNS = ("img", "image")
_LABEL_COLUMNS = {"cifar10": ("label",), "cifar100": ("fine_label", "label")}
_PICKLES: Final = {
    "cifar10": (
        "cifar-10-batches-py",
        [f"data_batch_{number}" for number in range(1, 6)],
        ["test_batch"],
    ),
    "cifar100": ("cifar-100-python", ["train"], ["test"]),
}


@dataclass(frozen=True)
class Location:
    """Where a data set's files are: `read` reads one of them."""

    layout: str
    train: tuple[Path, ...]
    test: tuple[Path, ...]
    read: Callable[[Path], Arrays]

    def load(self) -> tuple[Arrays, Arrays]:
        """Read training and test images.

        Raises:
            InputError: names the file that is damaged or of another form.

        """
        return self._joined(self.train), self._joined(self.test)

    def _joined(self, files: Sequence[Path]) -> Arrays:
        parts = [self.read(file) for file in files]
        shapes = {tuple(pixels.shape[1:]) for pixels, _ in parts}
        if len(shapes) > 1:
            raise InputError(f"{files[0].parent} holds images of several sizes: {sorted(shapes)}")
        return torch.cat([pixels for pixels, _ in parts]), torch.cat(
            [labels for _, labels in parts]
        )


def locate(info: DatasetInfo, directory: Path) -> Location:
    """Find the files of a CIFAR data set without reading them.

    Raises:
        InputError: says which layouts and files were looked for.

    """
    folder, train, test = _PICKLES[info.name]
    for base in (directory / folder, directory):
        if all((base / name).is_file() for name in (*train, *test)):
            return Location(
                layout=f"torchvision layout ({folder})",
                train=tuple(base / name for name in train),
                test=tuple(base / name for name in test),
                read=lambda file: _read_pickle(file, info),
            )
    for name in _PARQUET_FOLDERS:
        shards = {
            part: sorted((directory / name).glob(f"{part}-*.parquet")) for part in ("train", "test")
        }
        if all(shards.values()):
            return Location(
                layout="Hugging Face layout (Parquet)",
                train=tuple(shards["train"]),
                test=tuple(shards["test"]),
                read=lambda file: _read_parquet(file, info),
            )
    raise InputError(
        f"no {info.name} in {directory}: looked for {folder}/{{{','.join([*train, *test])}}} "
        "(torchvision) and for train-*.parquet with test-*.parquet (Hugging Face); give its "
        "folder with --data-dir or $TOPO_SWEEP_DATA, or fetch it with --download"
    )


def training_image_count(location: Location, info: DatasetInfo) -> int:
    """Return the number of training images without decoding one."""
    if location.train[0].suffix != ".parquet":
        return info.train_images
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return sum(pq.read_metadata(file).num_rows for file in location.train)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"a Parquet file of {location.train[0].parent} is damaged: {error}"
        ) from None


def download(info: DatasetInfo, directory: Path) -> None:
    """Fetch the original archive into `directory` and unpack it, by torchvision's downloader.

    torchvision's own data set classes would unpickle what they fetched; only the address and the
    checksum are taken from them.

    Raises:
        InputError: no network, or the archive is not the known one.

    """
    from torchvision import datasets
    from torchvision.datasets.utils import download_and_extract_archive

    source = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[info.name]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        download_and_extract_archive(
            source.url, str(directory), filename=source.filename, md5=source.tgz_md5
        )
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"cannot download {info.name} from {source.url}: {error}; fetch it by other means and "
            "give its folder with --data-dir"
        ) from None


def _read_parquet(file: Path, info: DatasetInfo) -> Arrays:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(file).names
        image = next((name for name in _IMAGE_COLUMNS if name in names), None)
        label = next((name for name in _LABEL_COLUMNS[info.name] if name in names), None)
        if image is None or label is None:
            raise InputError(
                f"{file} has columns {', '.join(names)}; needed are {' or '.join(_IMAGE_COLUMNS)} "
                f"and {' or '.join(_LABEL_COLUMNS[info.name])}"
            )
        table = pq.read_table(file, columns=[image, label])
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{file} is no readable Parquet file: {error}") from None
    column = table[image].combine_chunks()
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = column.field("bytes")
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        raise InputError(f"column {image} of {file} holds {column.type}, not encoded images")
    if not pa.types.is_integer(table[label].type) or column.null_count or table[label].null_count:
        raise InputError(f"{file} has missing images or labels that are missing or no integers")
    labels = torch.from_numpy(table[label].to_numpy().astype(np.int64))
    return _decoded(column, file), _checked_labels(labels, file, info)


def _decoded(column: Any, file: Path) -> Tensor:  # noqa: ANN401 - a pyarrow array of binary
    """Decode JPEG or PNG images of one size into one (N, 3, H, W) tensor."""
    if not len(column):
        raise InputError(f"{file} holds no images")
    pixels: Tensor | None = None
    for row, encoded in enumerate(_raw_images(column)):
        image = _decoded_image(encoded, row, file)
        if pixels is None:
            pixels = torch.empty((len(column), *image.shape), dtype=torch.uint8)
        if image.shape != pixels.shape[1:]:
            raise InputError(
                f"row {row} of {file} is {image.shape[1]}x{image.shape[2]}, "
                f"but row 0 is {pixels.shape[2]}x{pixels.shape[3]}"
            )
        pixels[row] = image
    assert pixels is not None  # noqa: S101 - the column is not empty
    return pixels


def _raw_images(column: Any) -> Iterator[Tensor]:  # noqa: ANN401 - a pyarrow array of binary
    """Yield the encoded images (bytes,) as views of one tensor: no copy, no Python bytes."""
    import pyarrow as pa

    column = column.cast(pa.large_binary())
    _, offsets_buffer, data = column.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[column.offset :][: len(column) + 1]
    everything = torch.frombuffer(bytearray(data or b"\0"), dtype=torch.uint8)
    for start, stop in pairwise(offsets.tolist()):
        yield everything[start:stop]


def _decoded_image(encoded: Tensor, row: int, file: Path) -> Tensor:
    from torchvision.io import ImageReadMode, decode_image, decode_jpeg

    # Straight to the JPEG decoder: 60,000 images then take a third less time.
    is_jpeg = encoded[:2].tolist() == [0xFF, 0xD8]
    decode = decode_jpeg if is_jpeg else decode_image
    try:
        image: Tensor = decode(encoded, mode=ImageReadMode.RGB)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"row {row} of {file} is no readable image: {reason}") from None
    return image


def _read_pickle(file: Path, info: DatasetInfo) -> Arrays:
    try:
        pixels, labels = read_batch(file.read_bytes())
    except (ValueError, OSError) as error:
        raise InputError(f"{file} is no CIFAR batch: {error}") from None
    return torch.from_numpy(pixels), _checked_labels(torch.from_numpy(labels), file, info)


def _checked_labels(labels: Tensor, file: Path, info: DatasetInfo) -> Tensor:
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= info.num_classes:
        raise InputError(
            f"{file} has labels {low}..{high}, more classes than {info.name}'s "
            f"{info.num_classes}: is it another data set?"
        )
    return labels
