"""The public names of both packages: each is there, says what it is, and its examples hold."""

from __future__ import annotations

import ast
import doctest
import inspect
import itertools
import rlcompleter
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import nas_core
import topo_sweep

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (nas_core, topo_sweep)
NAMES = [(package, name) for package in PACKAGES for name in package.__all__]
WITHOUT_TORCH = (
    *("Topology", "enumerate_topologies", "isomorphism_classes", "Genotype", "CellEdges", "Edge"),
    *("KNOWN_CELLS", "Protocol", "SearchProtocol"),
)
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


def docstring(package: ModuleType, name: str) -> str:
    """Return what stands in a class or function, or beneath the assignment of anything else."""
    thing = getattr(package, name)
    if inspect.isclass(thing) or inspect.isfunction(inspect.unwrap(thing)):
        return inspect.getdoc(thing) or ""
    for source in map(inspect.getsource, modules_of(package)):
        body = ast.parse(source).body
        for statement, after in itertools.pairwise(body):
            if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == name:
                assert isinstance(after, ast.Expr)
                return str(ast.literal_eval(after.value))
    raise AssertionError(f"{name} is neither a class nor a function nor a documented constant")


def modules_of(package: ModuleType) -> list[ModuleType]:
    return [m for name, m in sys.modules.items() if name.startswith(f"{package.__name__}.")]


@pytest.mark.parametrize(
    ("package", "name"), NAMES, ids=[f"{package.__name__}.{name}" for package, name in NAMES]
)
def test_a_public_name_is_documented_and_its_examples_hold(
    package: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # where examples look for kept studies and sweeps
    text = docstring(package, name)
    names = {name: getattr(package, name)}
    examples = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    assert text.partition("\n")[0].endswith((".", ":")), "its first line is a sentence"
    assert examples.examples, "it has an example"
    said: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=OPTIONS).run(examples, out=said.append)
    assert not failed, "".join(said)


def test_a_name_that_is_not_public_is_an_error() -> None:
    for package in PACKAGES:
        with pytest.raises(AttributeError, match="no attribute 'absent'"):
            _ = package.absent


def test_each_public_name_is_found_and_they_alone_are_listed() -> None:
    for package in PACKAGES:
        assert [name for name in dir(package) if not name.startswith("__")] == sorted(
            package.__all__
        )
        for name in package.__all__:
            home = getattr(getattr(package, name), "__module__", package.__name__)
            assert home.startswith("nas_core." if package is nas_core else "topo_sweep.") or (
                name in {"KNOWN_CELLS", "OPS"}  # mappings, which know no home
            )


def test_a_prompt_completes_the_public_names() -> None:
    for package in PACKAGES:
        complete = rlcompleter.Completer({"package": package}).complete
        offered = itertools.takewhile(bool, (complete("package.", i) for i in itertools.count()))
        names = [str(text).removeprefix("package.").rstrip("()") for text in offered]
        assert [name for name in names if not name.startswith("__")] == sorted(package.__all__)


def test_what_needs_no_torch_loads_none() -> None:
    script = f"import sys; from nas_core import {', '.join(WITHOUT_TORCH)}; print(*sys.modules)"
    output = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert not {"torch", "numpy", "pandas", "ray", "sklearn"} & set(output.split())
