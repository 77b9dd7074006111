"""What a process does with the memory that tensors on a CPU free."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Parameters of `mallopt`, by `malloc.h` of glibc."""
_LARGEST_KEPT: Final = 2**25
"""Bytes; glibc takes no more."""


def keep_freed_memory() -> None:
    """Let this process keep blocks of up to 32 MiB that are freed, for what comes next.

    By default glibc hands them back at once, and Linux fills each new one with zeros: of a step of
    a packed network that can be a quarter. It lasts until the process ends. Where there is
    no glibc nothing happens.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_TRIM_THRESHOLD, -1)
