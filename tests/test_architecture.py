"""Which room may import which, who owns which library, and what no source of ours may hold.

Read from the source, so that an import inside a function counts like any other.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("nas_core", "topo_sweep")
MOST_LINES = 350
MOST_TEST_LINES = 400

FLOORS: tuple[tuple[str, ...], ...] = (
    ("nas_core.errors", "nas_core.files", "nas_core.lazy"),
    ("nas_core.cells",),
    ("nas_core.protocols",),
    ("nas_core.streams",),
    ("nas_core.data", "nas_core.networks"),
    ("nas_core.training",),
    ("topo_sweep.spec",),
    ("topo_sweep.store",),
    ("topo_sweep.analysis",),
    ("topo_sweep.runs", "topo_sweep.paper", "topo_sweep.plots"),
    ("topo_sweep.bench",),
    ("topo_sweep.cli",),
    ("nas_core", "topo_sweep", "topo_sweep.__main__"),
)
"""Rooms from the ground up. A room imports itself and lower floors; rooms of one floor do not know
each other. On top are the packages themselves, whose public names come from every room."""

OWNERS: Mapping[str, tuple[str, ...]] = {
    "click": ("topo_sweep.cli",),
    "ray": ("topo_sweep.runs.on_ray",),
    "torch": (
        *("nas_core.streams", "nas_core.data", "nas_core.networks", "nas_core.training"),
        *("topo_sweep.runs", "topo_sweep.bench"),
    ),
    "pandas": ("topo_sweep.store", "topo_sweep.analysis", "topo_sweep.paper"),
    "pyarrow": ("topo_sweep.store", "nas_core.data"),
    "matplotlib": ("topo_sweep.plots",),
    "mpl_toolkits": ("topo_sweep.plots",),
    "rich": ("topo_sweep.runs",),
    "yaml": ("topo_sweep.spec",),
    "scipy": ("topo_sweep.analysis", "topo_sweep.paper"),
    "safetensors": ("nas_core.training",),
    "sklearn": ("nas_core.data",),
    "torchvision": ("nas_core.data",),
}
"""Library -> the only rooms that may import it."""

WITHOUT: Mapping[str, tuple[str, ...]] = {
    "nas_core, nas_core.cells": ("torch", "ray", "pandas", "numpy", "pydantic"),
    "nas_core.protocols, topo_sweep.spec": ("torch", "ray", "pandas", "numpy"),
    "topo_sweep.store, topo_sweep.analysis, topo_sweep.paper, topo_sweep.plots": ("torch", "ray"),
    "topo_sweep, topo_sweep.cli": ("torch", "ray", "pandas", "pyarrow", "pydantic", "matplotlib"),
}
"""Rooms -> libraries that importing all of their modules must not load."""

TESTED_ELSEWHERE: Mapping[str, str] = {
    # It runs the program, which only a process of its own can show.
    "topo_sweep.__main__": "topo_sweep/cli/test_main.py",
}
"""Module without a test file of its name -> the file that tests it."""

TEXTS = (
    *("nas_core", "topo_sweep", "sweeps", "tests", "benchmarks", "deploy", "docs", ".ci"),
    *("results/__init__.py", "results/studies", "setup.cfg", "pyproject.toml", "Makefile"),
    *("README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", ".gitignore"),
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "results").glob("*.csv"))),
)
"""Files and folders that are published; other folders of results are a user's own sweeps."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path.read_text(encoding="utf-8")
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}

TESTS = {
    path.relative_to(ROOT): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "tests").rglob("*.py"))
}


def room(name: str) -> str | None:
    """Return the room of a module or of a name in one; None for what is not ours."""
    parts = name.split(".")
    rooms = {room for floor in FLOORS for room in floor}
    heads = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((head for head in heads if head in rooms), None)


def floor(name: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if name in rooms)


