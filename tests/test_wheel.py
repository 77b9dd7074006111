"""The built wheel works away from the checkout, with no more than a command needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("nas_core", "topo_sweep", "sweeps", "results/__init__.py")
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        source, target = ROOT / name, copy / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    subprocess.run(build, cwd=copy, check=True, capture_output=True)
    (built,) = (copy / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_licence_types_and_shipped_sweeps(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("LICENSE") for name in names)
    for name in ("nas_core/py.typed", "topo_sweep/py.typed", "topo_sweep/published/__init__.py"):
        assert name in names
    shipped = {path.name for path in (ROOT / "sweeps").glob("*.yaml")}
    assert {Path(n).name for n in names if n.startswith("topo_sweep/sweeps/")} > shipped
    assert not [name for name in names if name.startswith(("tests", "sweeps", "results"))]


@pytest.mark.slow
def test_enumerate_and_the_shipped_sweeps_need_little_and_no_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    python, program = environment / "bin" / "python", environment / "bin" / "topo-sweep"

    def install(*packages: str) -> None:
        quiet = ("--quiet", "--disable-pip-version-check")
        subprocess.run([python, "-m", "pip", "install", *quiet, *packages], check=True)

    install("--no-deps", str(wheel))
    install(f"click=={version('click')}")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    listing = subprocess.run(
        [program, "enumerate", "--format", "json"],
        cwd=elsewhere,
        check=True,
        capture_output=True,
        text=True,
    )
    assert len(json.loads(listing.stdout)) == 180

    install(f"pydantic=={version('pydantic')}", f"PyYAML=={version('PyYAML')}")
    code = (
        "from topo_sweep.spec import Overrides, load_spec, shipped_names\n"
        "for name in shipped_names():\n"
        "    few = Overrides(topologies='0') if name == 'unified' else Overrides()\n"
        "    print(name, load_spec(name, few).trial_count)"
    )
    found = subprocess.run(
        [python, "-c", code], cwd=elsewhere, check=True, capture_output=True, text=True
    )
    counts = dict(line.split() for line in found.stdout.splitlines())
    assert counts == {
        "classes": "79",
        "demo": "180",
        "known_cells": "40",
        "topologies": "180",
        "unified": "1",
    }
