"""Commands on searches with random cells beside them show what was found, and say so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.topo_sweep.analysis.inference.random_beside import searched_with_random_cells
from tests.topo_sweep.cli.program import Program


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(searched_with_random_cells(tmp_path))


def test_a_ranking_is_of_found_cells_and_says_what_is_left_out(
    program: Program, folder: str
) -> None:
    ranked = json.loads(program("rank", folder, "--format", "json"))

    assert [row["mean"] for row in ranked] == [0.8, 0.7]
    said = "Left out: 3 random cells beside what was found."
    assert said in program.errors
    assert program("rank", folder).splitlines()[-1] == said


def test_the_list_names_the_best_found_and_counts_all(program: Program, folder: str) -> None:
    (record,) = json.loads(program("list", folder, "--format", "json"))

    assert record["best"] == 0.8
    assert (record["planned"], record["ok"]) == (7, 7)
    assert record["asked"].endswith("evaluation seeds 0, 3 random cells")


def test_pictures_are_of_found_cells(program: Program, folder: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.svg"
    program("plot", "subspaces", folder, "-o", str(picture))

    assert picture.stat().st_size
