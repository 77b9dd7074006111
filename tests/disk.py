"""A disk without space, for tests of what is left of a write that fails."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import NoReturn


def full_disk(*_: object, **__: object) -> NoReturn:
    """Stand in for any call that writes: raise what the system raises on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fill(disk: Path) -> Path:
    """Take all space that is left; return the file to delete."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler
