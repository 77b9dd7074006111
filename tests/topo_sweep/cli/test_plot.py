"""The plot commands of sweeps as their users meet them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

import topo_sweep.store.opened
from tests.topo_sweep.analysis.search_rows import (
    evaluation,
    evaluations,
    search,
    search_epochs,
    searches,
)
from tests.topo_sweep.cli.program import Program
from topo_sweep.store.paths import StorePaths

PNG = b"\x89PNG"
COMMANDS = ("subspaces", "depth", "skips", "alphas", "surface")


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A sweep of two searches, whatever folder is opened."""
    folder = tmp_path / "sweep"
    folder.mkdir()
    rows = [search("a", seed=20), search("b", seed=21)]
    made_up = SimpleNamespace(
        store=SimpleNamespace(paths=StorePaths(folder)),
        manifest=SimpleNamespace(kind="search"),
        holds_searches=True,
        folder=folder,
        chosen_from=1,
        searches=lambda: searches(rows),
        trials=lambda: evaluations([evaluation("a", 0.9), evaluation("b", 0.8)]),
        search_epochs=lambda: search_epochs("b", [("none", "sep_conv_3x3")], [(0, 2), (1, 2)]),
    )
    monkeypatch.setattr(topo_sweep.store.opened, "open_sweep", lambda _: made_up)
    return made_up


@pytest.mark.parametrize("command", COMMANDS)
def test_a_picture_goes_to_the_figures_of_the_sweep_and_its_path_to_stdout(
    command: str, program: Program, sweep: Any
) -> None:
    path = Path(program("plot", command, str(sweep.folder)).strip())
    assert path == sweep.folder / "figures" / f"{command}.png"
    assert path.read_bytes().startswith(PNG)
    assert program.errors == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_picture_goes_where_it_is_told_in_the_format_of_its_name(
    command: str, program: Program, sweep: Any
) -> None:
    assert program("plot", command, "-o", "own.pdf") == "own.pdf\n"
    assert Path("own.pdf").read_bytes().startswith(b"%PDF")
    assert not (sweep.folder / "figures").exists()


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_a_sweep_of_another_kind_is_refused_in_one_line(
    command: str, program: Program, sweep: Any
) -> None:
    sweep.manifest.kind, sweep.holds_searches = "topologies", False
    assert program("plot", command, code=2) == ""
    assert program.errors.count("\n") == 1
    assert f"plot {command} draws a sweep of searches" in program.errors
    assert "is one of topologies" in program.errors


@pytest.mark.parametrize("command", COMMANDS)
def test_a_sweep_without_finished_searches_is_refused_in_one_line(
    command: str, program: Program, sweep: Any
) -> None:
    sweep.searches = lambda: searches([search("a")])[:0]
    assert program("plot", command, code=2) == ""
    assert program.errors.count("\n") == 1
    assert "no finished search to draw" in program.errors


@pytest.mark.usefixtures("sweep")
def test_a_grid_of_searches_has_no_3d_surface(program: Program) -> None:
    program("plot", "surface", "--style", "surface3d", code=2)
    assert "drawn as a map, got --style surface3d" in program.errors


@pytest.mark.slow
@pytest.mark.parametrize("command", ["subspaces", "depth", "surface"])
@pytest.mark.parametrize(
    ("column", "values"),
    [("method", ("search_subspace", "search_edarts")), ("attention", ("none", "once"))],
)
def test_of_mixed_methods_or_attentions_an_option_chooses_one(
    command: str, column: str, values: tuple[str, str], program: Program, sweep: Any
) -> None:
    rows = [search(name, **{column: value}) for name, value in zip("ab", values, strict=True)]
    sweep.searches = lambda: searches(rows)

    program("plot", command, code=2)
    assert f"choose one with --{column}" in program.errors
    for value in values:
        program("plot", command, f"--{column}", value, "-o", f"{value}.svg")
    first, second = (Path(f"{value}.svg").read_bytes() for value in values)
    assert first != second


@pytest.mark.slow
def test_skips_of_several_sweeps_are_one_picture_and_a_shared_search_counts_once(
    program: Program, sweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    subset = [search(f"s{i}", method="search_subset", seed=i, skips_normal=i) for i in range(3)]
    sparse = [search(f"u{i}", method="search_sparse", seed=i, skips_normal=1) for i in range(3)]
    failed = searches([search("u0", method="search_sparse", status="failed", genotype=None)])
    tables = {
        "all": searches([*subset, *sparse]),
        "subset": pd.concat([failed, searches(subset)], ignore_index=True),
        "sparse": searches([*sparse, subset[0]]),
        "nothing": searches(subset)[:0],
    }
    monkeypatch.setattr(
        topo_sweep.store.opened,
        "open_sweep",
        lambda path: SimpleNamespace(**vars(sweep) | {"searches": lambda: tables[str(path)]}),
    )
    program("plot", "skips", "all", "-o", "all.svg")
    program("plot", "skips", "subset", "sparse", "nothing", "-o", "parts.svg")
    assert program.errors.count(f"sweep: {sweep.folder}\n") == 3  # which sweep of each folder
    program("plot", "skips", "subset", "-o", "subset.svg")
    assert Path("parts.svg").read_bytes() == Path("all.svg").read_bytes()
    assert Path("subset.svg").read_bytes() != Path("all.svg").read_bytes()


@pytest.mark.parametrize("option", ["--method", "--attention"])
def test_a_surface_of_topologies_has_no_searches_to_choose_among(
    option: str, program: Program, sweep: Any
) -> None:
    sweep.manifest.kind, sweep.holds_searches = "topologies", False
    program("plot", "surface", option, "none", code=2)
    assert "choose among searches" in program.errors
    assert "is a sweep of topologies" in program.errors


@pytest.mark.slow
@pytest.mark.usefixtures("sweep")
def test_alphas_takes_a_search_by_its_id_or_seed(program: Program) -> None:
    program("plot", "alphas", "--seed", "21", "-o", "seed.svg")
    program("plot", "alphas", "--search", "b", "-o", "id.svg")
    assert Path("seed.svg").read_bytes() == Path("id.svg").read_bytes()
    program("plot", "alphas", "--seed", "20", code=2)
    assert "search a has no epochs" in program.errors


@pytest.mark.slow
@pytest.mark.usefixtures("results")
def test_the_surface_of_a_trained_sweep_is_drawn_in_each_format(program: Program) -> None:
    picture = Path(program("plot", "surface").strip())
    assert picture.match("results/demo-digits-*/figures/surface.png")
    assert picture.read_bytes().startswith(PNG)
    for suffix, start in ((".png", PNG), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        file = Path(f"surface{suffix}")
        assert program("plot", "surface", "-o", str(file)) == f"{file}\n"
        assert file.read_bytes().startswith(start)
