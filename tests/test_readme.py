"""Every command of the README runs, shrunk to seconds where it would take hours."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import duckdb
import pytest

from tests.conftest import TINY, Run
from topo_sweep.spec.load import shipped_names

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SMALL = ("--executor", "inline", *TINY)
SMALL_SEARCH = (
    *("--executor", "inline", "--dataset", "digits", "--train-limit", "64"),
    *("--set", "init_channels=2", "--set", "cells=3", "--set", "epochs=1", "--set", "images=32"),
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    shell = [
        line.partition(" #")[0].strip() for block in blocks("sh") for line in block.splitlines()
    ]
    table = re.findall(r"^\| `(topo-sweep [^`]+)` \|", README, re.MULTILINE)
    yaml = re.findall(r"run with: (topo-sweep .*)", README)
    return [line for line in [*shell, *table, *yaml] if line]


def experiments() -> list[str]:
    """Return the commands of the table of the paper's experiments."""
    section = README.partition("## The paper, experiment by experiment")[2].partition("\n## ")[0]
    return re.findall(r"^\| [^|`]+ \| `(topo-sweep [^`]+)` \|", section, re.MULTILINE)


def shrunk(command: str, folder: Path) -> list[str]:
    """Return the arguments with tiny options behind; the last of each option counts.

    `folder` holds results: where the command names a sweep by HASH, it is looked up there.
    """
    arguments = [_existing(argument, folder) for argument in shlex.split(command)[1:]]
    arguments = [a for a in arguments if a not in ("--cluster", "--address", "HOST:6379")]
    name = arguments[0]
    if name == "search":
        return [*arguments, *SMALL_SEARCH]
    if name == "evaluate":
        return [*arguments, *SMALL, "--seeds", "0"]
    if name == "promote":
        return [*arguments, "--executor", "inline", "--top", "1", "--seeds", "1"]
    if name != "run":
        return arguments
    if "edarts" in arguments:
        found = [f"search.{value}" if "=" in value else value for value in SMALL_SEARCH]
        return [*arguments, *SMALL, *found[4:], "--seeds", "0"]
    few = () if "unified" in arguments else ("--topologies", "0,1")
    data = ("--holdout", "0") if "./mine.yaml" in arguments else ()
    return [*arguments, *SMALL, *few, *data, "--seeds", "0"]


def _existing(argument: str, folder: Path) -> str:
    if not argument.endswith("-cifar10-HASH"):
        return argument
    (sweep,) = folder.glob(argument.replace("cifar10-HASH", "digits-*"))
    return str(sweep)


def test_the_readme_has_commands_of_every_kind() -> None:
    said = {shlex.split(command)[1] for command in commands()}
    plain = {"demo", "demo-search", "test", "run", "enumerate", "status", "rank", "plot"}
    assert said == plain | {"search", "evaluate", "promote", "compare", "protocol"}


def test_every_shipped_sweep_but_the_small_ones_stands_among_the_experiments() -> None:
    named = {shlex.split(command)[2] for command in experiments() if " run " in command}
    unified = {"unified"}  # `promote` makes it from a sweep's own ranking
    assert named | unified == set(shipped_names()) - {"demo", "search_demo", "classes"}


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("make ")])
def test_make_has_the_target(command: str) -> None:
    dry = subprocess.run(
        ["make", "-n", *shlex.split(command)[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "topo-sweep run" in dry.stdout or "pytest" in dry.stdout


@pytest.mark.slow
def test_every_topo_sweep_command_runs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    # Sweeps first, those of searches after the topologies that they name.
    asked = sorted(
        (c for c in commands() if c.startswith("topo-sweep")),
        key=lambda c: (" run " not in c, "edarts" in c),
    )
    for command in asked:
        result = run(*shrunk(command, tmp_path))
        assert result.returncode == 0, f"{command}: {result.stderr}"


@pytest.mark.slow
def test_the_snippets_for_notebooks_and_duckdb_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*shrunk("topo-sweep run demo", tmp_path))
    monkeypatch.chdir(tmp_path)
    (python,), (sql,) = blocks("python"), blocks("sql")

    exec(compile(python, "README.md", "exec"), {})  # noqa: S102 - the README is ours
    rows = duckdb.connect().execute(sql).fetchall()
    assert sorted(topology for topology, _ in rows) == [0, 1]
    assert all(0 <= accuracy <= 1 for _, accuracy in rows)