def imports(source: str) -> Iterator[str]:
    """Yield what a source imports when it runs, as whole names: 'nas_core.cells.topology.Topology'.

    What stands under `if TYPE_CHECKING` does not run.
    """

    def running(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
                for otherwise in child.orelse:
                    yield otherwise
                    yield from running(otherwise)
            else:
                yield child
                yield from running(child)

    for node in running(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def violations(module: str, source: str) -> list[str]:
    """Return what is wrong with the imports of a module, in sentences that name both."""
    wrong = []
    here = room(module)
    assert here is not None, f"{module} lies in no room"
    for imported in sorted(set(imports(source))):
        library, there = imported.partition(".")[0], room(imported)
        said = f"{module} imports {imported}"
        if imported.startswith("."):
            wrong.append(f"{said}: write the whole name, so that the direction can be read")
        owners = OWNERS.get(library)
        if owners and not any(f"{module}.".startswith(f"{owner}.") for owner in owners):
            wrong.append(f"{said}, which is for {', '.join(owners)}")
        if there is not None and there != here and floor(there) >= floor(here):
            wrong.append(f"{said}, which lies above or beside it")
    return wrong


def faults(source: str) -> list[str]:
    """Return what no source of ours may hold, imports aside."""
    lines = len(source.splitlines())
    wrong = [f"{lines} lines: split it"] if lines > MOST_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            wrong.append(f"line {node.lineno}: a bare except")
        if isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("builtins.") in (
            *("eval", "exec", "__import__"),
        ):
            wrong.append(f"line {node.lineno}: {ast.unparse(node.func)}()")
    return wrong


def machine_paths(text: str) -> list[str]:
    """Return absolute paths of someone's machine."""
    return re.findall(r"(?<![\w.$~}-])/(?:work|root|home|Users)/\S*", text)


def test_imports_point_one_way_and_libraries_have_owners() -> None:
    assert [w for module, source in SOURCES.items() for w in violations(module, source)] == []


def test_files_are_short_and_evaluate_and_swallow_nothing() -> None:
    assert {name: wrong for name, source in SOURCES.items() if (wrong := faults(source))} == {}


def test_every_room_says_what_lives_there_and_what_does_not() -> None:
    folders = {name for name in SOURCES if any(other.startswith(f"{name}.") for other in SOURCES)}
    for name in folders - set(PACKAGES):
        docstring = ast.get_docstring(ast.parse(SOURCES[name])) or ""
        assert "Not here:" in docstring, name


def beginning_of_tests(module: str) -> str:
    """Return the beginning of the names of the files that test a module."""
    *folders, name = module.split(".")
    return "/".join([*folders, f"test_{name}"])


def modules_of(test: str, modules: Iterable[str]) -> list[str]:
    """Return the module that a test file is named after: alone or with a topic behind it."""
    beginnings = {beginning_of_tests(module): module for module in modules}
    if test in beginnings:
        return [beginnings[test]]
    return [module for start, module in beginnings.items() if test.startswith(f"{start}_")]


def mismatches(modules: Iterable[str], tests: Iterable[str]) -> list[str]:
    """Return which modules have no test file and which test files no module, in sentences."""
    modules = sorted(modules)
    owners = {test: modules_of(test, modules) for test in tests}
    tested = {module for named in owners.values() for module in named}
    return [
        *(
            f"{module} has no {beginning_of_tests(module)}.py"
            for module in modules
            if module not in tested
        ),
        *(f"{test}.py is named after no module" for test, named in owners.items() if not named),
    ]


def test_every_module_has_its_test_file_and_every_test_file_its_module() -> None:
    packages = {ROOT / package for package in PACKAGES}
    modules = {
        module_name(path)
        for package in packages
        for path in package.rglob("*.py")
        if path.name != "__init__.py"
    }
    of_tests = {path.relative_to("tests").with_suffix("").as_posix() for path in TESTS}
    of_packages = {name for name in of_tests if name.startswith(PACKAGES) and "/test_" in name}
    assert set(TESTED_ELSEWHERE) <= modules
    assert {path.removesuffix(".py") for path in TESTED_ELSEWHERE.values()} <= of_tests
    assert mismatches(modules - set(TESTED_ELSEWHERE), of_packages) == []


def imported_tests(source: str) -> list[str]:
    """Return what a source imports of test modules: one as a whole, or a name in one."""
    return [name for name in imports(source) if re.search(r"(^|\.)test_", name)]


def test_tests_are_short_and_import_no_other_test() -> None:
    for path, source in TESTS.items():
        assert len(source.splitlines()) <= MOST_TEST_LINES, f"{path}: split it"
        others = imported_tests(source)
        assert others == [], f"{path}: what tests share lives in a module of its own"


@pytest.mark.parametrize(
    "rooms",
    [
        pytest.param(rooms, marks=pytest.mark.slow if "topo_sweep.plots" in rooms else ())
        for rooms in WITHOUT
    ],
)
def test_a_light_room_loads_nothing_heavy(rooms: str) -> None:
    chosen = [m for m in SOURCES if room(m) in rooms.split(", ") and not m.endswith("__main__")]
    script = "import sys; " + "; ".join(f"import {module}" for module in chosen)
    loaded = f"{script}; print(*({set(WITHOUT[rooms])!r} & set(sys.modules)))"
    output = subprocess.check_output([sys.executable, "-c", loaded], cwd=ROOT, text=True)
    assert output.split() == []


def test_published_files_hold_no_paths_of_a_machine() -> None:
    for name in TEXTS:
        published = ROOT / name
        for path in [published] if published.is_file() else sorted(published.rglob("*")):
            if path.is_file() and path.suffix not in (".png", ".pdf", ".parquet", ".pyc"):
                text = path.read_text(encoding="utf-8", errors="replace")
                assert machine_paths(text) == [], path.relative_to(ROOT)


@pytest.mark.parametrize(
    ("module", "source", "imported"),
    [
        ("nas_core.cells.topology", "from nas_core.networks import stack", "nas_core.networks"),
        (
            "nas_core.networks.stack",
            "def f():\n    import nas_core.training.loop",
            "nas_core.train",
        ),
        ("nas_core.networks.stack", "from nas_core.data import splits", "nas_core.data.splits"),
        ("nas_core.networks.stack", "from nas_core import Topology", "nas_core.Topology"),
        ("nas_core.data.splits", "import pandas as pd", "pandas"),
        ("nas_core.data.splits", "from topo_sweep.store import paths", "topo_sweep.store.paths"),
        ("nas_core.networks.stack", "from .operations import OPS", ".operations.OPS"),
        ("topo_sweep.runs.plan", "import click", "click"),
        ("topo_sweep.runs.sweep", "from ray import tune", "ray.tune"),
        ("topo_sweep.runs.sweep", "if TYPE_CHECKING:\n    pass\nelse:\n    import ray", "ray"),
        ("topo_sweep.runs.plan", "from topo_sweep.plots import parts", "topo_sweep.plots.parts"),
        ("topo_sweep.store.parquet", "import topo_sweep.runs.rows", "topo_sweep.runs.rows"),
        ("topo_sweep.plots.parts", "import topo_sweep.paper.published", "topo_sweep.paper"),
        ("topo_sweep.analysis.ranking", "import matplotlib.pyplot", "matplotlib.pyplot"),
        ("topo_sweep.store.parquet", "import topo_sweep.cli.run", "topo_sweep.cli.run"),
    ],
)
def test_a_forbidden_import_is_caught_and_named(module: str, source: str, imported: str) -> None:
    assert f"{module} imports {imported}" in " ".join(violations(module, source))


def test_an_allowed_import_is_not_caught() -> None:
    for module, source in (
        ("nas_core.networks.stack", "import os, torch\nfrom nas_core.cells import genotype"),
        ("topo_sweep.plots.parts", "if TYPE_CHECKING:\n    import pandas\n    import ray"),
        ("topo_sweep.cli.run", "import click\nfrom topo_sweep.runs import sweep"),
        ("topo_sweep.runs.sweep", "from topo_sweep.runs.on_ray import driver\nimport rayleigh"),
    ):
        assert violations(module, source) == []


def test_a_module_without_a_test_and_a_test_without_a_module_are_caught_and_named() -> None:
    modules = ["nas_core.data.cifar", "nas_core.data.cifar_pickle", "nas_core.files"]
    tests = ["nas_core/data/test_cifar_pickle", "nas_core/test_files", "nas_core/test_files_topic"]

    assert mismatches(modules, [*tests, "nas_core/data/test_splits"]) == [
        "nas_core.data.cifar has no nas_core/data/test_cifar.py",
        "nas_core/data/test_splits.py is named after no module",
    ]
    assert mismatches(modules, [*tests, "nas_core/data/test_cifar_download"]) == []
    assert mismatches(["nas_core.files"], ["topo_sweep/test_files", "nas_core/test_files"]) == [
        "topo_sweep/test_files.py is named after no module"
    ]


def test_an_import_of_a_test_is_caught_in_every_form_and_one_of_a_helper_is_not() -> None:
    for source in (
        *("from tests.x import test_y", "import tests.x.test_y", "import tests.x.test_y as y"),
        *("from tests.x.test_y import helper", "from . import test_y", "import test_y"),
        *("from .test_y import helper", "def f():\n    from tests.x import test_y"),
    ):
        assert len(imported_tests(source)) == 1, source
    assert not imported_tests("import pytest\nfrom tests.x import rows\nfrom . import a_test_y")


def test_a_fault_and_a_path_of_a_machine_are_caught() -> None:
    for source in (
        *("try:\n    f()\nexcept:\n    pass", "eval('1')", "def f():\n    exec('x')"),
        *("import builtins\nbuiltins.eval('1')", "__import__('ray')", "a = 1\n" * 351),
    ):
        assert len(faults(source)) == 1
    assert not faults("try:\n    model.eval()\nexcept OSError:\n    raise\n" * 80)
    for home in ("work", "root", "home", "Users"):
        assert machine_paths(f"see '/{home}/me/x'") == [f"/{home}/me/x'"]
        assert not machine_paths(f"https://example.org/{home}/x and {home}/x and a/{home}/x")
