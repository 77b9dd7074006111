"""The direction of imports, and which module owns which library, read from the source."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("nas_core", "topo_sweep")
MOST_LINES = 400

OWNERS: Mapping[str, tuple[str, ...]] = {
    "click": ("topo_sweep.cli",),
    "ray": ("topo_sweep.driver", "topo_sweep.worker", "topo_sweep.cluster"),
    "pandas": (
        *("topo_sweep.ranking", "topo_sweep.store", "topo_sweep.statuses"),
        "topo_sweep.compare_evidence",
        *("topo_sweep.compare_ablations", "topo_sweep.compare_attention"),
        *("topo_sweep.compare_cells", "topo_sweep.compare_differences"),
    ),
    "pyarrow": ("topo_sweep.store", "topo_sweep.tables", "nas_core.cifar"),
    "matplotlib": (
        *("topo_sweep.plots", "topo_sweep.search_plots", "topo_sweep.alpha_plots"),
        *("topo_sweep.cell_plots", "topo_sweep.figure_parts", "topo_sweep.point_plots"),
        "topo_sweep.skip_plots",
    ),
    "mpl_toolkits": ("topo_sweep.plots",),
    "rich": ("topo_sweep.progress", "topo_sweep.cli"),
    "yaml": ("topo_sweep.yaml_file",),
    "scipy": ("topo_sweep.accuracy", "topo_sweep.compare_records", "topo_sweep.compare_cells"),
    "safetensors": ("nas_core.checkpoint",),
    "sklearn": ("nas_core.data",),
    "torchvision": ("nas_core.cifar",),
}
"""Library -> the only modules (or packages) that may import it."""

LAYERS = ("errors", "topology", "genotype", "operations", "network", "training")
"""Of nas_core: each may import those before it, never those after it."""

PURE = (
    *("topo_sweep.accuracy", "topo_sweep.ranking", "topo_sweep.search_summary"),
    *("topo_sweep.plots", "topo_sweep.search_plots", "topo_sweep.alpha_plots"),
    *("topo_sweep.cell_plots", "topo_sweep.cell_layout", "topo_sweep.figure_parts"),
    *("topo_sweep.point_plots", "topo_sweep.skip_plots"),
    *("topo_sweep.compare_records", "topo_sweep.compare_evidence", "topo_sweep.compare_methods"),
    *(
        "topo_sweep.compare_cells",
        "topo_sweep.compare_phases",
        "topo_sweep.compare_ablations",
        "topo_sweep.compare_attention",
        "topo_sweep.compare_claims",
        "topo_sweep.compare_differences",
    ),
)
"""What takes a DataFrame and gives data or a figure; it knows no store."""

IN_WORKERS = ("topo_sweep.worker", "topo_sweep.runner")
"""What runs on other machines; rows travel to the driver, which alone writes."""

STORES = ("topo_sweep.store", "topo_sweep.results", "topo_sweep.manifest", "topo_sweep.recorder")

ABOVE = ("topo_sweep.cli", "topo_sweep.__main__")

LIGHT: Mapping[str, tuple[str, ...]] = {
    "torch": (
        *("nas_core.errors", "nas_core.topology", "nas_core.genotype", "nas_core.protocol"),
        *("nas_core.datasets", "nas_core.files", "topo_sweep.spec", "topo_sweep.trials"),
        *("topo_sweep.store", "topo_sweep.plan", "topo_sweep.ranking", "topo_sweep.results"),
        *("topo_sweep.status", "topo_sweep.plots", "topo_sweep.cli", "topo_sweep.manifest"),
        *("topo_sweep.search_plots", "topo_sweep.alpha_plots", "topo_sweep.cell_plots"),
        *("topo_sweep.compare", "topo_sweep.presets", "topo_sweep.protocol_notes"),
    ),
    "ray": ("topo_sweep.sweep", "topo_sweep.inline", "topo_sweep.runner", "topo_sweep.cli"),
    "pandas": (
        *("topo_sweep.store", "topo_sweep.plan", "topo_sweep.results", "topo_sweep.plots"),
        *("topo_sweep.literature", "topo_sweep.cli"),
    ),
    "pyarrow": ("topo_sweep.ranking", "topo_sweep.plots", "topo_sweep.spec", "topo_sweep.cli"),
    "pydantic": ("nas_core.topology", "nas_core.genotype", "topo_sweep.cli"),
    "matplotlib": ("topo_sweep.ranking", "topo_sweep.results", "topo_sweep.cli"),
}
"""Library -> modules that are imported without it, whatever they import themselves."""

TEXTS = (
    *("nas_core", "topo_sweep", "sweeps", "tests", "benchmarks", "docs", ".ci"),
    *("results/__init__.py", "results/studies", "setup.cfg", "pyproject.toml", "Makefile"),
    *("README.md", "CHANGELOG.md", "LICENSE", ".gitignore"),
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "results").glob("*.csv"))),
)
"""Files and folders that are published; other folders of results are a user's own sweeps."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
SOURCES = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}


