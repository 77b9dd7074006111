"""Ray's temporary folders: none is left, and none of a living driver is touched."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from pathlib import Path
from typing import TextIO

import pytest

from topo_sweep.runs.on_ray.driver import scratch_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_killed_drivers_left_goes_and_what_living_ones_use_stays(temporary: Path) -> None:
    dead = temporary / "topo-sweep-tune-dead"
    (dead / "sweep").mkdir(parents=True)
    (dead / "driver.lock").touch()
    (temporary / "other").mkdir()
    with scratch_folder() as living:
        assert not dead.exists()
        with scratch_folder() as second:
            assert {living, second, temporary / "other"} == set(temporary.iterdir())
        assert living.is_dir()
    assert [path.name for path in temporary.iterdir()] == ["other"]


def test_who_starts_while_another_makes_its_folder_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flock = fcntl.flock

    def late(file: TextIO, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        with scratch_folder():
            pass
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with scratch_folder() as first:
        assert first.is_dir()
        with scratch_folder():
            assert first.is_dir()


def test_what_drivers_without_a_lock_left_goes_where_nothing_was_written_for_a_day(
    temporary: Path,
) -> None:
    old, used, new = (temporary / f"topo-sweep-tune-{name}" for name in ("old", "used", "new"))
    for folder in (old, used, new):
        (folder / "sweep").mkdir(parents=True)
        (folder / "sweep" / "state.json").touch()
    two_days_ago = time.time() - 48 * 3600
    for path in (old / "sweep" / "state.json", old / "sweep", old, used):
        os.utime(path, (two_days_ago, two_days_ago))

    with scratch_folder() as living:
        assert {living, used, new} == set(temporary.iterdir())
