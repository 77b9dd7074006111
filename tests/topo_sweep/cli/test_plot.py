"""The plot commands of sweeps as their users meet them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from nas_core.cells.genotype import Genotype
from tests.topo_sweep.analysis.adaptive.races import FIRST, stored_race
from tests.topo_sweep.analysis.choice_rows import finished, topologies
from tests.topo_sweep.analysis.ranking_rows import uniform
from tests.topo_sweep.cli.program import Program
from tests.topo_sweep.cli.search_sweeps import curve_with_alphas, searched
from tests.topo_sweep.runs.search_run import stored_search
from topo_sweep.spec.networks import GenotypeSweep

PNG = b"\x89PNG"
COMMANDS = ("subspaces", "depth", "skips", "alphas", "surface")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep of two searches in ./results, and the epochs of the second."""
    first, second = stored_search("a", seed=20), stored_search("b", seed=21)
    return searched(tmp_path / "results", [first, second], curve_with_alphas(second))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_picture_goes_to_the_figures_of_the_sweep_and_its_path_to_stdout(
    command: str, program: Program, sweep: Path
) -> None:
    path = Path(program("plot", command, str(sweep)).strip())
    assert path == sweep / "figures" / f"{command}.png"
    assert path.read_bytes().startswith(PNG)
    assert program.errors == ""


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_picture_goes_where_it_is_told_in_the_format_of_its_name(
    command: str, program: Program, sweep: Path
) -> None:
    assert program("plot", command, "-o", "own.pdf") == "own.pdf\n"
    assert Path("own.pdf").read_bytes().startswith(b"%PDF")
    assert not (sweep / "figures").exists()


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_a_sweep_of_another_kind_is_refused_in_one_line(
    command: str, program: Program, tmp_path: Path
) -> None:
    topologies(tmp_path / "results", {17: [0.9]})
    assert program("plot", command, code=2) == ""
    assert program.errors.count("\n") == 1
    assert f"plot {command} draws a sweep of searches" in program.errors
    assert "is one of topologies" in program.errors


@pytest.mark.parametrize("command", COMMANDS)
def test_a_sweep_without_finished_searches_is_refused_in_one_line(
    command: str, program: Program, tmp_path: Path
) -> None:
    searched(tmp_path / "results", [])
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
    command: str, column: str, values: tuple[str, str], program: Program, tmp_path: Path
) -> None:
    pairs = zip("ab", values, strict=True)
    searched(tmp_path / "results", [stored_search(name, **{column: each}) for name, each in pairs])

    program("plot", command, code=2)
    assert f"choose one with --{column}" in program.errors
    for value in values:
        program("plot", command, f"--{column}", value, "-o", f"{value}.svg")
    first, second = (Path(f"{value}.svg").read_bytes() for value in values)
    assert first != second


@pytest.mark.slow
def test_skips_of_several_sweeps_are_one_picture_and_a_shared_search_counts_once(
    program: Program, tmp_path: Path
) -> None:
    subset, sparse = (
        [stored_search(f"{method} {i}", method=method, seed=i, skips_normal=i) for i in seeds]
        for method, seeds in (("search_subset", (0, 1, 2)), ("search_sparse", (3, 4, 5)))
    )
    nothing_found = {"genotype": None, "skips_normal": None, "skips_reduction": None}
    failed = (
        stored_search("search_sparse 3", method="search_sparse", status="failed") | nothing_found
    )
    searches = {
        "all": [*subset, *sparse],
        "subset": [failed, *subset],
        "sparse": [*sparse, subset[0]],
        "nothing": [],
    }
    folders = {name: searched(tmp_path / name, rows) for name, rows in searches.items()}

    program("plot", "skips", "all", "-o", "all.svg")
    program("plot", "skips", "subset", "sparse", "nothing", "-o", "parts.svg")
    assert program.errors.splitlines() == [
        f"sweep: {folders[name].relative_to(tmp_path)}" for name in ("subset", "sparse", "nothing")
    ]
    program("plot", "skips", "subset", "-o", "subset.svg")
    assert Path("parts.svg").read_bytes() == Path("all.svg").read_bytes()
    assert Path("subset.svg").read_bytes() != Path("all.svg").read_bytes()


@pytest.mark.parametrize("option", ["--method", "--attention"])
def test_a_surface_of_topologies_has_no_searches_to_choose_among(
    option: str, program: Program, tmp_path: Path
) -> None:
    topologies(tmp_path / "results", {17: [0.9]})
    program("plot", "surface", option, "none", code=2)
    assert "choose among searches" in program.errors
    assert "is a sweep of topologies" in program.errors


def test_of_genotypes_those_with_one_reduction_wiring_are_drawn_like_topologies(
    program: Program, tmp_path: Path
) -> None:
    accuracies = {(17, 3): [0.9, 0.8], (3, 3): [0.7, 0.6], (3, 4): [0.5, 0.4]}
    pairs: dict[int | Genotype, Sequence[float]] = {
        uniform(normal, reduction=wiring): values for (normal, wiring), values in accuracies.items()
    }
    spec = GenotypeSweep(name="pairs", genotypes=tuple(map(str, pairs)))
    folder = str(finished(tmp_path / "results", spec, pairs).folder)

    program("plot", "surface", folder, "--reduction-topology", "3", "-o", "some.svg")
    program("plot", "surface", folder, "--reduction-topology", "4", "-o", "other.svg")
    assert Path("some.svg").read_bytes() != Path("other.svg").read_bytes()
    program("plot", "surface", folder, "--reduction-topology", "5", code=2)
    assert "no training here has reduction wiring 5" in program.errors


def test_a_sweep_of_topologies_has_no_reduction_wirings_to_choose_among(
    program: Program, tmp_path: Path
) -> None:
    topologies(tmp_path / "results", {17: [0.9]})
    program("plot", "surface", "--reduction-topology", "3", code=2)
    assert "chooses in a sweep of genotypes" in program.errors
    assert "is one of topologies" in program.errors


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


def test_of_an_adaptive_sweep_means_are_drawn_of_seeds_that_no_result_chose(
    program: Program, tmp_path: Path
) -> None:
    sweep = stored_race(tmp_path / "results")

    program("plot", "means", str(sweep.folder), "-o", "means.svg")

    picture = Path("means.svg").read_text(encoding="utf-8")
    assert f"4 classes, n = {len(FIRST)}" in picture
