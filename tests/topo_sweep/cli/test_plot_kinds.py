"""Every picture of every kind of sweep: it is drawn, or a command is named that works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from tests.topo_sweep.analysis.choice_rows import finished, topologies
from tests.topo_sweep.analysis.search_rows import OPERATIONS
from tests.topo_sweep.cli.program import Program
from tests.topo_sweep.cli.search_sweeps import curve_with_alphas, searched
from tests.topo_sweep.conftest import make_sweep
from tests.topo_sweep.runs.search_run import FOUND, OTHER, search_spec, stored_search
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.store.parquet import Row
from topo_sweep.store.tables import SEARCHES

COMMANDS = ("surface", "subspaces", "depth", "skips", "alphas", "cell")
CELL_NAMES = ("DARTS_V1", "DARTS_V2")


def phase_one(results: Path) -> Path:
    return topologies(results, {17: [0.9], 3: [0.5]}).folder


def genotypes(results: Path) -> Path:
    first, second = (KNOWN_CELLS[name] for name in CELL_NAMES)
    spec = GenotypeSweep(name="cells", genotypes=CELL_NAMES)
    return finished(results, spec, {first: [0.9], second: [0.8]}).folder


def searches(results: Path) -> Path:
    rows = [stored_search("a", seed=20), stored_search("b", seed=21)]
    return searched(results, rows, curve_with_alphas(rows[0]))


def grid(results: Path) -> Path:
    rows = [
        stored_search(f"{space} {cells}", space=space, operations=OPERATIONS[space], cells=cells)
        for space in ("SS1", "SS2")
        for cells in (5, 16)
    ]
    return searched(results, rows, [epoch for row in rows for epoch in curve_with_alphas(row)])


def one_cell(results: Path) -> Path:
    return unevaluated(results, [stored_search("a", genotype=str(FOUND))])


def several_cells(results: Path) -> Path:
    cells = (FOUND, OTHER)
    rows = [stored_search(str(i), genotype=str(cell), seed=i) for i, cell in enumerate(cells)]
    return unevaluated(results, rows)


def unevaluated(results: Path, rows: Sequence[Row]) -> Path:
    store = make_sweep(results, search_spec(evaluation_seeds=()))
    store.append(rows, [e for row in rows for e in curve_with_alphas(row)], table=SEARCHES)
    return store.paths.folder


def named(refusal: str, request: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Return the commands that a refusal names, whole or as an option of what was asked for."""
    commands = {tuple(shlex.split(text)) for text in re.findall(r"`topo-sweep (.*?)`", refusal)}
    if one := re.search(r"here (\w+) and .*choose one with (--\w+)", refusal):
        commands.add((*request, one[2], one[1]))
    return commands


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "refused"),
    [
        (phase_one, {"subspaces", "depth", "skips", "alphas"}),
        (genotypes, {"surface", "subspaces", "depth", "skips", "alphas"}),
        pytest.param(searches, set(), marks=pytest.mark.slow),
        pytest.param(grid, {"depth"}, marks=pytest.mark.slow),
        (one_cell, {"surface", "subspaces", "depth"}),
        (several_cells, {"surface", "subspaces", "depth", "cell"}),
    ],
)
def test_a_sweep_is_drawn_or_what_is_named_instead_works(
    make: Callable[[Path], Path], refused: set[str], program: Program, tmp_path: Path
) -> None:
    folder = make(tmp_path / "with space")
    works: set[tuple[str, ...]] = set()
    for command in sorted(COMMANDS, key=refused.__contains__):
        request = ("plot", command, str(folder))
        said = program(*request, code=2 if command in refused else 0)
        if command not in refused:
            assert Path(said.strip()).exists()
            works.add(request)
            continue
        assert program.errors.count("\n") == 1
        ways = named(program.errors, request)
        assert ways, program.errors
        for way in ways - works:
            assert program(*way, *(("--dry-run",) if way[0] == "evaluate" else ()))
            works.add(way)


def test_alphas_are_those_of_the_newest_search_that_has_any(
    program: Program, tmp_path: Path
) -> None:
    begun = stored_search("begun", seed=20)
    failed = stored_search("failed", seed=21, status="failed", genotype=None)
    folder = searched(tmp_path / "results", [begun, failed], curve_with_alphas(begun))

    program("plot", "alphas", str(folder))
    program("plot", "alphas", str(folder), "--seed", "21", code=2)
    assert "search failed has no epochs" in program.errors
