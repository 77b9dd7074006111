"""README.md and docs/*.md hold what they promise: commands and snippets run, links and lists fit.

Commands run in seconds: options behind them make trainings small. Those of the paper's experiments
run in `tests/integration/test_paper.py`.
"""

from __future__ import annotations

import configparser
import doctest
import importlib
import re
import shlex
import shutil
import statistics
import subprocess
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import yaml

from tests.conftest import TINY
from tests.pages import (
    PAGES,
    ROOT,
    anchors,
    blocks,
    commands,
    experiments,
    own_sweeps,
    pictures,
    prose,
    section,
)
from tests.program import done
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.analysis.comparable import EXPERIMENT
from topo_sweep.analysis.design import design_of
from topo_sweep.analysis.inference.best import places
from topo_sweep.analysis.inference.noise import members
from topo_sweep.analysis.inference.omnibus import class_test, member_test
from topo_sweep.analysis.inference.variance import reliabilities, variance_components
from topo_sweep.analysis.statistics.two_way import class_by_seed
from topo_sweep.paper.published import printed
from topo_sweep.spec.load import shipped_names
from topo_sweep.spec.networks import GenotypeSweep, TopologySweep
from topo_sweep.spec.random_cells import RandomSweep
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.store.opened import load_results
from topo_sweep.store.tables import TABLES, TRIAL_SCHEMA

SMALL = ("--executor", "inline", *TINY, "--holdout", "0", "--seeds", "0")
SEARCH_SIZES = ("init_channels=2", "cells=3", "epochs=1", "images=32")
BENCH_SIZES = shlex.split("--channels 2 --cells 2 --batch 8 --image-size 8 --threads 1")
MORE = {
    "topologies": ("--topologies", "0,1"),
    "genotypes": (),
    "random": (),
    "search": tuple(part for size in SEARCH_SIZES for part in ("--set", f"search.{size}")),
}
"""Kind of a sweep -> what else makes it small."""

STUDY = "results/studies/edarts-cifar10"
SEEDS = "results/studies/digits"
SMALL_ONES = {"demo", "digits", "search_demo", "classes", "classes_small"}


def everyday_commands() -> list[str]:
    """Return the commands that need no experiment of the paper, in the order in which they run.

    Sweeps of topologies come first, then what reads the sweep with the newest row.
    """

    def stage(command: str) -> int:
        if kind_of_run(command) == "topologies":
            return 0
        return 1 if re.search(r" (status|rank|plot surface)", command) else 2

    others = {*experiments(), *pictures()}
    program = [c for c in commands() if c.startswith("topo-sweep") and c not in others]
    return sorted(program, key=stage)


def kind_of_run(command: str) -> str | None:
    """Return the kind of the sweep that a command runs, None for other commands."""
    words = [*shlex.split(command)[1:], "-"]
    if words[0] != "run":
        return None
    name = "topologies" if words[1].startswith("-") else words[1].removeprefix("./")
    text = own_sweeps().get(name) or (ROOT / f"sweeps/{name}.yaml").read_text(encoding="utf-8")
    return str(yaml.safe_load(text)["kind"])


def shrunk(command: str, folder: Path) -> list[str]:
    """Return the arguments with tiny options behind; the last of each option counts.

    `folder` holds results: where the command names a sweep by HASH, it is looked up there.
    """
    arguments = [existing(argument, folder) for argument in shlex.split(command)[1:]]
    of_clusters = {"--cluster", "--address", "HOST:6379", "10.0.0.1:6379"}
    arguments = [argument for argument in arguments if argument not in of_clusters]
    if arguments[0] == "search":
        sizes = tuple(part for size in SEARCH_SIZES for part in ("--set", size))
        return [*arguments, "--dataset", "digits", "--train-limit", "64", *sizes]
    if arguments[0] == "evaluate":
        return [*arguments, *SMALL]
    if arguments[0] == "promote":
        return [*arguments, "--top", "2", "--executor", "inline"]
    if arguments[0] == "cluster":
        # Real clusters are started in tests/integration/test_cluster_token.py.
        return [*arguments[:2], "--help"]
    if arguments[0] == "bench":
        # With Ray it takes half a minute, and tests/topo_sweep/bench/test_ray_cost.py does that.
        return [*arguments, *(["--help"] if "overhead" in arguments else BENCH_SIZES)]
    if "--dry-run" in arguments:
        arguments.append("--no-measure")
    kind = kind_of_run(command)
    race = ("--adaptive", "best", "--budget", "6") if "--adaptive" in arguments else ()
    cells = ("--random-cells", "1") if "--random-cells" in arguments else ()
    return arguments if kind is None else [*arguments, *SMALL, *MORE[kind], *race, *cells]


def existing(argument: str, folder: Path) -> str:
    if not argument.endswith("-cifar10-HASH"):
        return argument
    pattern = argument.replace("cifar10-HASH", "digits-*").replace("-top20-", "-top2-")
    return str(min(folder.glob(pattern)))


