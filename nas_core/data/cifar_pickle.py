"""CIFAR's pickles, read without executing or building anything that they ask for.

An unpickler that lets real numpy constructors through can be made to crash or to fill all memory.
Here every constructor is an inert stand-in, and the one array is made from its raw bytes after.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

_ROW_BYTES = 3 * 32 * 32


class _Recorded:
    """Inert stand-in for a constructor: it takes down its arguments."""

    __slots__ = ("arguments", "state")

    def __init__(self, *arguments: object) -> None:
        # No more than any of them needs: copies of one long tuple could fill all memory.
        self.arguments = arguments[:4]
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Array(_Recorded):
    """A numpy array that nothing has built."""


class _Type(_Recorded):
    """A numpy dtype that nothing has built."""


class _Encoded(_Recorded):
    """Text and an encoding: the form in which Python 3 writes bytes in old protocols."""


_STAND_INS: Final[Mapping[tuple[str, str], type[_Recorded]]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,  # numpy 2
    ("numpy.core.numeric", "_frombuffer"): _Array,  # protocol 5
    ("numpy._core.numeric", "_frombuffer"): _Array,
    ("_codecs", "encode"): _Encoded,
}


class _InertUnpickler(pickle.Unpickler):
    """Builds containers, numbers, texts and stand-ins."""

    def find_class(self, module_name: str, global_name: str) -> type[_Recorded]:
        """Return a stand-in, or refuse."""
        if (module_name, global_name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it wants to use {module_name}.{global_name}"[:100])
        return _STAND_INS[module_name, global_name]


def read_batch(content: bytes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the images (N, 3, 32, 32) and labels (N,) of one batch, N >= 1.

    A batch is a dictionary with `data`, an array (N, 3072) of bytes, and `labels` or
    `fine_labels`, a list; protocols 0 to 5, as Python 2 or 3 and any numpy write them.

    Raises:
        ValueError: it is anything else, or damaged, or hostile; the message says "it".

    """
    try:
        batch = _unpickled(content)
    except (
        pickle.UnpicklingError,
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        TypeError,
    ) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    pixels = _array(batch.get("data"))
    labels = batch.get("labels", batch.get("fine_labels"))
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError("its labels are not a list of whole numbers")
    if len(labels) != len(pixels):
        raise ValueError(f"it has {len(pixels)} images and {len(labels)} labels")
    try:
        numbers = np.array(labels, dtype=np.int64)
    except OverflowError:
        raise ValueError("its labels are too large to be classes") from None
    return pixels.reshape(-1, 3, 32, 32).copy(), numbers


def _unpickled(content: bytes) -> dict[str, object]:
    """Return the dictionary of a pickle, its keys as text."""
    for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        # What is kept for later gets numbers from 0 or 1 on. One number of billions, in ten
        # bytes, would make the unpickler fill all memory with an empty table.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > number:
            raise pickle.UnpicklingError(f"it keeps its value {number} as number {argument}")
    # Python 2 did not tell text from bytes: the original pixels are such strings.
    batch = _InertUnpickler(io.BytesIO(content), encoding="bytes").load()
    if not isinstance(batch, dict):
        raise pickle.UnpicklingError("it holds no dictionary")
    return {text: item for key, item in batch.items() if (text := _text(key)) is not None}


def _text(value: object) -> str | None:
    """Return a text in any of the forms that pickles have for it, else None."""
    if isinstance(value, _Encoded) and value.arguments:
        value = value.arguments[0]
    if isinstance(value, bytes):
        return value.decode("latin1")
    return value if isinstance(value, str) else None


def _array(value: object) -> npt.NDArray[np.uint8]:
    """Return the array (N, 3072) that a stand-in describes, over its own bytes."""
    match value:
        case _Array(state=(_, (int(rows), int(width)), _Type(arguments=(kind, *_)), False, raw)):
            pass
        case _Array(arguments=(raw, _Type(arguments=(kind, *_)), (int(rows), int(width)), "C")):
            pass
        case _:
            raise ValueError("its data is not an array with two axes")
    if isinstance(raw, _Encoded):
        raw = (_text(raw) or "").encode("latin1")
    if _text(kind) not in ("u1", "|u1") or not isinstance(raw, bytes | bytearray):
        raise ValueError("its data is not an array of bytes")
    if rows < 1 or width != _ROW_BYTES or len(raw) != rows * width:
        raise ValueError(
            f"its data has {len(raw)} bytes for the shape ({rows}, {width}), expected N x "
            f"{_ROW_BYTES}"
        )
    return np.frombuffer(raw, dtype=np.uint8).reshape(rows, width)
