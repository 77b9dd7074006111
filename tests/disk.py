"""A disk without space, for tests of what is left of a write that fails."""

from __future__ import annotations

import errno
import os
from typing import NoReturn


def full_disk(*_: object, **__: object) -> NoReturn:
    """Stand in for any call that writes: raise what the system raises on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
