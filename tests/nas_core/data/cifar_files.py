"""Small files in CIFAR's layouts, for the tests beside."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq

TRAIN_BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
Pixels = npt.NDArray[np.uint8]


def some_pixels(count: int, *size: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, *size), dtype=np.uint8)


def png(image: Pixels) -> bytes:
    return encoded(image, "PNG")


def encoded(image: Pixels, kind: str) -> bytes:
    """Return an image (3, H, W), or (1, H, W) in grey, as the bytes of a file."""
    file = io.BytesIO()
    rows = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    PIL.Image.fromarray(rows).save(file, kind)
    return file.getvalue()


def write_batch(path: Path, pixels: Pixels, labels: list[int], key: bytes = b"labels") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    batch = {b"data": pixels.reshape(len(pixels), -1), key: labels, b"batch_label": b"one"}
    path.write_bytes(pickle.dumps(batch, protocol=2))


def write_cifar10_batches(directory: Path) -> Pixels:
    """Write torchvision's layout, 2 images a batch with labels 0..9; return all training pixels."""
    folder = directory / "cifar-10-batches-py"
    pixels = some_pixels(10, 32, 32)
    for batch_number, name in enumerate(TRAIN_BATCHES):
        chosen = slice(2 * batch_number, 2 * batch_number + 2)
        write_batch(folder / name, pixels[chosen], list(range(10))[chosen])
    write_batch(folder / "test_batch", pixels[:3], [7, 8, 9])
    return pixels


def write_shard(
    path: Path,
    images: list[Any],
    labels: Any,
    columns: tuple[str, str] = ("img", "label"),
    *,
    plain: bool = False,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    column = images if plain else [{"bytes": image, "path": None} for image in images]
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    arrays = [pa.array(column, pa.binary() if plain else struct), pa.array(labels)]
    pq.write_table(pa.Table.from_arrays(arrays, names=list(columns)), path)


def write_parquet(directory: Path, pixels: Pixels, labels: list[int], **shape: Any) -> None:
    """Write a training shard of these images, and a test shard of the first two."""
    images = [png(image) for image in pixels]
    write_shard(directory / "train-00000-of-00001.parquet", images, labels, **shape)
    write_shard(directory / "test-00000-of-00001.parquet", images[:2], labels[:2], **shape)