def test_the_pages_have_commands_of_every_kind() -> None:
    said = {shlex.split(command)[1] for command in commands()}
    plain = {
        "demo",
        "demo-search",
        "test",
        "run",
        "enumerate",
        "status",
        "list",
        "rank",
        "plot",
        "--help",
    }
    others = {
        "search",
        "evaluate",
        "promote",
        "analyze",
        "compare",
        "protocol",
        "check",
        "merge",
        "bench",
    }
    assert said == plain | others | {"cluster", "doctor", "chaos", "fuzz"}


def test_every_shipped_sweep_is_listed_and_all_but_the_small_ones_are_experiments() -> None:
    listed = re.findall(r"`(\w+)`", "".join(first_cells("docs/sweeps.md", "Shipped sweeps")))
    assert sorted(listed) == shipped_names()
    run = {shlex.split(command)[2] for command in experiments() if " run " in command}
    unified = {"unified"}  # `promote` makes it from a sweep's own ranking
    assert run | unified == set(shipped_names()) - SMALL_ONES


def test_the_chain_of_the_paper_searches_along_what_promote_made() -> None:
    promoted, searched = "".join(blocks("sh", "docs/experiments.md")).splitlines()[:2]
    _, _, source, _, top, *_ = shlex.split(promoted)
    made = re.search(r"--topology-from (\S+)", searched)
    assert made is not None
    assert made[1] == source.replace("-cifar10", f"-top{top}-cifar10")


