"""The errors that topo-sweep raises on purpose, and what it tells of others.

A message names the value and what to do next.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

_DEVICE_FAILED: Final = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EPIPE}


class TopoSweepError(Exception):
    """Base of all our errors: something that was asked for could not be done.

    Its message is one line whatever it quotes: what cannot be printed is escaped.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


class InputError(TopoSweepError, ValueError):
    """What was asked for is not possible as asked: a bad value, file, folder or combination.

    A ValueError, so that pydantic reports one that a validator raises beside its own.
    """


def unwritable(path: Path, error: OSError, hint: str = "") -> TopoSweepError:
    """Return the error of a file that could not be written: an InputError unless a device failed.

    `hint` is what to do, as in '; -o names another place'.
    """
    kind = TopoSweepError if error.errno in _DEVICE_FAILED else InputError
    return kind(f"cannot write {path}: {error.strerror or error}{hint}")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def nearest(name: object, valid: Iterable[str], *, most: int = 3, cutoff: float = 0.6) -> str:
    """Return the valid names nearest to one that is not, as 'a or b'; '' where none is near.

    Args:
        name: what was written.
        valid: what could have been meant.
        most: how many names at most.
        cutoff: the least similarity, 0..1.

    """
    return " or ".join(difflib.get_close_matches(str(name), list(valid), most, cutoff))


def valid_keys_hint(name: str, valid: Collection[str]) -> str:
    """Return what to write instead of an unknown key: the nearest valid ones, else all."""
    near = nearest(name, valid, cutoff=0.5)
    return f"did you mean {near}?" if near else f"valid keys: {', '.join(sorted(valid))}"
