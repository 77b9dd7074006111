"""The files of a store elsewhere and of its working copy; pyarrow's file system in memory."""

from __future__ import annotations

import fcntl
import itertools
import shutil
from pathlib import Path

import pytest

from tests.disk import full_disk
from topo_sweep.store import files, remote
from topo_sweep.store.files import (
    fetch,
    is_elsewhere,
    move,
    refresh,
    remove,
    try_out,
    unlink,
    write_durably,
)
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.remote import Remote, remote_of
from topo_sweep.store.uris import working_copy

_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_FRESH_SECONDS", 0.0)
    monkeypatch.setattr(remote, "_PAUSE_SECONDS", 0.0)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return working_copy(f"mock://results-{next(_NUMBERS)}/results")


@pytest.fixture
def place(results: Path) -> Remote:
    found = remote_of(results)
    assert found is not None
    return found


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def put_sweep(place: Remote, paths: StorePaths) -> None:
    """Put a file of each kind there, as another machine has written them."""
    for path in (
        *(paths.manifest, paths.progress, paths.trials / "part-1.parquet"),
        *(paths.epochs / "part-1.parquet", paths.checkpoint("a"), paths.lease),
        *(paths.damaged / "trials" / "part-0.parquet", paths.figures / "surface.png"),
        paths.trials / ".part-2.parquet.half.tmp",
    ):
        place.put(path, path.name.encode())


def test_a_file_is_written_elsewhere_and_here_and_removed_there_and_here(
    results: Path, place: Remote
) -> None:
    path = results / "sweep" / "sweep.json"
    write_durably(path, b"one")
    write_durably(path, b"two")
    assert (path.read_bytes(), place.get(path)) == (b"two", b"two")

    remove(path)
    place.settle()
    assert not path.exists()
    assert place.listed(path.parent) == {}
    unlink(path)


