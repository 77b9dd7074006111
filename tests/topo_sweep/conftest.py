"""What the tests of the instrument share: modules beside them and a clock that stands still."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

# pytest's importlib mode leaves this folder off the path; store_contract.py lives here.
sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("store_contract")


class Clock:
    """A monotonic clock that moves only when told to, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace `time.monotonic`."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock
