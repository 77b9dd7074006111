"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file by this content; a crash leaves the old file or the new one, whole.

    Raises:
        OSError: as the file system says; no temporary file is left behind.

    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
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
