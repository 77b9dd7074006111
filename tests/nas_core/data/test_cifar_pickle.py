"""Batches in pickles of every age are read; what else a pickle asks for does not happen."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nas_core.data.cifar_pickle import read_batch

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 3072), dtype=np.uint8)
LABELS = [3, 1, 4, 1, 5, 9, 2]


def python_2_batch(
    images: npt.NDArray[np.uint8] = IMAGES,
    labels: list[int] = LABELS,
    key: bytes = b"labels",
    type_name: bytes = b"u1",
) -> bytes:
    """Return the bytes that Python 2's cPickle wrote: protocol 2, and every text a byte string."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def number(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    raw = images.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03"
        + (b"K\x00\x85" + text(b"b") + b"\x87Rq\x04")  # (ndarray, (0,), 'b')
        + (b"(K\x01" + number(images.shape[0]) + number(images.shape[1]) + b"\x86")
        + (b"cnumpy\ndtype\nq\x05" + text(type_name) + b"K\x00K\x01\x87Rq\x06")
        + (b"(K\x03" + text(b"|") + b"NNN" + number(-1) + number(-1) + b"K\x00tb")
        + (b"\x89T" + len(raw).to_bytes(4, "little") + raw + b"tb")
    )
    listed = b"](" + b"".join(number(label) for label in labels) + b"e"
    return (
        (b"\x80\x02}q\x01(" + text(b"batch_label") + text(b"training batch 1 of 5"))
        + (text(key) + listed + text(b"data") + array)
        + (text(b"filenames") + b"](" + text(b"a_1.png") + b"eu.")
    )


def test_the_hand_written_batch_is_what_numpy_reads_from_the_originals() -> None:
    batch = pickle.loads(python_2_batch(), encoding="bytes")  # noqa: S301 - written above

    assert np.array_equal(batch[b"data"], IMAGES)
    assert batch[b"labels"] == LABELS


@pytest.mark.parametrize("key", [b"labels", b"fine_labels"])
def test_a_batch_of_the_original_kind_is_read(key: bytes) -> None:
    pixels, labels = read_batch(python_2_batch(key=key))

    assert pixels.shape == (7, 3, 32, 32)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels.reshape(7, 3072), IMAGES)
    assert labels.dtype == np.int64
    assert labels.tolist() == LABELS


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("module", [b"numpy._core", b"numpy.core"])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_batch_is_read_in_every_protocol_as_old_and_new_numpy_write_it(
    protocol: int, module: bytes, as_text: bool
) -> None:
    keys: tuple[Any, Any] = ("data", "labels") if as_text else (b"data", b"labels")
    content = pickle.dumps(dict(zip(keys, (IMAGES, LABELS), strict=True)), protocol)
    if protocol < 4:  # later ones state the length of names, and frames
        content = content.replace(b"numpy._core", module)

    pixels, labels = read_batch(content)

    assert np.array_equal(pixels.reshape(7, 3072), IMAGES)
    assert labels.tolist() == LABELS


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    "attacked_part", ["all of it", "data", "labels", "a key", "beside the data"]
)
def test_a_pickle_that_runs_a_command_is_refused_and_nothing_runs(
    protocol: int, attacked_part: str, tmp_path: Path
) -> None:
    witness = tmp_path / "executed"
    attack = Calls(os.system, f"touch {witness}")
    batch: dict[Any, Any] = {b"data": IMAGES, b"labels": LABELS}
    content: Any = {
        "all of it": attack,
        "data": batch | {b"data": attack},
        "labels": batch | {b"labels": [attack]},
        "a key": batch | {attack: 0},
        "beside the data": batch | {b"filenames": attack},
    }[attacked_part]

    with pytest.raises(ValueError, match=r"it wants to use (posix|nt)\.system"):
        read_batch(pickle.dumps(content, protocol))
    assert not witness.exists()


@pytest.mark.parametrize("function", [eval, exec, getattr, np.load, np.frombuffer, np.empty])
def test_only_the_constructors_of_a_plain_array_are_let_through(
    function: Callable[..., Any],
) -> None:
    with pytest.raises(ValueError, match="it wants to use "):
        read_batch(pickle.dumps({b"data": Calls(function, "1"), b"labels": [1]}, 2))


