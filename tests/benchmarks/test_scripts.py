"""Every script is smoke-run somewhere, and says how it is run."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from tests.benchmarks.conftest import BENCHMARKS
from tests.pages import PAGES
from topo_sweep.bench.record import record

SCRIPTS = sorted(BENCHMARKS.glob("*.py"))
RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))


def test_every_script_has_its_test_file_and_every_test_file_its_script() -> None:
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert tested - {"scripts"} == {path.stem for path in SCRIPTS}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_how_it_is_run_and_with_which_options(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(source)) or ""

    assert f"Run: python benchmarks/{path.name}" in said
    options = re.findall(r'add_argument\("(--[\w-]+)"', source)
    assert "--json" in options
    assert [option for option in options if option not in said] == []


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_has_its_command_on_the_page_and_the_form_of_all(path: Path) -> None:
    kept = json.loads(path.read_text(encoding="utf-8"))
    page = " ".join(PAGES["docs/performance.md"].split())

    assert kept.keys() == record("", {}, n=1).keys()
    assert kept["command"] in page
