"""What the tests of commands share: the program in a folder of its own, and a finished sweep."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.program import done
from tests.topo_sweep.cli.program import RUN, Program
from topo_sweep.runs.timing import forecast
from topo_sweep.runs.timing.at_once import Kind
from topo_sweep.runs.timing.step_time import StepTime


@pytest.fixture(autouse=True)
def quick_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let dry runs forecast without timing anything: every step takes a second."""

    def second_each(kinds: Sequence[Kind], *_: object, **__: object) -> tuple[list[StepTime], int]:
        step_times = [
            StepTime(
                size=max(len(kind.members), 1),
                seconds=1.0,
                evaluation_seconds=0.0,
                steps=3,
                peak_memory_bytes=None,
            )
            for kind in kinds
        ]
        return step_times, 1

    monkeypatch.setattr(forecast, "time_kinds", second_each)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.chdir(tmp_path)
    return Program()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of `RUN`; to be copied."""
    folder = tmp_path_factory.mktemp("trained")
    done(folder, *RUN)
    return folder / "results"


@pytest.fixture
def results(trained: Path, tmp_path: Path) -> Path:
    """The results of `RUN`, in the folder of the program, which sees them as `results`."""
    return shutil.copytree(trained, tmp_path / "results")
