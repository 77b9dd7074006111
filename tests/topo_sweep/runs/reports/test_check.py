"""A check reads every file of a sweep that is kept, and a driver's lock holds against repairs."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from nas_core.errors import InputError
from nas_core.files import is_regular
from nas_core.training.checkpoint import Checkpoint
from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.store.store_rows import append, trial_row
from topo_sweep.runs.reports.check import check_sweep
from topo_sweep.store.manifest import NewerStoreError
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import StoreError

READS = "topo_sweep.runs.reports.check.is_regular"
"""What a check calls first of each checkpoint."""
STUDIES = Path(__file__).resolve().parents[4] / "results" / "studies"


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    store = make_sweep(tmp_path, small_spec())
    append(store, [trial_row("a")])
    for key in ("one", "two"):
        Checkpoint(store.paths.checkpoint(key), key=key).save({"w": torch.ones(100)}, [])
    return store


def test_a_damaged_checkpoint_is_found_and_moved_aside(store: ResultStore) -> None:
    folder, state = store.paths.folder, store.paths.checkpoint("one")
    assert check_sweep(folder, repairs=False).damage == []
    content = bytearray(state.read_bytes())
    content[-3] ^= 1
    state.write_bytes(content)

    for repairs in (False, True):
        checked = check_sweep(folder, repairs=repairs)
        assert [each.path for each in checked.damage] == [state]
        assert (checked.files, checked.undigested) == (5, 0)

    assert not state.exists()
    assert store.paths.checkpoint("two").exists()
    assert check_sweep(folder, repairs=True).damage == []


@pytest.mark.parametrize("repairs", [False, True])
def test_what_a_driver_writes_is_not_checked_meanwhile(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, *, repairs: bool
) -> None:
    def gone(state: Path) -> bool:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(state))

    monkeypatch.setattr(READS, gone)
    with store.lock(), pytest.raises(InputError, match="is in use by process"):
        check_sweep(store.paths.folder, repairs=repairs)


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something once a check has listed the files and begins to read them."""

    def after_that(state: Path) -> bool:
        monkeypatch.setattr(READS, is_regular)
        act()
        return is_regular(state)

    monkeypatch.setattr(READS, after_that)


@pytest.mark.parametrize(
    "does",
    [
        lambda store: store.paths.checkpoint("one").unlink(),
        lambda store: store.append([trial_row("b")], []),  # whose curve was not there when looked
    ],
)
def test_a_driver_that_begins_during_a_check_is_named(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, does: Callable[[ResultStore], object]
) -> None:
    with contextlib.ExitStack() as driver:
        meanwhile(monkeypatch, lambda: (driver.enter_context(store.lock()), does(store)))

        with pytest.raises(InputError, match="is in use by process"):
            check_sweep(store.paths.folder, repairs=False)


def test_what_a_driver_removed_that_began_and_ended_during_a_check_is_not_missed(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, store.paths.checkpoint("one").unlink)

    checked = check_sweep(store.paths.folder, repairs=False)

    assert (checked.files, checked.damage) == (4, [])


def test_a_check_that_was_not_asked_to_repair_does_not_where_a_driver_has_just_ended(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = store.paths.checkpoint("one")
    state.write_bytes(b"")
    monkeypatch.setattr(ResultStore, "is_locked", True)

    assert [each.path for each in check_sweep(store.paths.folder, repairs=False).damage] == [state]

    assert state.exists()


@pytest.mark.parametrize("repairs", [False, True])
def test_a_newer_store_is_refused_and_nothing_of_it_is_moved(
    store: ResultStore, repairs: bool
) -> None:
    newer = json.loads(store.paths.manifest.read_text()) | {"store_version": 99, "more": 1}
    store.paths.manifest.write_text(json.dumps(newer))
    for damaged in (store.paths.checkpoint("one"), *store.paths.epochs.iterdir()):
        damaged.write_bytes(b"")
    (store.paths.trials / ".part-1.parquet.tmp").touch()
    before = sorted(store.paths.folder.rglob("*"))

    with pytest.raises(NewerStoreError, match="upgrade topo-sweep"):
        check_sweep(store.paths.folder, repairs=repairs)

    after = set(store.paths.folder.rglob("*")) - {store.paths.lock}
    assert sorted(after) == before


@pytest.mark.parametrize("repairs", [False, True])
@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize(
    "name",
    ["sweep.json", "trials", "trials/*.parquet", "epochs", "epochs/*.parquet", "checkpoints/one.*"],
)
def test_what_cannot_be_read_now_is_not_damaged_and_ends_the_check(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, name: str, code: int, repairs: bool
) -> None:
    (unreadable,) = store.paths.folder.glob(name)
    damaged = store.paths.checkpoint("two")
    damaged.write_bytes(b"")
    before = {path for path in store.paths.folder.rglob("*") if path.is_file()}

    def failing(read: Callable[..., Any]) -> Callable[..., Any]:
        def fails(path: Path, *arguments: Any, **options: Any) -> Any:
            if path == unreadable:
                raise OSError(code, os.strerror(code), str(path))
            return read(path, *arguments, **options)

        return fails

    with monkeypatch.context() as patch:
        for reads in ("open", "iterdir"):
            patch.setattr(Path, reads, failing(getattr(Path, reads)))
        with pytest.raises(OSError, match=os.strerror(code)) as ended:
            check_sweep(store.paths.folder, repairs=repairs)

    assert ended.value.filename == str(unreadable)
    after = {path for path in store.paths.folder.rglob("*") if path.is_file()}
    assert after - {store.paths.lock} == before


def test_a_part_of_an_earlier_version_that_cannot_be_read_now_is_not_damaged(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (part,) = store.paths.trials.iterdir()
    part.rename(part.with_name("part-1.parquet"))

    def stale(*_: Any, **__: Any) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(pq, "read_table", stale)
    with pytest.raises(OSError, match="Stale"):
        check_sweep(store.paths.folder, repairs=True)
    with pytest.raises(StoreError, match=r"cannot read .*: Stale"):
        store.trials()

    assert not store.paths.damaged.exists()


def test_no_kept_study_is_damaged() -> None:
    folders = sorted(path.parent for path in STUDIES.rglob("sweep.json"))
    assert folders
    for folder in folders:
        assert check_sweep(folder, repairs=False).damage == [], folder


def test_a_checkpoint_that_is_a_pipe_is_damaged_and_not_waited_for(tmp_path: Path) -> None:
    store = make_sweep(tmp_path, small_spec())
    os.mkfifo(store.paths.checkpoint("x"))

    (damage,) = check_sweep(store.paths.folder, repairs=False).damage

    assert (damage.path, damage.reason) == (store.paths.checkpoint("x"), "it is no regular file")
