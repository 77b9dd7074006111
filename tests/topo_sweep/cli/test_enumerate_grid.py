"""`topo-sweep enumerate --grid`: the paper's two grids of searches."""

from __future__ import annotations

import csv
import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nas_core.cells.spaces import SPACES
from tests.topo_sweep.cli.program import Program
from topo_sweep.cli.enumerate import GRID_NAMES, Grid, enumerate_command, grid_records


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(enumerate_command, arguments)
    assert result.exception is None, result.output
    return result.stdout


def keys(records: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(record["space"], record["cells"], record["seed"]) for record in records]


def test_the_grid_of_subspaces_is_every_space_at_two_depths_with_ten_seeds() -> None:
    records = json.loads(printed("--grid", "subspaces", "--format", "json"))
    assert keys(records) == list(
        itertools.product([f"SS{number}" for number in range(1, 9)], [5, 16], range(20, 30))
    )
    assert len(records) == 160


def test_the_grid_of_depths_is_one_space_at_four_depths_with_ten_seeds() -> None:
    records = json.loads(printed("--grid", "depth", "--format", "json"))
    assert keys(records) == list(itertools.product(["SS1"], [5, 10, 16, 20], range(20, 30)))
    assert len(records) == 40


@pytest.mark.parametrize("name", GRID_NAMES)
def test_a_record_holds_the_operations_of_its_space(name: Grid) -> None:
    for record in grid_records(name):
        assert list(record) == ["space", "operations", "cells", "seed"]
        assert tuple(record["operations"]) == SPACES[record["space"]]


@pytest.mark.parametrize("name", GRID_NAMES)
def test_table_and_csv_hold_what_json_holds(name: Grid) -> None:
    records = grid_records(name)
    header, *lines = printed("--grid", name).splitlines()
    assert header.split() == ["space", "cells", "seed", "operations"]
    assert [line.split() for line in lines] == [
        [r["space"], str(r["cells"]), str(r["seed"]), *r["operations"]] for r in records
    ]
    rows = list(csv.DictReader(io.StringIO(printed("--grid", name, "--format", "csv"))))
    assert [row | {"operations": json.loads(row["operations"])} for row in rows] == [
        record | {"cells": str(record["cells"]), "seed": str(record["seed"])} for record in records
    ]


def test_a_grid_can_be_written_to_a_file(tmp_path: Path) -> None:
    target = tmp_path / "grid.json"
    assert printed("--grid", "depth", "--format", "json", "-o", str(target)) == ""
    assert json.loads(target.read_text(encoding="utf-8")) == grid_records("depth")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--unique"], "--unique"),
        (["--nodes", "4"], "--nodes"),
        (["--nodes", "3", "--unique"], "--unique and --nodes"),
    ],
)
def test_options_of_topologies_are_refused_beside_a_grid(
    options: list[str], named: str, program: Program
) -> None:
    assert program("enumerate", "--grid", "depth", *options, code=2) == ""
    assert (
        program.errors == f"topo-sweep: --grid lists searches, not topologies: leave out {named}\n"
    )


def test_an_unknown_grid_is_refused_with_those_that_there_are() -> None:
    result = CliRunner().invoke(enumerate_command, ["--grid", "space"])
    assert result.exit_code == 2
    assert "'space' is not one of 'subspaces', 'depth'" in result.stderr