@functools.cache
def imports(source: str, *, in_functions: bool = True) -> frozenset[str]:
    """Return the modules that a source imports when it runs, and names it takes from them."""
    found: set[str] = set()
    for node in running(ast.parse(source), in_functions=in_functions):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            found.update((origin, *(f"{origin}.{alias.name}" for alias in node.names)))
    return frozenset(found)


def running(node: ast.AST, *, in_functions: bool) -> Iterator[ast.AST]:
    """Yield all nodes below but those under `if TYPE_CHECKING`, and perhaps those in functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for otherwise in child.orelse:
                yield otherwise
                yield from running(otherwise, in_functions=in_functions)
        elif in_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from running(child, in_functions=in_functions)


def belongs(module: str, owners: tuple[str, ...]) -> bool:
    return any(module == owner or module.startswith(f"{owner}.") for owner in owners)


def violations(module: str, source: str) -> list[str]:
    """Return what is wrong with the imports of a module, in sentences that name both."""
    wrong = []
    for imported in sorted(imports(source)):
        library = imported.partition(".")[0]
        said = f"{module} imports {imported}"
        if imported.startswith("."):
            wrong.append(f"{said}: write the whole name, so that the direction can be read")
        if library in OWNERS and not belongs(module, OWNERS[library]):
            wrong.append(f"{said}, which is for {', '.join(OWNERS[library])}")
        if belongs(module, ("nas_core",)) and library == "topo_sweep":
            wrong.append(f"{said}: the science knows no instrument")
        if 0 <= layer(module) < layer(imported):
            wrong.append(f"{said}, which is above it")
        if module in PURE and belongs(imported, STORES):
            wrong.append(f"{said}: it is pure")
        if module in IN_WORKERS and belongs(imported, STORES):
            wrong.append(f"{said}: workers write nothing")
        if belongs(imported, ABOVE) and not belongs(module, ABOVE):
            wrong.append(f"{said}: nothing stands on the command line")
    return wrong


def layer(module: str) -> int:
    """Return the place of a module of nas_core (or of a name in it) in `LAYERS`, else -1."""
    package, _, rest = module.partition(".")
    name = rest.partition(".")[0]
    return LAYERS.index(name) if package == "nas_core" and name in LAYERS else -1


def circles(sources: Mapping[str, str]) -> list[str]:
    """Return modules in a circle of imports, those in functions too, and what needs one."""
    graph = {name: imports(source) & set(sources) - {name} for name, source in sources.items()}
    while leaves := {name for name, needs in graph.items() if not needs & set(graph)}:
        graph = {name: needs for name, needs in graph.items() if name not in leaves}
    return sorted(graph)


def chain(library: str, module: str, sources: Mapping[str, str]) -> list[str]:
    """Return the modules over which importing `module` imports the library; none is empty."""
    ways: list[list[str]] = [[module]]
    seen = {module}
    while ways:
        way = ways.pop()
        needed = imports(sources[way[-1]], in_functions=False)
        # Importing a.b runs a as well.
        needed |= {name.rpartition(".")[0] for name in needed}
        if any(belongs(name, (library,)) for name in needed):
            return [*way, library]
        for name in sorted(needed & set(sources) - seen):
            seen.add(name)
            ways.append([*way, name])
    return []


def faults(source: str) -> list[str]:
    """Return what no source of ours may hold, imports aside."""
    lines = len(source.splitlines())
    found = [f"{lines} lines: split it"] if lines > MOST_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"line {node.lineno}: a bare except")
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            *("eval", "exec", "builtins.eval", "builtins.exec", "__import__"),
            "importlib.import_module",
        ):
            found.append(f"line {node.lineno}: {ast.unparse(node.func)}()")
    return found


def machine_paths(text: str) -> list[str]:
    """Return absolute paths of someone's machine."""
    return re.findall(r"(?<![\w.$~}-])/(?:work|root|home|Users)/\S*", text)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way_and_libraries_have_owners(module: str) -> None:
    assert violations(module, SOURCES[module]) == []


def test_modules_import_each_other_without_circles() -> None:
    assert circles(SOURCES) == []


@pytest.mark.parametrize(
    ("library", "module"), [(library, module) for library in LIGHT for module in LIGHT[library]]
)
def test_what_is_light_imports_nothing_heavy(library: str, module: str) -> None:
    assert chain(library, module, SOURCES) == []


