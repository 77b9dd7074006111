"""The commands as their users meet them: help, output, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from tests.topo_sweep.cli.program import Program
from topo_sweep.cli.main import cli

HEAVY = ("torch", "ray", "pandas", "pyarrow", "matplotlib", "pydantic")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(commands(cli)), ids=" ".join)
def test_the_help_of_every_command_shows_an_example(path: Sequence[str], program: Program) -> None:
    text = program(*path, "--help")
    assert "Example" in text
    assert f"topo-sweep {' '.join(path)}".strip() in text.partition("Example")[2]


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set()),
        (["enumerate"], set()),
        (["run", "--help"], set()),
        (["enumerate", "--grid", "subspaces"], {"pydantic"}),  # reads a sweep's file
    ],
)
def test_help_and_enumerate_import_nothing_heavy(arguments: list[str], needed: set[str]) -> None:
    code = (
        "import sys\nfrom topo_sweep.cli.main import main\n"
        f"try:\n    main({arguments!r})\n"
        "except SystemExit:\n    print(sorted(sys.modules), file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "'topo_sweep.cli'" in process.stderr
    assert {module for module in HEAVY if f"'{module}'" in process.stderr} == needed


def test_python_m_is_the_same_program(program: Program) -> None:
    command = [sys.executable, "-m", "topo_sweep", "enumerate", "--format", "csv"]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout == program("enumerate", "--format", "csv")


def into_a_closed_pipe(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as in `topo-sweep ... | head -0`, whose reader is gone at once."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-m", "topo_sweep", *arguments]
        return subprocess.run(
            command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)


def test_a_reader_that_takes_a_line_and_goes_gets_it_without_a_traceback() -> None:
    command = f"{sys.executable} -m topo_sweep enumerate --nodes 5 | head -1"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert process.stdout.startswith("index")
    assert process.stderr == ""


@pytest.mark.parametrize("arguments", [["enumerate"], ["--help"]])
def test_a_reader_that_goes_away_is_no_failure(arguments: list[str]) -> None:
    assert into_a_closed_pipe(*arguments).returncode == 0


@pytest.mark.slow
@pytest.mark.usefixtures("program", "results")
def test_a_closed_pipe_gives_no_traceback() -> None:
    assert into_a_closed_pipe("enumerate").stderr == ""
    process = into_a_closed_pipe("rank")
    assert [line for line in process.stderr.splitlines() if not line.startswith("sweep: ")] == []


def test_a_damaged_store_is_a_failure_that_names_the_file(
    program: Program, results: Path, tmp_path: Path
) -> None:
    part = min(results.glob("*/trials/part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    assert program("rank", code=1) == ""
    assert f"topo-sweep: {part.relative_to(tmp_path)} is damaged" in program.errors
    assert "Traceback" not in program.errors


def test_version_and_no_arguments(program: Program) -> None:
    assert program("--version") == f"topo-sweep, version {version('topo-sweep')}\n"
    assert program(code=2) == ""
    assert "Commands:" in program.errors


TOO_LONG = "x" * 300


@pytest.mark.parametrize(
    "request_",
    [
        *(("status", TOO_LONG), ("rank", TOO_LONG), ("compare", TOO_LONG), ("promote", TOO_LONG)),
        *(("plot", "surface", TOO_LONG), ("search", "--topology-from", TOO_LONG)),
        *(("run", "demo", "--results", TOO_LONG), ("run", "demo", "--data-dir", TOO_LONG)),
        ("run", "demo", "--results", "x/" * 3000),
    ],
)
def test_a_path_that_no_file_system_holds_is_refused_in_a_line(
    request_: tuple[str, ...], program: Program
) -> None:
    assert program(*request_, code=2) == ""
    (line,) = program.errors.splitlines()
    assert line.endswith("... is no path: File name too long")
    assert len(line) < 200


def test_what_the_system_refuses_is_told_in_a_line(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "results/sweep.json")

    monkeypatch.setattr("topo_sweep.store.opened.open_sweep", refused)
    assert program("rank", code=1) == ""
    assert program.errors == "topo-sweep: Permission denied: results/sweep.json\n"
