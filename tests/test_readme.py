"""Every command of the README runs, shrunk to seconds where it would take hours."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import duckdb
import pytest

from tests.conftest import TINY, Run

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SMALL = ("--executor", "inline", *TINY)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    shell = [
        line.partition(" #")[0].strip() for block in blocks("sh") for line in block.splitlines()
    ]
    table = re.findall(r"^\| `(topo-sweep [^`]+)` \|", README, re.MULTILINE)
    yaml = re.findall(r"run with: (topo-sweep .*)", README)
    return [line for line in [*shell, *table, *yaml] if line]


def shrunk(command: str) -> list[str]:
    """Return the arguments with tiny options behind; the last of each option counts."""
    arguments = shlex.split(command)[1:]
    if arguments[0] != "run":
        return arguments
    arguments = [a for a in arguments if a not in ("--cluster", "--address", "HOST:6379")]
    few = () if "unified" in arguments else ("--topologies", "0,1")
    data = ("--holdout", "0") if "./mine.yaml" in arguments else ()
    return [*arguments, *SMALL, *few, *data, "--seeds", "0"]


def test_the_readme_has_commands_of_every_kind() -> None:
    said = {shlex.split(command)[1] for command in commands()}
    assert said == {"demo", "test", "run", "enumerate", "status", "rank", "plot"}


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("make ")])
def test_make_has_the_target(command: str) -> None:
    dry = subprocess.run(
        ["make", "-n", *shlex.split(command)[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "topo-sweep run demo" in dry.stdout or "pytest" in dry.stdout


@pytest.mark.slow
def test_every_topo_sweep_command_runs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    asked = sorted(
        (c for c in commands() if c.startswith("topo-sweep")), key=lambda c: " run " not in c
    )
    for command in asked:
        result = run(*shrunk(command))
        assert result.returncode == 0, f"{command}: {result.stderr}"


@pytest.mark.slow
def test_the_snippets_for_notebooks_and_duckdb_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*shrunk("topo-sweep run demo"))
    monkeypatch.chdir(tmp_path)
    (python,), (sql,) = blocks("python"), blocks("sql")

    exec(compile(python, "README.md", "exec"), {})  # noqa: S102 - the README is ours
    rows = duckdb.connect().execute(sql).fetchall()
    assert sorted(topology for topology, _ in rows) == [0, 1]
    assert all(0 <= accuracy <= 1 for _, accuracy in rows)
