"""What the tests of the instrument share: a clock that stands still."""

from __future__ import annotations

import time

import pytest

pytest.register_assert_rewrite("tests.topo_sweep.store_contract")


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
