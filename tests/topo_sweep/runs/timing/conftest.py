"""Timing that takes no time."""

from __future__ import annotations

import pytest

from tests.topo_sweep.runs.timing.forecasts import Timed
from topo_sweep.runs.timing import forecast


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Timed:
    stand_in = Timed()
    monkeypatch.setattr(forecast, "time_kinds", stand_in)
    monkeypatch.setattr("time.process_time", lambda: 0.0)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    return stand_in
