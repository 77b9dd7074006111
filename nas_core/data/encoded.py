"""Encoded images as pixels: what is damaged is refused, also where it still decodes.

Letters: N images, H and W pixels. Rows are counted from 0.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_STDERR: Final = 2
_COMPLAINT: Final = re.compile(
    rb"(?m)^(?:Corrupt JPEG|Premature end of JPEG|Inconsistent progression|Invalid SOS).*\n?"
)
"""What libjpeg prints of a damaged file before it makes up the rest of the image."""


def decode(files: Sequence[bytes]) -> Tensor:
    """Return encoded images as pixels (N, 3, H, W) uint8; there is at least one.

    libjpeg fills what it cannot read with grey and only says so on the process's stderr, so that
    is read meanwhile: Pillow, for one, is silent on the same damage. A PNG is checked by its
    checksums, for torchvision's decoder crashes on damaged ones (and still would on one that was
    made to have them right around wrong content). A JPEG has no checksum: damage that leaves
    another valid JPEG is found by no decoder, only by the fingerprint of the pixels.

    Raises:
        ValueError: an image that is damaged, or does not fit; names its row.
        OSError: there is no room for a temporary file.

    """
    images: list[Tensor] = []
    with _complaints() as complaint, warnings.catch_warnings():
        # torchvision 0.29 announces that its decoders will move to torchcodec; they work as ever.
        warnings.filterwarnings("ignore", "The image decoding and encoding", DeprecationWarning)
        for row, file in enumerate(files):
            try:
                image = _decoded(file)
            except (RuntimeError, ValueError) as error:
                raise ValueError(f"row {row}: not a readable image: {error}") from None
            if problem := complaint():
                raise ValueError(f"row {row}: not a readable image: {problem}")
            if image.ndim != 3 or image.dtype != torch.uint8:
                raise ValueError(f"row {row}: not a single image of 8 bits a channel")
            images.append(image)
            if image.shape != images[0].shape:
                raise ValueError(
                    f"row {row}: an image of {size_text(image)} pixels, row 0 has "
                    f"{size_text(images[0])}"
                )
    return torch.stack(images)


def size_text(images: Tensor) -> str:
    """Return height and width of images (..., H, W) in words."""
    return f"{images.shape[-2]}x{images.shape[-1]}"


def _decoded(file: bytes) -> Tensor:
    from torchvision.io import ImageReadMode, decode_image

    if file.startswith(_PNG):
        _check_png(file)
    encoded = torch.frombuffer(bytearray(file), dtype=torch.uint8)
    image: Tensor = decode_image(encoded, mode=ImageReadMode.RGB)
    return image


def _check_png(file: bytes) -> None:
    """Refuse a PNG with a chunk whose checksum is not that of its content, or without an end."""
    start, kind = len(_PNG), b""
    while kind != b"IEND":
        end = start + 8 + int.from_bytes(file[start : start + 4], "big")  # length, kind, content
        kind = file[start + 4 : start + 8]
        if end + 4 > len(file):
            raise ValueError("a PNG that is cut off")
        if zlib.crc32(file[start + 4 : end]) != int.from_bytes(file[end : end + 4], "big"):
            raise ValueError(f"a PNG whose chunk {kind!r} is damaged")
        start = end + 4


@contextlib.contextmanager
def _complaints() -> Iterator[Callable[[], str]]:
    """Yield what returns a decoder's complaint since it was last asked, or ''.

    Inside the block stderr is a temporary file. What else was written to it, by whomever, is passed
    on afterwards.
    """
    with tempfile.TemporaryFile() as file:
        stderr, read = os.dup(_STDERR), 0

        def complaint() -> str:
            nonlocal read
            written = os.fstat(file.fileno()).st_size
            if written == read:
                return ""
            text = os.pread(file.fileno(), written - read, read)
            read = written
            found = _COMPLAINT.search(text)
            return found[0].decode(errors="replace") if found else ""

        os.dup2(file.fileno(), _STDERR)
        try:
            yield complaint
        finally:
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            file.seek(0)
            with contextlib.suppress(OSError):
                os.write(_STDERR, _COMPLAINT.sub(b"", file.read()))
