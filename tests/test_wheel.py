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
FOLDERS = {"nas_core": "nas_core", "topo_sweep": "topo_sweep", "sweeps": "topo_sweep/sweeps"}
"""Folder of the checkout -> where the wheel has it."""
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")

pytestmark = pytest.mark.long


def published() -> list[Path]:
    """Return the files of results that are installed; a user's own sweeps stay where they are."""
    return [ROOT / "results/__init__.py", *sorted((ROOT / "results").glob("*.csv"))]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy, so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("source")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "results").mkdir()
    for path in (*published(), *(ROOT / name for name in FILES)):
        shutil.copy(path, copy / path.relative_to(ROOT))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    done = subprocess.run(build, cwd=copy, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (copy / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_every_module_sweep_type_mark_and_the_licence_and_no_more(
    wheel: Path,
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {f"topo_sweep/published/{path.name}" for path in published()}
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml", ".typed"):
                wanted.add(f"{package}/{path.relative_to(ROOT / folder)}")
    assert {name for name in names if ".dist-info/" not in name} == wanted
    assert {"nas_core/py.typed", "topo_sweep/py.typed", "topo_sweep/sweeps/demo.yaml"} <= wanted
    assert any(name.endswith("LICENSE") for name in names if ".dist-info/" in name)


def test_enumerate_and_the_shipped_sweeps_need_little_and_no_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python, program = environment / "bin" / "python", environment / "bin" / "topo-sweep"

    def install(*packages: str) -> None:
        quiet = ("--quiet", "--disable-pip-version-check", "--no-compile")
        pip = (sys.executable, "-m", "pip", "--python", str(python), "install")
        subprocess.run([*pip, *quiet, *packages], check=True)

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
        "from topo_sweep.spec.load import Overrides, load_spec, shipped_names\n"
        "for name in shipped_names():\n"
        "    few = {'unified': Overrides(topologies='0')}.get(name, Overrides())\n"
        "    if name in ('edarts', 'edarts_c100', 'ablation_equal', 'search_demo'):\n"
        "        few = Overrides(search={'topology': 17})\n"
        "    known = lambda sweep, dataset: 'DARTS_V1'\n"
        "    print(name, load_spec(name, few, best_cell=known).trial_count)"
    )
    loaded = subprocess.run(
        [python, "-c", code], cwd=elsewhere, check=True, capture_output=True, text=True
    )
    counts = dict(line.split() for line in loaded.stdout.splitlines())
    assert counts == {
        "classes": "79",
        "classes_small": "237",
        "demo": "180",
        "digits": "1800",
        "known_cells": "40",
        "random_cells": "20",
        "topologies": "180",
        "unified": "1",
        "ablation_deep": "20",
        "ablation_equal": "40",
        "depth": "80",
        "edarts": "20",
        "edarts_c100": "20",
        "edarts_controls": "84",
        "search_demo": "4",
        "subspaces": "320",
        "table2": "40",
        "table4": "4",  # both found cells are given as one that is known
    }
