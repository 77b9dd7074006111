"""Sweeps whose disk cannot be written for a while, or never again; and who may read their files."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nas_core.training.checkpoint import Checkpoint
from nas_core.training.training import Training
from tests.disk import fill, full_disk
from tests.topo_sweep.runs.interruptions import epochs_taken
from tests.topo_sweep.runs.pack_run import curves, interrupt, manifest_of, spec, swept
from tests.topo_sweep.runs.search_run import search_spec
from tests.topo_sweep.store.local_store import rows_in
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Outcome
from topo_sweep.runs.sweep import run
from topo_sweep.store import buffered
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import StoreError

SPEC = spec(epochs=1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return all curves of a run whose disk has room."""
    results = tmp_path_factory.mktemp("undisturbed")
    swept(results, pack_size=None, sweep=SPEC)
    return curves(results)


def after_outcomes(patch: pytest.MonkeyPatch, actions: dict[int, Callable[[], object]]) -> None:
    """Do something each time so many trials have ended."""
    take, ended = Recorder.take, 0

    def watched(self: Recorder, trial: Any, report: Any) -> bool:
        nonlocal ended
        if isinstance(report, Outcome):
            ended += 1
            actions.pop(ended, lambda: None)()
        return take(self, trial, report)

    patch.setattr(Recorder, "take", watched)


def check_complete(results: Path, undisturbed: pd.DataFrame) -> None:
    """Check that all rows stand there exactly once and are those of an undisturbed run."""
    plan = make_plan(SPEC, results)
    assert plan.left == {}
    paths = plan.store.paths
    assert (rows_in(paths.trials), rows_in(paths.epochs)) == (4, 4)
    pd.testing.assert_frame_equal(curves(results), undisturbed, check_exact=True)


@pytest.mark.parametrize("freed_after", [3, 4])
def test_a_sweep_whose_disk_is_full_for_a_while_ends_with_all_rows(
    tiny_disk: Path,
    undisturbed: pd.DataFrame,
    freed_after: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(buffered, "_AGAIN_SECONDS", 0.0)
    filler = tiny_disk / "filler"
    after_outcomes(monkeypatch, {1: lambda: fill(tiny_disk), freed_after: filler.unlink})

    result = swept(tiny_disk, pack_size=None, sweep=SPEC)

    assert (result.progress.done, result.errors) == (4, ())
    check_complete(tiny_disk, undisturbed)
    folder = make_plan(SPEC, tiny_disk).store.paths.folder
    said = [message for message in caplog.messages if str(folder) in message]
    assert said == [
        f"cannot write to {folder}: the disk is full; rows that wait in memory: 1",
        f"{folder} can be written again, no row is lost",
    ]


@pytest.mark.parametrize("how", ["ends", "is stopped", "is killed"])
def test_a_sweep_whose_disk_stays_full_leaves_its_rows_elsewhere_and_goes_on_with_them(
    tmp_path: Path, undisturbed: pd.DataFrame, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, results = tmp_path / "elsewhere", tmp_path / "results"
    elsewhere.mkdir()
    folder = make_plan(SPEC, results).store.paths.folder
    write = ResultStore.append
    told = f"rows in memory: .*{elsewhere}/topo-sweep-rescued-"
    ends = {"ends": told, "is stopped": told, "is killed": "137"}

    def killed(_: Recorder) -> None:
        sys.exit(137)

    def append(self: Any, *rows: Any, **options: Any) -> None:
        if self.paths.folder == folder:
            raise StoreError("cannot write to there: the disk is full")
        write(self, *rows, **options)

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(elsewhere))
        patch.setattr(time, "sleep", lambda _: None)
        patch.setattr(ResultStore, "append", append)
        patch.setattr(Checkpoint, "save", lambda *_: None)
        patch.setattr(buffered, "_AGAIN_SECONDS", 0.0)
        if how != "ends":
            epochs_taken(patch, interrupt_after=3)
        if how == "is killed":
            patch.setattr(Recorder, "close", killed)
        with pytest.raises((StoreError, SystemExit), match=ends[how]):
            swept(results, pack_size=None, sweep=SPEC)
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    taken = epochs_taken(monkeypatch)
    swept(results, pack_size=None, sweep=SPEC)

    assert len(taken) == (0 if how == "ends" else 2)
    check_complete(results, undisturbed)
    assert not list(elsewhere.iterdir())


def test_a_sweep_whose_sweep_json_is_removed_meanwhile_has_it_again(
    tmp_path: Path, undisturbed: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_plan(SPEC, tmp_path).store.paths.manifest
    after_outcomes(monkeypatch, {2: path.unlink})

    result = swept(tmp_path, pack_size=None, sweep=SPEC)

    assert (result.progress.done, result.errors) == (4, ())
    assert manifest_of(tmp_path).specs() == [SPEC]
    check_complete(tmp_path, undisturbed)


def test_evaluations_wait_until_their_search_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = search_spec(seeds=(0, 1), evaluation_seeds=(0,))
    store = make_plan(searches, tmp_path).store
    taken = epochs_taken(monkeypatch)
    monkeypatch.setattr(buffered, "_AGAIN_SECONDS", 0.0)
    waited: list[int] = []
    with monkeypatch.context() as full:
        full.setattr("topo_sweep.store.parts.write_durably", full_disk)

        def sleep(_seconds: float) -> None:
            waited.append(len(taken))
            full.undo()

        monkeypatch.setattr(time, "sleep", sleep)
        run(make_plan(searches, tmp_path), Execution(executor="inline", retries=0))

    assert set(waited) == {2}, "both searches were trained meanwhile, and no evaluation"
    assert make_plan(searches, tmp_path).left == {}
    assert (rows_in(store.paths.part_folder("searches")), rows_in(store.paths.trials)) == (2, 2)


def test_a_disk_that_became_read_only_does_not_hide_where_the_rows_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    unlink = Path.unlink

    def read_only(self: Path, *, missing_ok: bool = False) -> None:
        if self.is_relative_to(results):
            full_disk()
        unlink(self, missing_ok=missing_ok)

    def turn() -> None:
        write = ResultStore.append

        def append(self: Any, *rows: Any, **options: Any) -> None:
            if self.paths.folder.is_relative_to(results):
                raise StoreError("cannot write to there: Read-only file system")
            write(self, *rows, **options)

        monkeypatch.setattr(ResultStore, "append", append)
        monkeypatch.setattr(Path, "unlink", read_only)
        monkeypatch.setattr(Checkpoint, "save", lambda *_: None)

    after_outcomes(monkeypatch, {1: turn})

    with pytest.raises(StoreError, match="Read-only file system; rows in memory: 4, they are"):
        swept(results, pack_size=None, sweep=SPEC)


def test_who_may_read_the_files_of_a_sweep_is_said_by_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, after=4, kind=Training)
    results = tmp_path / "results"
    before = os.umask(0o027)
    try:
        assert swept(results, pack_size=None).interrupted
    finally:
        os.umask(before)

    modes = {path: path.stat().st_mode & 0o777 for path in (results, *results.rglob("*"))}
    assert {path.suffix for path in modes} > {".parquet", ".json", ".safetensors"}
    assert modes == {path: 0o750 if path.is_dir() else 0o640 for path in modes}
