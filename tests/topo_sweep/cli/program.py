"""Runs the program in the process and the folder of the test."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import TINY
from tests.program import program

RUN = ("run", "demo", *TINY, "--executor", "inline", "--topologies", "0,179")
"""A sweep of two topologies, a fraction of a second each."""


class Program:
    """Runs the program; `errors` is what the last one said on stderr."""

    errors = ""

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Return stdout; the exit code must be the one expected."""
        ended = program(Path(), *arguments)
        self.errors = ended.errors
        assert ended.code == code, ended.errors
        return ended.output
