"""`sweep.json` while a sweep runs: it is written again where needed, and read no more than that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topo_sweep.conftest import new_manifest, small_spec
from topo_sweep.store import kept_manifest
from topo_sweep.store.kept_manifest import KeptManifest
from topo_sweep.store.manifest import Manifest, read_manifest

ONE = new_manifest(small_spec())
OTHER = ONE.with_packs([("a", "b")])


def test_a_file_that_is_gone_damaged_or_out_of_date_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "sweep.json"
    kept = KeptManifest(path)
    kept.keep(ONE)
    assert read_manifest(path) == ONE

    path.unlink()
    kept.keep(ONE)
    assert read_manifest(path) == ONE
    path.write_text(path.read_text(encoding="utf-8")[:40], encoding="utf-8")
    kept.keep(ONE)
    assert read_manifest(path) == ONE
    kept.keep(OTHER)
    assert read_manifest(path) == OTHER


def test_a_file_that_has_not_changed_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def read(path: Path) -> Manifest:
        reads.append(path)
        return read_manifest(path)

    monkeypatch.setattr(kept_manifest, "read_manifest", read)
    ONE.write(tmp_path / "sweep.json")
    kept = KeptManifest(tmp_path / "sweep.json")

    for _ in range(3):
        kept.keep(ONE)

    assert len(reads) == 1
