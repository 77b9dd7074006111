"""The direction of imports, and which module owns which library, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("nas_core", "topo_sweep")
MOST_LINES = 400

OWNERS = {
    "click": ("topo_sweep.cli",),
    "ray": ("topo_sweep.driver", "topo_sweep.worker", "topo_sweep.cluster"),
    "pyarrow": ("topo_sweep.store", "nas_core.cifar"),
    "matplotlib": ("topo_sweep.plots",),
    "mpl_toolkits": ("topo_sweep.plots",),
    "rich": ("topo_sweep.progress", "topo_sweep.cli"),
    "yaml": ("topo_sweep.yaml_file",),
    "safetensors": ("nas_core.checkpoint",),
    "sklearn": ("nas_core.data",),
    "torchvision": ("nas_core.cifar",),
}
"""Library -> the only modules (or packages) that may import it."""

LAYERS = (
    "errors",
    "topology",
    "genotype",
    "operations",
    "network",
    "training",
)
"""Of nas_core: each may import those before it, never those after it."""

WITHOUT_TORCH = (
    *("nas_core.errors", "nas_core.topology", "nas_core.genotype", "nas_core.protocol"),
    *("nas_core.datasets", "nas_core.files", "topo_sweep.spec", "topo_sweep.trials"),
    *("topo_sweep.store", "topo_sweep.plan", "topo_sweep.ranking", "topo_sweep.results"),
    *("topo_sweep.status", "topo_sweep.plots", "topo_sweep.cli"),
)


def modules() -> dict[str, Path]:
    """Return our modules by name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path
    return found


MODULES = modules()


def imports(source: str) -> Iterator[str]:
    """Yield the modules that a source imports when it runs, those in functions too."""
    for node in running(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes below, those under `if TYPE_CHECKING` left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from running(child)


def belongs(module: str, owners: tuple[str, ...]) -> bool:
    return any(module == owner or module.startswith(f"{owner}.") for owner in owners)


def violations(module: str, source: str) -> list[str]:
    """Return what is wrong with the imports of a module."""
    wrong = []
    for imported in set(imports(source)):
        library = imported.partition(".")[0]
        if library in OWNERS and not belongs(module, OWNERS[library]):
            wrong.append(f"{module} imports {imported}, which is for {', '.join(OWNERS[library])}")
        if module.startswith("nas_core") and library in ("topo_sweep", "pandas"):
            wrong.append(f"{module} imports {imported}: the science knows no instrument")
        layer, other = (name.removeprefix("nas_core.") for name in (module, imported))
        if layer in LAYERS and other in LAYERS and LAYERS.index(other) > LAYERS.index(layer):
            wrong.append(f"{module} imports {imported}, which is above it")
        if module in ("topo_sweep.ranking", "topo_sweep.plots") and "store" in imported:
            wrong.append(f"{module} imports {imported}: it is pure")
        above = ("topo_sweep.cli", "topo_sweep.__main__")
        if imported.startswith("topo_sweep.cli") and not belongs(module, above):
            wrong.append(f"{module} imports {imported}: nothing stands on the command line")
    return wrong


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way_and_libraries_have_owners(module: str) -> None:
    assert violations(module, MODULES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("nas_core.topology", "from nas_core import network"),
        ("nas_core.genotype", "def f():\n    import nas_core.training"),
        ("nas_core.data", "import pandas as pd"),
        ("nas_core.data", "from topo_sweep.paths import RESULTS"),
        ("topo_sweep.plan", "import click"),
        ("topo_sweep.sweep", "from ray import tune"),
        ("topo_sweep.status", "import pyarrow.parquet as pq"),
        ("topo_sweep.ranking", "from topo_sweep.store import ResultStore"),
        ("topo_sweep.store", "from topo_sweep.cli.common import say"),
    ],
)
def test_the_rules_catch_what_they_forbid(module: str, source: str) -> None:
    assert violations(module, source)
    assert not violations(module, "import os\nfrom nas_core.errors import InputError")


def test_modules_import_each_other_without_circles() -> None:
    graph = {
        name: set(imports(path.read_text(encoding="utf-8"))) & set(MODULES) - {name}
        for name, path in MODULES.items()
    }
    while graph:
        leaves = {name for name, needs in graph.items() if not needs & set(graph)}
        assert leaves, f"these import each other in circles: {sorted(graph)}"
        graph = {name: needs for name, needs in graph.items() if name not in leaves}


def test_planning_reading_and_help_need_no_torch() -> None:
    code = f"import sys, {', '.join(WITHOUT_TORCH)}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("module", MODULES)
def test_files_are_short_and_evaluate_and_swallow_nothing(module: str) -> None:
    source = MODULES[module].read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"bare except in line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec"), f"line {node.lineno}"