def test_a_training_of_the_known_networks_costs_what_is_printed() -> None:
    table = section("docs/experiments.md", "Experiments")
    (cost,) = re.findall(r"--protocol final_36` \| (.*?) \|", table)
    hours = printed("text", "20 cells, 36 channels", "evaluation_gpu_hours_about").value
    assert cost == f"4 x about {hours} h, as printed"


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("make ")])
def test_make_has_the_target(command: str) -> None:
    dry = subprocess.run(
        ["make", "-n", *shlex.split(command)[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"topo-sweep run|pytest|python -m tests\.chaos", dry.stdout)


def test_make_looks_for_a_folder_without_timing_anything() -> None:
    dry = subprocess.run(
        ["make", "-n", "demo", "demo-search"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    asked = re.findall(r"topo-sweep run [^|]*--dry-run[^|]*", dry.stdout)
    assert len(asked) > 1
    assert all("--no-measure" in command for command in asked)


@pytest.mark.long
def test_every_everyday_command_runs(tmp_path: Path) -> None:
    for study in (STUDY, SEEDS):
        shutil.copytree(ROOT / study, tmp_path / study)
    for site in ("site-a", "site-b"):
        shutil.copytree(ROOT / STUDY, tmp_path / site / "results" / "edarts_controls")
    for name, text in own_sweeps().items():
        (tmp_path / name).write_text(text.replace("count: 50", "count: 2"), encoding="utf-8")
    for command in everyday_commands():
        try:
            done(tmp_path, *shrunk(command, tmp_path))
        except AssertionError as error:
            raise AssertionError(f"{command}: {error}") from error


@pytest.mark.slow
def test_what_reads_a_store_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done(tmp_path, *shrunk("topo-sweep run demo", tmp_path))
    monkeypatch.chdir(tmp_path)
    (python,), (sql,) = (blocks(language, "docs/store.md") for language in ("python", "sql"))

    exec(compile(python, "docs/store.md", "exec"), {})  # noqa: S102 - the page is ours
    rows = duckdb.connect().execute(sql).df()
    assert sorted(rows["topology"]) == [0, 1]
    assert rows["accuracy"].between(0, 1).all()
    assert set(rows["n"]) == {1}


@pytest.mark.parametrize("column", [*EXPERIMENT, "sweep", "genotype", "topology"])
def test_the_query_of_the_store_averages_seeds_and_nothing_else(
    column: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("one", "one-phase2")):
        values = ({column: number}, {column: f"other {number}"})
        rows = [
            trial_row(f"{name} {seed}", seed=seed, kind="topologies", test_accuracy=number / 2)
            for seed in (0, 1)
        ]
        other = values[pa.types.is_string(TRIAL_SCHEMA.field(column).type)]
        store = make_sweep(tmp_path / "results", small_spec(name=name))
        store.append([row | other for row in rows], [])
    monkeypatch.chdir(tmp_path)
    (sql,) = blocks("sql", "docs/store.md")

    means = duckdb.connect().execute(sql).df()
    assert sorted(means["accuracy"]) == [0.0, 0.5]
    assert list(means["n"]) == [2, 2]


@pytest.mark.slow
def test_the_examples_with_public_names_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "\n".join(blocks("pycon", "docs/api.md"))
    examples = doctest.DocTestParser().get_doctest(text, {}, "docs/api.md", "docs/api.md", 0)
    assert doctest.DocTestRunner().run(examples).failed == 0, capsys.readouterr().out

    names: dict[str, object] = {}
    for python in blocks("python", "docs/api.md"):
        exec(compile(python, "docs/api.md", "exec"), names)  # noqa: S102 - the page is ours
    said = capsys.readouterr().out
    assert "4 trials, 4 left" in said
    assert re.search(r"found \d+ Measurement\(", said)


def test_every_snippet_is_in_a_page_whose_snippets_run() -> None:
    languages = ("python", "pycon", "sql")
    with_snippets = {page for page in PAGES for name in languages if blocks(name, page)}
    assert with_snippets == {"docs/store.md", "docs/api.md"}


@pytest.mark.parametrize("package", ["nas_core", "topo_sweep"])
def test_the_public_names_are_exactly_those_of_the_package(package: str) -> None:
    listed = [name.strip(" `") for name in first_cells("docs/api.md", package)]
    assert sorted(listed) == sorted(importlib.import_module(package).__all__)


def test_every_column_of_the_store_is_explained() -> None:
    named = set(re.findall(r"`(\w+)`", PAGES["docs/store.md"]))
    schemas = [s for table in TABLES.values() for s in (table.schema, table.curve_schema)]
    assert {name for schema in schemas for name in schema.names} <= named


def test_every_key_of_a_sweep_is_explained() -> None:
    named = {
        name
        for title in PAGES["docs/sweeps.md"].split("\n### Keys of ")[1:]
        for name in re.findall(r"^\| `(\w+)` \|", title, re.MULTILINE)
    }
    kinds = (TopologySweep, GenotypeSweep, RandomSweep, SearchSweep)
    written_by_the_program = {"origin", "presets"}
    assert named == {key for kind in kinds for key in kind.model_fields} - written_by_the_program


def test_the_drawing_and_the_tables_of_the_design_name_every_room() -> None:
    (drawing,) = blocks("text", "docs/design.md")
    cells = "".join(re.findall(r"^\| (`.*?`) \|", PAGES["docs/design.md"], re.MULTILINE))
    for package in ("nas_core", "topo_sweep"):
        for path in (ROOT / package).rglob("*"):
            is_room = path.suffix == ".py" and path.parent == ROOT / package
            if (path / "__init__.py").is_file() or (is_room and path.stem[0] != "_"):
                assert re.search(rf"\b{path.stem}\b", drawing), path
                assert re.search(rf"\b{path.stem}`", cells), path
    walls = [line for line in drawing.splitlines() if line.startswith((" │", " ├", " ┌", " └"))]
    assert {line[36] for line in walls} == set("│┤┐┘"), "the walls stand straight"


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        file, _, anchor = target.partition("#")
        linked = (ROOT / page).parent / file if file else ROOT / page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked.read_text(encoding="utf-8")), target


def first_cells(page: str, title: str) -> list[str]:
    """Return the first column of the table in a section, without its head."""
    return re.findall(r"^\| (`.*?) \|", section(page, title), re.MULTILINE)


def test_every_page_is_linked_from_the_readme_which_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 120
    for page in PAGES.keys() - {"README.md"}:
        assert f"]({page})" in PAGES["README.md"]


def test_the_finding_of_the_readme_is_what_the_kept_rows_say() -> None:
    finding = section("README.md", "One finding, and what it does not show").replace("\n", " ")
    trials = load_results(ROOT / SEEDS)
    design = design_of(trials)
    classes, member = class_test(design.runs), member_test(design.runs)
    assert classes is not None
    assert member is not None
    assert f"F({classes.df1}, {classes.df2}) = {classes.f:.2f}, p < 0.001" in finding
    assert max(classes.p_value, classes.permutation_p) < 0.001
    assert f"F({member.df1}, {member.df2}) = {member.f:.2f}, p = {member.p_value:.2f}" in finding

    layout = class_by_seed(design.runs)
    components, reliability = variance_components(layout), reliabilities(layout)
    noise, between = (100 * components[name].value ** 0.5 for name in ("run", "group"))
    one, all_runs = (reliability[name].value for name in ("run", "means"))
    means = f"the means of all {len(trials):,} have {all_runs:.2f}"
    assert f"one run each has a reliability of {one:.2f}, {means}" in finding
    assert f"SD {noise:.2f} points where classes differ by SD {between:.2f}" in finding
    best = places(design.table, members=members(design))["in_best_set"].sum()
    assert f"the best is one of {best} of {len(design.groups)} classes" in finding

    by_seed = trials.pivot_table(index="topology", columns="seed", values="test_accuracy")
    lost: list[float] = []
    ranks: list[int] = []
    for seed in by_seed:
        others = by_seed.drop(columns=seed).mean(axis=1).to_numpy()
        won = int(by_seed[seed].to_numpy().argmax())
        lost.append(100 * float(by_seed[seed].max() - others[won]))
        ranks.append(int((others > others[won]).sum()) + 1)
    assert f"on average {statistics.mean(lost):.1f} points less on the other nine seeds" in finding
    assert f"ranks between {min(ranks)} and {max(ranks)}" in finding


def test_the_citation_is_of_this_version_and_names_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    metadata = setup["metadata"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["title"] == metadata["name"]
    assert citation["version"] == metadata["version"]
    assert citation["license"] == metadata["license"]
    assert citation["abstract"] == metadata["description"]
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= paper.keys()
    assert paper["title"] in PAGES["README.md"].replace("\n", " ")
