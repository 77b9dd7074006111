"""What a command does where stdout or stderr is full, closed, or read by nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import comparable
from tests.program import done
from topo_sweep.store.opened import open_sweep

PRINTS = ("enumerate", "--help", "protocol show demo")
RUN = "run demo --topologies 0 --epochs 1 --train-limit 48 --executor inline"


def shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `topo-sweep` is this program."""
    program = f'topo-sweep() {{ "{sys.executable}" -m topo_sweep "$@"; }}; {command}'
    bash = ("bash", "-o", "pipefail", "-c", program)
    return subprocess.run(bash, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "where"),
    [*((command, "> /dev/full") for command in PRINTS), (PRINTS[0], ">&-"), (PRINTS[1], "<&- >&-")],
)
def test_what_cannot_be_printed_is_told_in_one_line(
    command: str, where: str, tmp_path: Path
) -> None:
    ended = shell(tmp_path, f"topo-sweep {command} {where}")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("topo-sweep: cannot write to stdout: ")


@pytest.mark.slow
def test_a_reader_who_has_read_enough_ends_a_command_in_silence(tmp_path: Path) -> None:
    for command in PRINTS:
        ended = shell(tmp_path, f"topo-sweep {command} | true")
        assert (ended.returncode, ended.stderr) == (0, ""), command


@pytest.mark.slow
def test_what_is_said_beside_data_may_be_lost(tmp_path: Path) -> None:
    for where in ("2> /dev/full", "2>&-"):
        listed = shell(tmp_path, f"topo-sweep enumerate --unique --format csv {where}")
        assert (listed.returncode, len(listed.stdout.splitlines())) == (0, 80), where
        refused = shell(tmp_path, f"topo-sweep nonsense {where}")
        assert refused.returncode == 2, where


@pytest.mark.long
def test_a_run_outlives_the_reader_of_what_it_says(tmp_path: Path) -> None:
    ended = shell(tmp_path, f"topo-sweep {RUN} 2>&1 | true")
    assert (ended.returncode, ended.stdout) == (0, "")
    (row,) = open_sweep(tmp_path / "results").trials().to_dict("records")
    assert row["status"] == "ok"


@pytest.mark.long
def test_closed_streams_end_no_run_and_put_nothing_into_files(tmp_path: Path) -> None:
    (tmp_path / "quiet").mkdir()
    (tmp_path / "usual").mkdir()
    assert shell(tmp_path / "quiet", f"topo-sweep {RUN} >&- 2>&- <&-").returncode == 0
    done(tmp_path / "usual", *RUN.split())
    quiet, usual = (comparable(tmp_path / name / "results") for name in ("quiet", "usual"))
    assert quiet.equals(usual)
