"""The commands as their users meet them: help, output, exit codes."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest

from nas_core.training import Training
from tests.conftest import TINY
from topo_sweep import load_results
from topo_sweep.cli import cli, main

RUN = ("run", "demo", *TINY, "--executor", "inline", "--topologies", "0,179")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)


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


@pytest.mark.parametrize("arguments", [["--help"], ["enumerate"], ["run", "--help"]])
def test_help_and_enumerate_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom topo_sweep.cli import main\n"
        f"try:\n    main({arguments!r})\n"
        "except SystemExit:\n    print(sorted(sys.modules), file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for module in ("torch", "ray", "pandas", "pyarrow", "matplotlib", "pydantic"):
        assert f"'{module}'" not in process.stderr


def test_python_m_is_the_same_program(program: Program) -> None:
    command = [sys.executable, "-m", "topo_sweep", "enumerate", "--format", "csv"]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stdout == program("enumerate", "--format", "csv")


def test_enumerate_gives_every_topology_with_its_facts(program: Program) -> None:
    records = json.loads(program("enumerate", "--format", "json"))
    assert [record["index"] for record in records] == list(range(180))
    assert records[179] == {
        "index": 179,
        "class_id": 78,
        "edges": [[0, 1], [1, 2], [2, 3], [3, 4]],
        "longest_path": 4,
        "input_edges": 3,
    }


def test_enumerate_unique_gives_one_a_class_with_its_members(program: Program) -> None:
    records = json.loads(program("enumerate", "--unique", "--format", "json"))
    assert len(records) == 79
    members = [index for record in records for index in record["members"]]
    assert sorted(members) == list(range(180))
    assert all(record["index"] == min(record["members"]) for record in records)


@pytest.mark.parametrize(("nodes", "count"), [(1, 1), (2, 3), (3, 18), (5, 2700)])
def test_enumerate_counts_other_cells(nodes: int, count: int, program: Program) -> None:
    rows = list(
        csv.DictReader(io.StringIO(program("enumerate", "--nodes", str(nodes), "--format", "csv")))
    )
    assert len(rows) == count
    assert len(json.loads(rows[0]["edges"])) == nodes


def test_enumerate_writes_a_file_instead_of_printing(program: Program) -> None:
    printed = program("enumerate", "--format", "json")
    assert program("enumerate", "--format", "json", "-o", "all.json") == ""
    assert Path("all.json").read_text(encoding="utf-8") == printed
    assert len(program("enumerate").splitlines()) == 181


def test_a_dry_run_says_what_would_run_and_writes_nothing(program: Program) -> None:
    text = program(*RUN, "--dry-run")
    for part in ("topologies 0,179", "2: 0 done", "2 to run", "64 to train on of 1,437", "kB"):
        assert part in text
    assert "the store has no measured trial yet" in text
    assert not list(Path().iterdir())


def test_a_sweep_from_run_to_picture(program: Program) -> None:
    assert program(*RUN) == ""
    assert "done: 2 of 2 trials are kept in results/demo-digits-" in program.errors

    status = json.loads(program("status", "--format", "json"))
    assert {k: status[k] for k in ("planned", "ok", "diverged", "failed", "left", "running")} == {
        "planned": 2, "ok": 2, "diverged": 0, "failed": 0, "left": 0, "running": 0,
    }  # fmt: skip
    assert "sweep: results/demo-digits-" in program.errors
    assert "measured in this store" in program(*RUN, "--seeds", "0-1", "--dry-run")

    ranked = json.loads(program("rank", "--format", "json"))
    assert {"rank", "genotype", "topology", "class_id", "n", "runs", "mean", "sd"} < set(ranked[0])
    assert ranked[0]["ci_low"] is ranked[0]["ci_high"] is None
    assert sorted(row["topology"] for row in ranked) == [0, 179]
    assert len(list(csv.DictReader(io.StringIO(program("rank", "--format", "csv"))))) == 2
    table = program("rank", "--top", "1")
    assert "Last-epoch test accuracy" in table
    assert "not evidence" in table

    place = Path(program("plot", "surface").strip())
    assert place.parent.name == "figures"
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        file = Path(f"surface{suffix}")
        assert program("plot", "surface", "-o", str(file)) == f"{file}\n"
        assert file.read_bytes().startswith(start)


def test_more_seeds_add_only_what_is_new(program: Program) -> None:
    program(*RUN)
    before = load_results()
    program(*RUN, "--seeds", "0-1")
    after = load_results()

    assert len(after) == 4
    assert after[after["seed"] == 0].reset_index(drop=True).equals(before)
    assert len(json.loads(program("rank", "--min-seeds", "2", "--format", "json"))) == 2


def test_a_trial_that_raises_is_a_row_and_the_sweep_goes_on(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fails(Training):
        def _train_epoch(self, epoch: int) -> tuple[float, float]:
            if self.seed == 1:
                raise RuntimeError("out of luck")
            return super()._train_epoch(epoch)

    with monkeypatch.context() as patched:
        patched.setattr("topo_sweep.runner.Training", Fails)
        program(*RUN, "--seeds", "0-2", code=1)
    assert "failed: topology 0, seed 1: RuntimeError: out of luck" in program.errors
    assert "--retry-failed" in program.errors
    rows = load_results()
    assert sorted(rows["status"]) == ["failed"] * 2 + ["ok"] * 4
    assert set(rows.loc[rows["status"] == "failed", "error"]) == {"RuntimeError: out of luck"}

    program(*RUN, "--seeds", "0-2", code=1)
    assert "nothing to do" in program.errors
    program(*RUN, "--seeds", "0-2", "--retry-failed")
    rows = load_results()
    assert set(rows["status"]) == {"ok"}
    assert sorted(rows["attempt"]) == [1, 1, 1, 1, 2, 2]


def test_diverged_trials_are_results_and_are_shown(program: Program) -> None:
    program(*RUN, "--set", "learning_rate=1e30")
    rows = load_results()
    assert set(rows["status"]) == {"diverged"}
    assert rows["error"].str.contains("in epoch").all()
    assert "diverged" in program("rank")
    program(*RUN, "--set", "learning_rate=1e30")
    assert "nothing to do" in program.errors


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m topo_sweep enumerate --nodes 5 | head -1"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert process.stdout.startswith("index")
    assert process.stderr == ""


def test_version_and_no_arguments(program: Program) -> None:
    assert "0.1.0" in program("--version")
    assert program(code=2) == ""
    assert "Commands:" in program.errors
