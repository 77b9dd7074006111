"""The sweep of searches that these tests run whole, on Ray, stopped and killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Once
from tests.integration.small_searches import SPEC, SWEEP
from tests.program import done


@pytest.fixture(scope="session")
def whole(once: Once) -> Path:
    """The results of an undisturbed run in one process; only to be read."""
    return once("whole", run_whole) / "results"


def run_whole(folder: Path) -> None:
    (folder / "small.yaml").write_text(SPEC, encoding="utf-8")
    ended = done(folder, *SWEEP, "--executor", "inline")
    assert ended.output == ""
    assert "done: 12 of 12 trials are kept in results/small-digits-" in ended.errors


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder in which `run` and `start` run the program, with the sweep in it."""
    (tmp_path / "small.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path
