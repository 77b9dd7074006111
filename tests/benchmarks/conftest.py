"""The scripts of `benchmarks/`, as modules and as commands."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

Script = Callable[[str], Any]
RunScript = Callable[..., None]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Import a script; those that it imports lie beside it."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def run_script(script: Script, monkeypatch: pytest.MonkeyPatch) -> RunScript:
    """Run a script as a command, in this process."""

    def run(name: str, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [f"benchmarks/{name}.py", *arguments])
        script(name).main()

    return run
