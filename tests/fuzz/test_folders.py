"""Folders of results in which names and links lead elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nas_core.errors import InputError
from tests.fuzz.inputs import works_or_is_refused
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.store.store_rows import append, trial_row
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.reports.check import check_sweep
from topo_sweep.store.opened import load_results
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.uris import COPY_OF

Use = Callable[[ResultStore], object]


def locked(use: Use) -> Use:
    """Return what does something as every writer does, with the lock held."""

    def used(store: ResultStore) -> None:
        with store.lock():
            use(store)

    return used


EVERYTHING: tuple[Use, ...] = (
    lambda store: load_results(store.paths.folder),
    lambda store: check_sweep(store.paths.folder, repairs=False),
    lambda store: store.is_locked,
    lambda store: store.create_folders(),
    locked(lambda store: store.tidy()),
    lambda store: check_sweep(store.paths.folder, repairs=True),
    locked(lambda store: append(store, [trial_row("new")])),
    locked(lambda store: store.compact()),
)
FOLDERS = (
    *("trials", "epochs", "searches", "search_epochs", "checkpoints", "damaged"),
    *("damaged/trials", "damaged/checkpoints"),
)
NAMES = (
    *(".lock", "sweep.json", ".progress.json", "trials/part-1.parquet", "trials/part-x.parquet"),
    *("trials/.part-1.parquet.tmp", "checkpoints/x.safetensors", ".fault-x", COPY_OF, *FOLDERS),
)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    store = make_sweep(tmp_path / "results", small_spec())
    append(store, [trial_row()])
    return store


def without(file: Path) -> Path:
    """Return a path in a sweep at which there is nothing any more."""
    if file.is_dir():
        shutil.rmtree(file)
    file.unlink(missing_ok=True)
    file.parent.mkdir(exist_ok=True)
    return file


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_what_is_no_file_is_neither_followed_nor_waited_for(
    kind: str, name: str, store: ResultStore, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    file = without(store.paths.folder / name)
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


@pytest.mark.parametrize("name", NAMES)
def test_of_a_folder_to_which_a_link_leads_nothing_is_removed_or_added(
    name: str, store: ResultStore, tmp_path: Path
) -> None:
    outside = shutil.copytree(store.paths.trials, tmp_path / "outside")
    for other in ("a.safetensors", ".mine.tmp", "part-1.parquet"):
        (outside / other).write_bytes(b"precious")
    before = {file: file.read_bytes() for file in outside.iterdir()}
    without(store.paths.folder / name).symlink_to(outside)

    for use in EVERYTHING:
        works_or_is_refused(use, store)

    assert {file: file.read_bytes() for file in outside.iterdir()} == before


@pytest.mark.parametrize("name", FOLDERS)
def test_a_sweep_of_which_a_folder_is_a_link_is_refused(
    name: str, store: ResultStore, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    without(store.paths.folder / name).symlink_to(tmp_path / "outside")

    for use in (
        lambda: load_results(store.paths.folder.parent),
        lambda: check_sweep(store.paths.folder, repairs=True),
        lambda: make_plan(small_spec(), store.paths.folder.parent),
        store.create_folders,
    ):
        with pytest.raises(InputError, match=f"{name} is a link"):
            use()


def test_the_folder_of_a_sweep_may_be_a_link(store: ResultStore, tmp_path: Path) -> None:
    store.paths.folder.rename(tmp_path / "another disk")
    store.paths.folder.symlink_to(tmp_path / "another disk")

    for use in EVERYTHING:
        use(store)

    assert len(store.trials()) == 2


def test_links_of_a_folder_that_is_no_sweep_are_its_own_affair(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").symlink_to(tmp_path)

    with pytest.raises(InputError, match="holds none"):
        load_results(tmp_path)
