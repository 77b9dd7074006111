"""`topo-sweep list`: a line a sweep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.program import done
from tests.topo_sweep.cli.program import RUN, Program

ROOT = Path(__file__).parents[3]


@pytest.mark.usefixtures("results")
def test_each_sweep_has_a_line_that_tells_it_from_the_others(program: Program) -> None:
    program(*RUN, "--epochs", "1", "--executor", "inline")

    header, *lines = program("list").splitlines()
    assert program.errors == ""
    assert len(lines) == 2
    assert header.split() == [
        "folder",
        "what",
        "protocol",
        "data",
        "seeds",
        "done",
        "failed",
        "best",
    ]
    assert all("topologies 0,179" in line and "2/2" in line for line in lines)
    (changed,) = (line for line in lines if "epochs 1 (not 5)" in line)
    assert "digits (no hold-out, 64 trained on)" in changed

    records = json.loads(program("list", "--format", "json"))
    assert [Path(record["folder"]).name for record in records] == [
        line.split()[0] for line in lines
    ]
    assert json.loads(program("list", records[0]["folder"], "--format", "json")) == records[:1]


def test_searches_are_told_apart_by_their_settings_and_what_trains_their_cells() -> None:
    shown = {
        name: done(ROOT, "list", f"results/studies/{name}").output
        for name in ("edarts-cifar10", "table2-digits")
    }
    _, both = shown["edarts-cifar10"].splitlines()
    assert "attention none and once, topology [1, 1]; trained by shallow, init_channels 8" in both
    for line in shown["table2-digits"].splitlines()[1:]:
        assert "all operations, 3 cells, init_channels 4" in line
        assert "alpha_at last; trained by demo  digits" in line


def test_a_sweep_that_cannot_be_opened_is_named_beside_the_others(
    program: Program, results: Path
) -> None:
    (folder,) = results.iterdir()
    (results / "broken").mkdir()
    (results / "broken" / "sweep.json").write_text("{")

    assert folder.name in program("list")
    (problem,) = program.errors.splitlines()
    assert "results/broken" in problem
