"""`topo-sweep` with a clock that jumps by what a file says, in seconds."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Final, Self

from topo_sweep.cli.main import entry
from topo_sweep.runs import recorder
from topo_sweep.store import parts

OFFSET: Final = "TOPO_SWEEP_CHAOS_CLOCK"
"""The environment variable that names the file."""


def offset() -> float:
    """Return by how many seconds the clock is off now."""
    try:
        return float(Path(os.environ[OFFSET]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0


class Jumping(datetime):
    """A `datetime` whose now is off."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Return the time of the clock that jumps."""
        return super().now(tz) + timedelta(seconds=offset())


def time_ns() -> int:
    """Return the time of the clock that jumps."""
    return time.time_ns() + int(offset() * 1e9)


if __name__ == "__main__":
    recorder.datetime = Jumping  # type: ignore[attr-defined]
    parts.time = SimpleNamespace(time_ns=time_ns)  # type: ignore[assignment,attr-defined]
    entry()
