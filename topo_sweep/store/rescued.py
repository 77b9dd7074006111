"""Rows that a sweep's folder does not take now: saved on this machine until it takes them."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from nas_core.errors import InputError
from nas_core.files import digest
from topo_sweep.store.manifest import read_manifest
from topo_sweep.store.parquet import ResultStore, Row
from topo_sweep.store.parts import StoreError
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import TABLES, Table
from topo_sweep.store.uris import uri_of

_LOGGER = logging.getLogger(__name__)
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - of Linux; what is saved there has its own folder


def save_elsewhere(
    paths: StorePaths, waiting: Mapping[str, tuple[Sequence[Row], Sequence[Row]]]
) -> Path | None:
    """Return a new folder with parts of what waits for a store; None where none can be written.

    Args:
        paths: of the store.
        waiting: rows and rows of their curves, by table.

    """
    for place in _places():
        with contextlib.suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix=_prefix(paths), dir=place))
            try:
                for name, (rows, curves) in waiting.items():
                    ResultStore(StorePaths(folder)).append(rows, curves, table=TABLES[name])
            except StoreError:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                return folder
    return None


def take_back(store: ResultStore) -> int:
    """Let a store have what this user saved of it on this machine; return how many rows it lacked.

    Call it with the lock held. What cannot be taken back stays, and a warning says why.
    """
    count = 0
    for folder in _saved_of(store.paths):
        saved = ResultStore(StorePaths(folder))
        try:
            for table in TABLES.values():
                count += _take_back(saved, store, table)
        except StoreError as error:
            _LOGGER.warning("rows that were saved in %s stay there: %s", folder, error)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return count


def _take_back(saved: ResultStore, store: ResultStore, table: Table) -> int:
    """Add rows that a store lacks; where another run has trained the same since, its row stays."""
    of_rows = pa.schema([table.schema.field(name) for name in (table.key, "status", "finished_at")])
    there = store.read(table.name, of_rows).to_pylist()
    ended = {row[table.key] for row in there if row["status"] != "failed"}
    known = {(row[table.key], row["finished_at"]) for row in there}
    rows = [
        row
        for row in saved.read(table.name, table.schema).to_pylist()
        if row[table.key] not in ended and (row[table.key], row["finished_at"]) not in known
    ]
    taken = {row[table.key] for row in rows}
    curves = saved.read(table.curve_name, table.curve_schema).to_pylist()
    store.append(rows, [each for each in curves if each[table.key] in taken], table=table)
    return len(rows)


def _saved_of(paths: StorePaths) -> list[Path]:
    """Return the folders that this user has; another's may say anything."""
    found = (path for place in _places() for path in place.glob(f"{_prefix(paths)}*"))
    return sorted(path for path in found if path.lstat().st_uid == os.getuid())


def _places() -> tuple[Path, Path]:
    return Path(tempfile.gettempdir()), _IN_MEMORY


def _prefix(paths: StorePaths) -> str:
    """Return how the names begin of what is saved of one sweep: its place, and when it was begun.

    What was saved of a sweep that was removed is none of another one's in its place.
    """
    place = uri_of(paths.folder) or str(paths.folder.resolve())
    begun = ""
    with contextlib.suppress(InputError):
        begun = read_manifest(paths.manifest).requests[0].requested_at.isoformat()
    return f"topo-sweep-rescued-{digest(f'{place} {begun}'.encode())}-"
