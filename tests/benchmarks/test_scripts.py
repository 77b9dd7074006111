"""Every script is smoke-run somewhere, and says how it is run."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.benchmarks.conftest import BENCHMARKS

SCRIPTS = sorted(BENCHMARKS.glob("*.py"))


def test_every_script_has_its_test_file_and_every_test_file_its_script() -> None:
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert tested - {"scripts"} == {path.stem for path in SCRIPTS}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_how_it_is_run_and_with_which_options(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(source)) or ""

    assert f"Run: python benchmarks/{path.name}" in said
    assert ('"--json"' in source) == ("--json" in said)
