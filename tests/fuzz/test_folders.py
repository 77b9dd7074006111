"""Folders of results in which names and links lead elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz.inputs import works_or_is_refused
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.store.store_rows import append, trial_row
from topo_sweep.runs.reports.check import check_sweep
from topo_sweep.store.opened import load_results
from topo_sweep.store.parquet import ResultStore

EVERYTHING = (
    lambda store: load_results(store.paths.folder),
    lambda store: check_sweep(store.paths.folder, repairs=False),
    lambda store: store.is_locked,
    lambda store: store.tidy(),
    lambda store: check_sweep(store.paths.folder, repairs=True),
    lambda store: append(store, [trial_row("new")]),
    lambda store: store.compact(),
)
NAMES = (
    *(".lock", "sweep.json", ".progress.json", "trials/part-1.parquet", "trials/part-x.parquet"),
    *("trials/.part-1.parquet.tmp", "checkpoints/x.safetensors", ".fault-x"),
)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    store = make_sweep(tmp_path / "results", small_spec())
    append(store, [trial_row()])
    return store


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_what_is_no_file_is_neither_followed_nor_waited_for(
    kind: str, name: str, store: ResultStore, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    file = store.paths.folder / name
    file.unlink(missing_ok=True)
    if kind == "link":
        outside.write_bytes(b"precious")
        file.symlink_to(outside)
    elif kind == "dangling link":
        file.symlink_to(outside)
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()

    for use in EVERYTHING:
        works_or_is_refused(use, store)

    if kind == "link":
        assert outside.read_bytes() == b"precious"
    else:
        assert not outside.exists()