def test_what_cannot_be_written_elsewhere_is_not_here(
    results: Path, place: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = results / "sweep.json"
    write_durably(path, b"one")
    monkeypatch.setattr(Remote, "_stream", full_disk)
    with pytest.raises(OSError, match="space"):
        write_durably(path, b"two")
    assert (path.read_bytes(), place.get(path)) == (b"one", b"one")


def test_what_the_copy_has_no_room_for_is_durable_elsewhere(
    results: Path, place: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = results / "sweep.json"
    write_durably(path, b"one")
    with monkeypatch.context() as full:
        full.setattr("nas_core.files.write_durably", full_disk)
        write_durably(path, b"two")
    assert not path.exists()
    assert place.get(path) == b"two"


def test_a_moved_file_has_its_new_name_there_and_here(results: Path, place: Remote) -> None:
    old, new = results / "trials" / "part", results / "damaged" / "trials" / "part"
    write_durably(old, b"rows")
    move(old, new)
    assert (new.read_bytes(), place.get(new)) == (b"rows", b"rows")
    assert not old.exists()
    assert place.listed(old.parent) == {}


def test_one_file_is_fetched_or_found_to_be_gone(results: Path, place: Remote) -> None:
    path = StorePaths(results).checkpoint("a")
    place.put(path, b"state")
    fetch(path)
    assert path.read_bytes() == b"state"
    place.delete(path)
    fetch(path)
    assert not path.exists()


def test_a_look_fetches_rows_and_what_says_what_they_are(results: Path, place: Remote) -> None:
    paths = StorePaths(results / "sweep")
    put_sweep(place, paths)
    refresh(paths.folder)
    assert names(paths.folder) == [".progress.json", "sweep.json", "trials/part-1.parquet"]

    refresh(paths.folder, whole=True)
    more = ["checkpoints/a.safetensors", "epochs/part-1.parquet"]
    assert set(names(paths.folder)) == {
        *more,
        *(".progress.json", "sweep.json", "trials/part-1.parquet"),
    }


def test_a_look_at_a_folder_of_sweeps_fetches_them_all_and_nothing_else(
    results: Path, place: Remote
) -> None:
    for name in ("one", "two"):
        put_sweep(place, StorePaths(results / name))
    place.put(results / "notes" / "text.txt", b"of the user")
    refresh(results)
    assert {name.partition("/")[0] for name in names(results)} == {"one", "two"}


def test_what_is_gone_elsewhere_goes_here(results: Path, place: Remote) -> None:
    paths = StorePaths(results / "sweep")
    put_sweep(place, paths)
    refresh(paths.folder)
    place.delete(paths.trials / "part-1.parquet")
    refresh(paths.folder)
    assert "trials/part-1.parquet" not in names(paths.folder)
    place.delete(paths.manifest)
    refresh(results)
    assert "sweep.json" not in names(paths.folder)


def test_what_is_here_is_not_fetched_again_but_for_what_changes(
    results: Path, place: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = StorePaths(results / "sweep")
    put_sweep(place, paths)
    refresh(paths.folder)
    got: list[str] = []
    get = Remote.get

    def watched(self: Remote, path: Path, **options: int) -> bytes:
        got.append(path.name)
        return get(self, path, **options)

    monkeypatch.setattr(Remote, "get", watched)
    refresh(paths.folder)
    assert sorted(got) == [".progress.json", "sweep.json"]
    refresh(paths.folder, anew=True)
    assert "part-1.parquet" in got


def test_a_folder_is_looked_at_once_in_a_while(
    results: Path, place: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_FRESH_SECONDS", 3600.0)
    paths = StorePaths(results / "sweep")
    put_sweep(place, paths)
    refresh(results)
    place.put(paths.trials / "part-2.parquet", b"new")
    refresh(paths.folder)
    assert "trials/part-2.parquet" not in names(paths.folder)
    refresh(paths.folder, whole=True)
    assert "trials/part-2.parquet" in names(paths.folder)
    place.put(paths.trials / "part-3.parquet", b"newer")
    refresh(paths.folder, now=True)
    assert "trials/part-3.parquet" in names(paths.folder)


def test_a_look_beside_a_driver_with_the_same_copy_takes_nothing_back_that_it_wrote(
    results: Path, place: Remote
) -> None:
    paths = StorePaths(results / "sweep")
    put_sweep(place, paths)
    refresh(paths.folder)
    write_durably(paths.manifest, b"of the driver")
    place.put(paths.manifest, b"older")
    place.put(paths.trials / "part-2.parquet", b"rows")
    with paths.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refresh(paths.folder)
    assert paths.manifest.read_bytes() == b"of the driver"
    assert "trials/part-2.parquet" in names(paths.folder)
    refresh(paths.folder)
    assert paths.manifest.read_bytes() == b"older"


def test_a_part_that_is_written_here_during_a_look_stays(
    results: Path, place: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = StorePaths(results / "sweep")
    put_sweep(place, paths)
    refresh(paths.folder)
    listed = Remote.listed

    def and_then_written(self: Remote, folder: Path) -> dict[Path, int | None]:
        there = listed(self, folder)
        if folder == paths.trials:
            write_durably(paths.trials / "part-2.parquet", b"new")
        return there

    monkeypatch.setattr(Remote, "listed", and_then_written)
    refresh(paths.folder)
    assert "trials/part-2.parquet" in names(paths.folder)


def test_a_trial_of_a_place_leaves_nothing(results: Path, place: Remote) -> None:
    place.put(results / "kept", b"")
    try_out(results)
    assert place.listed(results) == {results / "kept": 0}


def test_an_ordinary_folder_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sweep.json"
    write_durably(path, b"one")
    for leave in (refresh, fetch, try_out):
        leave(path.parent if leave is not fetch else path)
    assert not is_elsewhere(path)
    assert names(tmp_path) == ["sweep.json"]


def test_results_that_came_from_elsewhere_are_kept_whatever_is_no_longer_there(
    results: Path, place: Remote
) -> None:
    paths = StorePaths(results)
    put_sweep(place, paths)
    refresh(results, whole=True)
    backup = shutil.copytree(results.parent, results.parents[2] / "backup") / "results"
    before = names(backup)
    place.each(place.delete, [path for path in results.rglob("*") if path.is_file()])

    refresh(backup, whole=True)
    refresh(results, whole=True)

    assert (names(backup), names(results)) == (before, [])