@pytest.mark.slow
def test_a_small_pickle_cannot_allocate_much_memory() -> None:
    """Each of these takes a gigabyte or more of a plain unpickler, from some tens of bytes."""
    huge = Calls(np.ndarray, (1 << 30,), np.dtype("u1"))
    numpy_allocates = pickle.dumps({b"data": huge, b"labels": [1]}, 2)
    table = b"\x80\x02N" + b"r\xff\xff\xff\x07" + b"."  # LONG_BINPUT number 134,217,727
    text_table = b"N" + b"p134217727\n" + b"."
    long_bytes = b"\x80\x05\x96" + (1 << 33).to_bytes(8, "little") + b"."  # BYTEARRAY8
    many_tuples = (
        b"\x80\x02c_codecs\nencode\nq\x00("  # one call of 20,000 arguments, 20,000 times
        + b"N" * 20_000
        + b"tq\x01]("
        + b"h\x00h\x01R" * 20_000
        + b"e."
    )
    before = peak_mebibytes()
    for content in (numpy_allocates, table, text_table, long_bytes, many_tuples):
        with pytest.raises(ValueError, match=r"^(it|pickle|expected|not enough)|bytes"):
            read_batch(content)
    assert peak_mebibytes() - before < 100


def peak_mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_an_array_of_objects_is_refused_without_touching_its_bytes() -> None:
    """Real numpy takes the bytes for pointers here and crashes, hence the process of its own."""
    content = python_2_batch(type_name=b"O8")
    program = (
        "import sys; from nas_core.data.cifar_pickle import read_batch\n"
        "try: read_batch(sys.stdin.buffer.read())\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=content, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == "its data is not an array of bytes"


@pytest.mark.parametrize(
    ("data", "labels", "problem"),
    [
        (IMAGES.astype(np.int16), LABELS, "not an array of bytes"),
        (IMAGES.astype("S1"), LABELS, "not an array of bytes"),
        (IMAGES[:, :100], LABELS, "expected N x 3072"),
        (IMAGES[:0], [], r"shape \(0, 3072\)"),
        (IMAGES[0], LABELS, "two axes"),
        (IMAGES.reshape(7, 3, 32, 32), LABELS, "two axes"),
        (b"12345", LABELS, "two axes"),
        (None, LABELS, "two axes"),
        (IMAGES, LABELS[:-1], "7 images and 6 labels"),
        (IMAGES, None, "list of whole numbers"),
        (IMAGES, [*LABELS[:-1], "2"], "list of whole numbers"),
        (IMAGES, [*LABELS[:-1], 2.0], "list of whole numbers"),
        (IMAGES, [*LABELS[:-1], True], "list of whole numbers"),
        (IMAGES, [*LABELS[:-1], 10**30], "too large to be classes"),
    ],
)
def test_what_is_wrong_with_a_batch_is_said(data: object, labels: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_batch(pickle.dumps({b"data": data, b"labels": labels}, 5))


@pytest.mark.parametrize("content", [b"", b"\x80\x02]", pickle.dumps([1, 2]), b"PAR1", b"\x00" * 9])
def test_what_is_no_dictionary_of_a_batch_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_batch(content)


def test_a_stand_in_cannot_be_changed_for_the_next_pickle() -> None:
    """BUILD on a class sets attributes of the class in a plain unpickler."""
    attack = b"\x80\x02cnumpy\nndarray\nN}U\x08__init__K\x01s\x86b."
    with pytest.raises(ValueError, match=r"."):
        read_batch(attack)
    assert len(read_batch(python_2_batch())[0]) == 7


def test_damage_anywhere_gives_a_value_error_or_a_batch_and_nothing_else() -> None:
    chance = random.Random(0)  # noqa: S311 - the same damage each time
    small = python_2_batch(IMAGES[:1], LABELS[:1])
    structure = [
        offset
        for opcode, _, offset in pickletools.genops(io.BytesIO(small))
        if offset is not None and opcode.name != "BINSTRING"
    ]
    for _ in range(1500):
        damaged = bytearray(small)
        for _ in range(chance.randint(1, 3)):
            offset = chance.choice(structure) + chance.randint(0, 2)
            damaged[offset % len(damaged)] = chance.randrange(256)
        if chance.random() < 0.3:
            del damaged[chance.randrange(len(damaged)) :]
        try:
            pixels, labels = read_batch(bytes(damaged))
        except ValueError:
            continue
        assert len(pixels) == len(labels) == 1
