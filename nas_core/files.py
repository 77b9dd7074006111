"""Files that are written whole or not at all, and what names their content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import uuid
from pathlib import Path

TEMPORARY = ".tmp"
"""How the names of files end that are being written, or that a killed process left."""


def digest(content: bytes) -> str:
    """Return sixteen hexadecimal digits that no damaged content has."""
    return hashlib.sha256(content).hexdigest()[:16]


def digest_of_file(path: Path) -> str:
    """Return the same of a file, which is not held in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file by this content; a crash leaves the old file or the new one, whole.

    Raises:
        OSError: as the file system says; no temporary file is left behind.

    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name itself must survive a power cut
    finally:
        os.close(folder)


def is_regular(path: Path) -> bool:
    """Return whether a path is a file itself: no link to one, no pipe that lets readers wait.

    Raises:
        FileNotFoundError: there is nothing.

    """
    return stat.S_ISREG(path.lstat().st_mode)


def remove(path: Path) -> None:
    """Remove a file that nobody needs any more; on a read-only disk it stays."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def write_output(path: Path, content: bytes) -> None:
    """Write what somebody asked for to where they asked for it.

    A regular file is replaced whole or not at all, at the end of a link; a device or a pipe is
    written into.

    Raises:
        OSError: as the file system says.

    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            file.write(content)
    else:
        write_durably(path.resolve(), content)
