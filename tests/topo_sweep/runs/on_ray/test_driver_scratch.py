"""Ray's temporary folders: none is left, and none of a living driver is touched."""

from __future__ import annotations

import tempfile
from pathlib import Path

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
