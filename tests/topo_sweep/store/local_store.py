"""A store in a local folder, for tests that look at its files."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nas_core.files import write_durably
from tests.disk import full_disk
from topo_sweep.store.parquet import (
    ResultStore,
)
from topo_sweep.store.paths import StorePaths


def make_store(folder: Path) -> ResultStore:
    store = ResultStore(StorePaths(folder))
    store.create_folders()
    return store


def parts(folder: Path) -> list[Path]:
    """Return the Parquet files below a folder."""
    return sorted(folder.rglob("*.parquet"))


def ids(store: ResultStore) -> list[str]:
    return list(store.trials()["trial_id"])


def rows_in(folder: Path) -> int:
    """Return how many rows stand in the parts of a folder, those that stand twice twice."""
    return sum(pq.read_metadata(part).num_rows for part in parts(folder))


def fill_up(patch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Let no part be written below these folders."""

    def full_there(path: Path, content: bytes) -> None:
        is_full = any(folder in path.parents for folder in folders)
        (full_disk if is_full else write_durably)(path, content)

    patch.setattr("topo_sweep.store.parts.write_durably", full_there)
