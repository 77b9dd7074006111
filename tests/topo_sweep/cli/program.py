"""Runs the program in the process of the test."""

from __future__ import annotations

import pytest

from topo_sweep.cli.main import main


class Program:
    """Runs the program in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.errors = ""

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Return stdout; the exit code must be the one expected."""
        with pytest.raises(SystemExit) as end:
            main(arguments)
        output, self.errors = self.capsys.readouterr()
        assert end.value.code == code, self.errors
        return output
