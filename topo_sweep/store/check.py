"""What is damaged in a sweep's folder, and moving it aside.

A row counts only with its curve: a training whose curve is lost runs again, as does one whose row
is. Nothing is removed: what is damaged goes to a folder of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nas_core.errors import InputError
from nas_core.files import TEMPORARY
from topo_sweep.store.files import copy, move, remove
from topo_sweep.store.manifest import NewerStoreError, read_manifest
from topo_sweep.store.parts import DamagedPartError, parts_of, read_part, replace_part, tidy
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import TABLES, Table


@dataclass(frozen=True)
class Damage:
    """A file of a sweep, and what is wrong with it."""

    path: Path
    reason: str


def damaged(paths: StorePaths) -> Iterator[Damage]:
    """Yield what is wrong with `sweep.json` and the Parquet parts; reads every byte of them.

    Curves that are missing are looked for only where all parts can be read.

    Raises:
        NewerStoreError: what is whole in it, only a newer version can say.

    """
    yield from _damaged_manifest(paths)
    parts = list(_damaged_parts(paths))
    yield from parts
    if not parts:
        for table in TABLES.values():
            for part, _, lost in _without_curves(paths, table):
                yield Damage(part, _lost_curves(lost))


def repair(paths: StorePaths, states: Sequence[Damage] = ()) -> Iterator[Damage]:
    """Move what is damaged aside, a row without its curve too; yield what was moved.

    Call it with the lock held. What was moved has no row any more, so that it runs again. What a
    merge or another repair that was killed has left goes first: of rows that stand twice those that
    lost no curve stay once. `sweep.json` is moved last: by it another repair finds the sweep.

    Args:
        paths: of the sweep.
        states: checkpoints that are damaged.

    Raises:
        NewerStoreError: as `damaged`; nothing was changed.
        OSError: as the file system says; another repair goes on from there.

    """
    manifest = list(_damaged_manifest(paths))  # a newer store is left alone
    for folder in {part.parent for part in all_parts(paths)}:
        tidy(folder)
    for half_a_copy in paths.damaged.glob(f"*/.*{TEMPORARY}"):
        remove(half_a_copy)
    for each in [*states, *_damaged_parts(paths)]:
        move(each.path, _aside(paths, each.path))
        yield each
    for table in TABLES.values():
        for part, whole, lost in list(_without_curves(paths, table)):
            copy(part, _aside(paths, part))
            replace_part(part, whole)
            yield Damage(part, _lost_curves(lost))
    for each in manifest:
        move(each.path, _aside(paths, each.path))
        yield each


def all_parts(paths: StorePaths) -> dict[Path, pa.Schema]:
    """Return every part of a sweep, with the columns that its kind has."""
    kinds = [kind for table in TABLES.values() for kind in table.parts]
    return {part: schema for name, schema in kinds for part in parts_of(paths.part_folder(name))}


def _aside(paths: StorePaths, file: Path) -> Path:
    return paths.damaged / file.relative_to(paths.folder)


def _damaged_manifest(paths: StorePaths) -> Iterator[Damage]:
    if not os.path.lexists(paths.manifest):  # it was moved aside, or somebody removed it
        return
    try:
        read_manifest(paths.manifest)
    except NewerStoreError:
        raise
    except InputError as error:
        yield Damage(paths.manifest, str(error))


def _damaged_parts(paths: StorePaths) -> Iterator[Damage]:
    for part, schema in all_parts(paths).items():
        try:
            read_part(part, schema)
        except DamagedPartError as error:
            yield Damage(part, error.reason)


def _without_curves(paths: StorePaths, table: Table) -> Iterator[tuple[Path, pa.Table, int]]:
    """Yield parts with rows whose curves are not there: the other rows, and how many those are.

    A row says how many epochs it has, and its epochs have its time.
    """
    key = [table.key, "finished_at"]
    names = pa.schema([table.curve_schema.field(name) for name in (*key, "epoch")])
    read = [read_part(part, names) for part in parts_of(paths.part_folder(table.curve_name))]
    curves = pa.concat_tables(read) if read else names.empty_table()
    epochs = curves.group_by(key).aggregate([("epoch", "count_distinct")])
    for part in parts_of(paths.part_folder(table.name)):
        rows = read_part(part, table.schema)
        numbered = rows.select([*key, "epochs"]).append_column(
            "row", pa.array(range(rows.num_rows), pa.int64())
        )
        found = numbered.join(epochs, keys=key).sort_by("row")
        there = pc.fill_null(found["epoch_count_distinct"], 0)
        whole = pc.greater_equal(there, found["epochs"])
        if lost := rows.num_rows - pc.sum(whole, min_count=0).as_py():
            yield part, rows.filter(whole), lost


def _lost_curves(rows: int) -> str:
    return "a row of it has lost its curve" if rows == 1 else f"{rows} rows have lost their curves"
