"""Runs the program in the process and the folder of the test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from nas_core.training.epochs import EpochMetrics, Steps
from nas_core.training.training import Training
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


class Unlucky(Training):
    """A training that raises in its first epoch, if its seed is 1."""

    def run_epoch(self, epoch: int) -> Generator[Steps, None, EpochMetrics]:
        if self.seed == 1:
            raise RuntimeError("out of luck")
        return super().run_epoch(epoch)
