"""Encoded images: decoded as they are, or refused where they are damaged."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from nas_core.data import encoded
from nas_core.data.encoded import decode
from tests.nas_core.data.cifar_files import encoded as encoded_as
from tests.nas_core.data.cifar_files import png, some_pixels

PIXELS = some_pixels(1, 32, 32)[0]
JPEG, PNG = encoded_as(PIXELS, "JPEG"), png(some_pixels(1, 4, 4)[0])
DATA = JPEG.index(b"\xff\xda") + 14
"""Where the coded image begins in `JPEG`, behind all of its tables."""
END = b"\xff\xd9"


def refusal(damaged: bytes, whole: bytes) -> str:
    """Return with which words the second of two images is refused."""
    with pytest.raises(ValueError, match="row 1: not a readable image: ") as raised:
        decode([whole, damaged])
    return str(raised.value)


def test_a_png_is_decoded_to_its_pixels() -> None:
    assert decode([png(PIXELS)])[0].numpy().tolist() == PIXELS.tolist()


def test_jpeg_and_grey_images_become_three_channels() -> None:
    grey = np.full((1, 8, 8), 100, np.uint8)

    pixels = decode(
        [encoded_as(grey.repeat(3, axis=0), "JPEG"), encoded_as(grey, "JPEG"), png(grey)]
    )

    assert pixels.shape == (3, 3, 8, 8)
    assert (pixels.int() - 100).abs().max() <= 1  # what JPEG loses of a flat grey


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_jpeg_that_ends_early_is_refused_also_where_its_end_is_marked(kept: float) -> None:
    cut = JPEG[: DATA + int(kept * (len(JPEG) - DATA))]

    refusal(cut, JPEG)
    assert "Corrupt JPEG data: premature end of data segment" in refusal(cut + END, JPEG)


def test_a_jpeg_with_damaged_or_foreign_bytes_is_refused_in_libjpegs_words() -> None:
    middle = (DATA + len(JPEG)) // 2
    foreign = JPEG[:-2] + bytes(range(1, 200)) + END
    marked = JPEG[:middle] + b"\xff\xd0" + JPEG[middle + 2 :]

    assert "Corrupt JPEG data: 199 extraneous bytes before marker 0xd9" in refusal(foreign, JPEG)
    assert "Corrupt JPEG data: " in refusal(marked, JPEG)


def test_a_png_in_which_any_bit_was_flipped_is_refused() -> None:
    for place in range(len(PNG)):
        flipped = bytearray(PNG)
        flipped[place] ^= 1 << place % 8
        refusal(bytes(flipped), PNG)


def test_a_png_that_is_cut_off_anywhere_is_refused() -> None:
    for kept in range(len(PNG)):
        refusal(PNG[:kept], PNG)


def test_what_follows_the_end_of_an_image_does_not_matter() -> None:
    for whole in (JPEG, PNG):
        first, second = decode([whole, whole + b"more"])
        assert torch.equal(first, second)


def test_only_libjpegs_complaints_are_taken_from_stderr(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = encoded._decoded

    def talking(file: bytes) -> torch.Tensor:
        os.write(2, b"said by another\n")
        return decoded(file)

    monkeypatch.setattr(encoded, "_decoded", talking)
    decode([JPEG])
    assert capfd.readouterr().err == "said by another\n"

    refusal(JPEG[:-40] + END, JPEG)
    os.write(2, b"stderr is back\n")
    assert capfd.readouterr().err == "said by another\n" * 2 + "stderr is back\n"
