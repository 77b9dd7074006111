"""The commands as their users meet them: help, output, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from nas_core.training.epochs import EpochMetrics
from nas_core.training.training import Training
from tests.conftest import TINY
from tests.topo_sweep.cli.program import Program
from topo_sweep import load_results
from topo_sweep.cli.main import cli

RUN = ("run", "demo", *TINY, "--executor", "inline", "--topologies", "0,179")
HEAVY = ("torch", "ray", "pandas", "pyarrow", "matplotlib", "pydantic")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def files(folder: str = ".") -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


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
        "import sys\nfrom topo_sweep.cli.main import main\n"
        f"try:\n    main({arguments!r})\n"
        "except SystemExit:\n    print(sorted(sys.modules), file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "'topo_sweep.cli'" in process.stderr
    assert [module for module in HEAVY if f"'{module}'" in process.stderr] == []


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


@pytest.mark.parametrize("unique", [(), ("--unique",)])
def test_enumerate_gives_the_same_as_csv_and_as_json(
    unique: tuple[str, ...], program: Program
) -> None:
    records = json.loads(program("enumerate", *unique, "--format", "json"))
    rows = parsed(program("enumerate", *unique, "--format", "csv"))
    assert [{key: json.loads(text) for key, text in row.items()} for row in rows] == records


@pytest.mark.parametrize(
    ("nodes", "count", "classes"),
    [(1, 1, 1), (2, 3, 3), (3, 18, 13), (4, 180, 79), (5, 2700, 633)],
)
def test_enumerate_counts_the_topologies_and_classes_of_any_cell(
    nodes: int, count: int, classes: int, program: Program
) -> None:
    rows = parsed(program("enumerate", "--nodes", str(nodes), "--format", "csv"))
    assert len(rows) == count
    assert {len(json.loads(row["edges"])) for row in rows} == {nodes}
    unique = parsed(program("enumerate", "--nodes", str(nodes), "--unique", "--format", "csv"))
    assert len(unique) == classes


def test_enumerate_writes_a_file_instead_of_printing(program: Program) -> None:
    printed = program("enumerate", "--format", "json")
    assert program("enumerate", "--format", "json", "-o", "all.json") == ""
    assert program.errors == ""
    assert Path("all.json").read_text(encoding="utf-8") == printed
    assert len(program("enumerate").splitlines()) == 181


def test_a_dry_run_says_what_would_run_and_writes_nothing(program: Program) -> None:
    text = program(*RUN, "--seeds", "0-2", "--dry-run")
    for part in (
        *("topologies 0,179, seeds 0-2", "6: 0 done, 0 failed, 6 to run", "2 a trial, 12 to train"),
        *("digits: 64 to train on of 1,437", "kB of rows", "results/demo-digits-"),
    ):
        assert part in text
    assert "the store has no measured trial yet" in text
    assert program.errors == ""
    assert not list(Path().iterdir())


def test_a_dry_run_counts_what_is_done_and_estimates_from_it(program: Program) -> None:
    program(*RUN)
    before = files()
    text = program(*RUN, "--seeds", "0-1", "--dry-run")
    assert "4: 2 done, 0 failed, 2 to run" in text
    assert "2 a trial, 4 to train" in text
    assert "measured in this store" in text
    assert files() == before


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("run demo --holdout 5000", "holdout=5000 leaves nothing to train on"),
        ("run demo --train-limit 5000", "train_limit=5000 is more than the 1437 training images"),
        ("evaluate DARTS_V2 --dataset digits --protocol final", "images of 8x8"),
        ("search --topology 1 --dataset digits --holdout 1436", "2 training images or more"),
    ],
)
def test_a_dry_run_refuses_what_a_run_refuses(request_: str, said: str, program: Program) -> None:
    for how in ("--dry-run", "--executor=inline"):
        assert program(*request_.split(), how, code=2) == ""
        (line,) = program.errors.splitlines()
        assert said in line
    assert not list(Path().iterdir())


def test_a_run_tells_its_progress_on_stderr_and_nothing_on_stdout(program: Program) -> None:
    assert program(*RUN) == ""
    assert program.errors.startswith("data: digits, ")
    assert "2/2 done" in program.errors
    assert "done: 2 of 2 trials are kept in results/demo-digits-" in program.errors


def test_a_sweep_from_run_to_picture(program: Program) -> None:
    program(*RUN)

    status = json.loads(program("status", "--format", "json"))
    counts = {"planned": 2, "ok": 2, "diverged": 0, "failed": 0, "left": 0, "running": 0}
    assert {key: status[key] for key in counts} == counts
    assert program.errors.startswith("sweep: results/demo-digits-")
    assert parsed(program("status", "--format", "csv"))[0].keys() == status.keys()
    assert program("status").splitlines()[0].split() == [*list(counts)[:-1], "running"]

    ranked = json.loads(program("rank", "--format", "json"))
    assert set(ranked[0]) == {
        *("rank", "genotype", "topology", "class_id", "n", "runs", "diverged", "metric"),
        *("mean", "sd", "ci_low", "ci_high"),
    }
    assert ranked[0]["sd"] is ranked[0]["ci_low"] is ranked[0]["ci_high"] is None
    assert sorted(row["topology"] for row in ranked) == [0, 179]
    assert "not evidence" in program.errors
    assert [row["genotype"] for row in parsed(program("rank", "--format", "csv"))] == [
        row["genotype"] for row in ranked
    ]
    table = program("rank", "--top", "1")
    assert "Last-epoch test accuracy" in table
    assert "not evidence" in table
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["rank", "1", "(1"]

    place = Path(program("plot", "surface").strip())
    assert place.match("results/demo-digits-*/figures/surface.png")
    assert place.read_bytes().startswith(b"\x89PNG")
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        file = Path(f"surface{suffix}")
        assert program("plot", "surface", "-o", str(file)) == f"{file}\n"
        assert file.read_bytes().startswith(start)


def test_a_second_run_does_nothing_and_writes_nothing(program: Program) -> None:
    program(*RUN)
    before = files()
    assert program(*RUN) == ""
    assert program.errors.startswith("nothing to do: all 2 trials are in results/demo-digits-")
    assert files() == before


def test_more_seeds_add_only_what_is_new(program: Program) -> None:
    program(*RUN)
    rows, parts = load_results(), set(files("results"))
    program(*RUN, "--seeds", "0-1")
    after = load_results()

    assert parts <= set(files("results"))
    assert len(after) == 4
    assert after[after["seed"] == 0].reset_index(drop=True).equals(rows)
    ranked = json.loads(program("rank", "--min-seeds", "2", "--format", "json"))
    assert [row["n"] for row in ranked] == [2, 2]
    assert all(row["ci_low"] <= row["mean"] <= row["ci_high"] for row in ranked)


def test_a_request_above_the_limit_runs_with_yes(program: Program) -> None:
    text = program(*RUN, "--seeds", "0-5000", "--yes", "--dry-run")
    assert "10002: 0 done" in text


def test_a_trial_that_raises_is_a_row_and_the_sweep_goes_on(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fails(Training):
        def run_epoch(self, epoch: int) -> EpochMetrics:
            if self.seed == 1:
                raise RuntimeError("out of luck")
            return super().run_epoch(epoch)

    with monkeypatch.context() as patched:
        patched.setattr("topo_sweep.runs.runner.Training", Fails)
        program(*RUN, "--seeds", "0-2", code=1)
    assert "failed: topology 0, seed 1: RuntimeError: out of luck" in program.errors
    assert "--retry-failed" in program.errors
    assert "done: 4 of 6 trials" in program.errors
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


def test_a_closed_pipe_gives_no_traceback(program: Program) -> None:
    program(*RUN)
    assert into_a_closed_pipe("enumerate").stderr == ""
    process = into_a_closed_pipe("rank")
    assert [line for line in process.stderr.splitlines() if not line.startswith("sweep: ")] == []


def test_a_damaged_store_is_a_failure_that_names_the_file(program: Program) -> None:
    program(*RUN)
    part = min(Path("results").glob("*/trials/part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    assert program("rank", code=1) == ""
    assert f"topo-sweep: {part} is damaged" in program.errors
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
