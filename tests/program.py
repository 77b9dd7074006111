"""The real command line, run in this process and in any folder; reading what it left there."""

from __future__ import annotations

import contextlib
import io
import struct
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from topo_sweep.cli.main import main
from topo_sweep.store.opened import OpenedSweep, open_sweep

MEASURED = [
    *("search_seconds", "weight_step_seconds", "alpha_step_seconds"),
    *("peak_memory_bytes", "node", "finished_at"),
]
"""Columns of a search that may differ between equal runs."""

TIMES = ["finished_at", "seconds"]
"""Columns of an epoch of a search that may."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    errors: str


def program(folder: Path, *arguments: str) -> Ended:
    """Run `topo-sweep` in a folder."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        pytest.raises(SystemExit) as end,
    ):
        main(arguments)
    assert isinstance(end.value.code, int)
    return Ended(end.value.code, output.getvalue(), errors.getvalue())


def done(folder: Path, *arguments: str) -> Ended:
    """Run `topo-sweep` in a folder and expect that it does what it was asked for."""
    ended = program(folder, *arguments)
    assert ended.code == 0, ended.errors
    return ended


def refused(folder: Path, *arguments: str) -> str:
    """Run it and expect exit code 2, one line on stderr, and nothing printed or written."""
    before = files(folder)
    ended = program(folder, *arguments)
    assert (ended.code, ended.output) == (2, ""), ended.errors
    (line,) = ended.errors.splitlines()
    assert line.startswith("topo-sweep: ")
    assert files(folder) == before
    return line


def files(folder: Path) -> dict[Path, bytes | None]:
    """Return all that is in a folder: files with their content, and folders."""
    paths = folder.rglob("*")
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


def the_sweep(folder: Path, name: str) -> OpenedSweep:
    """Open the only sweep of this name in a folder of sweeps."""
    (sweep_folder,) = (p for p in folder.iterdir() if p.name.rsplit("-", 2)[0] == name)
    return open_sweep(sweep_folder)


def comparable_searches(results: Path) -> pd.DataFrame:
    """Return a sweep's searches without what may differ between equal runs."""
    rows = open_sweep(results).searches().drop(columns=MEASURED)
    return rows.sort_values("search_id", ignore_index=True)


def comparable_alphas(results: Path) -> pd.DataFrame:
    """Return the epochs of a sweep's searches without what may differ between equal runs."""
    rows = open_sweep(results).search_epochs().drop(columns=TIMES)
    return rows.sort_values(["search_id", "epoch"], ignore_index=True)


def png_size(path: Path) -> tuple[int, int]:
    """Return width and height of a PNG, which must be one."""
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", head[16:])
    return width, height
