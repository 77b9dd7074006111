"""What the tests of commands share: the program, run in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topo_sweep.cli.program import Program


@pytest.fixture
def program(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Program:
    monkeypatch.chdir(tmp_path)
    return Program(capsys)