@pytest.mark.parametrize("module", MODULES)
def test_files_are_short_and_evaluate_and_swallow_nothing(module: str) -> None:
    assert faults(SOURCES[module]) == []


@pytest.mark.parametrize("name", TEXTS)
def test_published_files_hold_no_paths_of_a_machine(name: str) -> None:
    place = ROOT / name
    for path in [place] if place.is_file() else sorted(place.rglob("*")):
        if path.is_file() and path.suffix not in (".png", ".pdf", ".parquet", ".pyc"):
            text = path.read_text(encoding="utf-8", errors="replace")
            assert machine_paths(text) == [], path.relative_to(ROOT)


@pytest.mark.parametrize(
    ("module", "source", "imported"),
    [
        ("nas_core.topology", "from nas_core import network", "nas_core.network"),
        ("nas_core.genotype", "def f():\n    import nas_core.training", "nas_core.training"),
        ("nas_core.operations", "from nas_core.network import Cell", "nas_core.network"),
        ("nas_core.network", "class A:\n    import nas_core.training", "nas_core.training"),
        ("nas_core.data", "import pandas as pd", "pandas"),
        ("nas_core.data", "import ray.tune", "ray.tune"),
        ("nas_core.data", "from click import echo", "click"),
        ("nas_core.data", "from topo_sweep.paths import RESULTS", "topo_sweep.paths"),
        ("nas_core.network", "from .training import Training", ".training"),
        ("topo_sweep.plan", "import click", "click"),
        ("topo_sweep.plan", "from . import driver", "..driver"),
        ("topo_sweep.sweep", "from ray import tune", "ray"),
        ("topo_sweep.sweep", "if X:\n    pass\nelse:\n    import ray", "ray"),
        ("topo_sweep.sweep", "if TYPE_CHECKING:\n    pass\nelse:\n    import ray", "ray"),
        ("topo_sweep.results", "def f():\n    import pandas", "pandas"),
        ("topo_sweep.status", "import pyarrow.parquet as pq", "pyarrow.parquet"),
        ("topo_sweep.ranking", "import matplotlib.pyplot", "matplotlib.pyplot"),
        ("topo_sweep.cluster", "from rich.live import Live", "rich.live"),
        ("topo_sweep.ranking", "from topo_sweep.store import ResultStore", "topo_sweep.store"),
        ("topo_sweep.plots", "from topo_sweep import results", "topo_sweep.results"),
        ("topo_sweep.worker", "from topo_sweep.recorder import Recorder", "topo_sweep.recorder"),
        ("topo_sweep.store", "from topo_sweep.cli.common import say", "topo_sweep.cli.common"),
    ],
)
def test_a_forbidden_import_is_caught_and_named(module: str, source: str, imported: str) -> None:
    assert f"{module} imports {imported}" in " ".join(violations(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("nas_core.network", "import os, torch\nfrom nas_core.genotype import Genotype"),
        ("topo_sweep.plots", "if TYPE_CHECKING:\n    import pandas\n    import topo_sweep.store"),
        ("topo_sweep.cli.run", "import click\nfrom topo_sweep.cli.common import say"),
        ("topo_sweep.sweep", "from topo_sweep import driver\nimport rayleigh"),
    ],
)
def test_an_allowed_import_is_not_caught(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_a_circle_is_caught_also_one_through_a_function() -> None:
    sources = {
        "a": "from b import f",
        "b": "import c",
        "c": "def f():\n    import a",
        "d": "import a",
    }
    assert circles(sources) == ["a", "b", "c", "d"]
    assert circles(sources | {"c": "if TYPE_CHECKING:\n    import a"}) == []


def test_a_heavy_import_is_caught_however_long_the_way() -> None:
    sources = {"p": "import torch", "p.a": "", "b": "import p.a", "c": "def f():\n    import b"}
    assert chain("torch", "b", sources) == ["b", "p", "torch"]
    assert chain("torch", "c", sources) == []


@pytest.mark.parametrize(
    "source",
    [
        *("try:\n    f()\nexcept:\n    pass", "eval('1')", "def f():\n    exec('x')"),
        *("import builtins\nbuiltins.eval('1')", "__import__('ray')", "a = 1\n" * 401),
        "importlib.import_module('ray')",
    ],
)
def test_a_fault_is_caught(source: str) -> None:
    assert len(faults(source)) == 1
    assert not faults("try:\n    model.eval()\nexcept OSError:\n    raise\n" * 100)


@pytest.mark.parametrize("home", ["work", "root", "home", "Users"])
def test_a_path_of_a_machine_is_caught(home: str) -> None:
    assert machine_paths(f"see '/{home}/me/x'") == [f"/{home}/me/x'"]
    assert not machine_paths(f"https://example.org/{home}/x and {home}/x and a/{home}/x")
