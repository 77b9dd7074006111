"""What the tests of commands share: the program in a folder of its own, and a finished sweep."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.program import done
from tests.topo_sweep.cli.program import RUN, Program


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
