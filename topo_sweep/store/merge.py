"""Sweeps of one protocol that ran on different sites, as one sweep.

Every row of every sweep goes into the merged one exactly once, with its curve: all attempts stay in
the files. A row is known by its trial and the microsecond in which it ended. Which row of a trial
counts is decided by readers, as in any sweep, see `precedence.py`.

Curves are written first, then `sweep.json`, and then the rows, which make them visible. So a merge
that was killed leaves what was there before, and the next one takes what it has written.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from nas_core.errors import InputError, unwritable
from topo_sweep.spec.presets import preset_difference, value_text
from topo_sweep.store.manifest import Manifest, Request, read_manifest
from topo_sweep.store.merged_table import MergedTable
from topo_sweep.store.opened import OpenedSweep, is_sweep, open_sweep
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import StoreError, parts_of
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import TABLES

_SHOWN: Final = (
    *("seed", "folder", "attempt", "status", "train_loss", "train_accuracy", "val_accuracy"),
    *("test_accuracy", "genotype", "finished_at"),
)
"""Columns that are told of an attempt in a conflict."""


@dataclass(frozen=True)
class Source:
    """A sweep that was merged, and what it held."""

    folder: Path
    trials: int
    rows: int
    new: int
    """Rows that no source before it had."""


@dataclass(frozen=True)
class Merged:
    """What a merge did, and what a reader of the merged sweep must know."""

    folder: Path
    sources: tuple[Source, ...]
    """Those that were given, and before them the merged sweep as it was."""
    equal: int
    """Trials that ended more than once, each time with the same numbers."""
    conflicts: list[dict[str, Any]]
    """Of trials that ended with different numbers a record each attempt, oldest first: `id`,
    `name`, columns of its row, `folder` (who holds it) and `counts` (whether readers take it)."""
    astray: int
    """Trainings that count, of cells that another search found than the one that counts."""


def merge_sweeps(sweeps: Sequence[OpenedSweep], out: Path) -> Merged:
    """Add all rows of some sweeps to a sweep, which is made where there is none.

    Nothing else is changed, and nothing of a sweep is removed or left out. Checkpoints stay where
    they are.

    Args:
        sweeps: one or more; one that is being run gives what it has so far.
        out: a folder in which the merged sweep has or gets its own folder, or a sweep.

    Raises:
        InputError: they are not of one protocol, data set and name, a row was changed by hand, or
            another process writes there; nothing is written.
        StoreError: a part is damaged, or a row has lost its curve.
        TopoSweepError: the disk is full; what is written already, the next merge takes.

    """
    store = ResultStore(_paths(sweeps[0], out))
    paths = store.paths
    known = [open_sweep(paths.folder)] if is_sweep(paths.folder) else []
    for one, other in itertools.combinations((*known, *sweeps), 2):
        _check_one_sweep(one, other)
    for sweep in (*known, *sweeps):
        # They refuse rows that are not of this sweep.
        sweep.trials()
        sweep.searches()
    if store.is_locked:
        with store.lock():  # says by whom
            pass
    others = list({sweep.folder.resolve(): sweep for sweep in sweeps}.values())
    others = [sweep for sweep in others if sweep.folder.resolve() != paths.folder.resolve()]
    _tables(others, store)  # refuses what was changed by hand
    store.create_folders()
    try:
        with store.lock():
            return _merge_locked(others, store)
    except OSError as error:
        raise unwritable(paths.folder, error) from None


def _paths(sweep: OpenedSweep, out: Path) -> StorePaths:
    if is_sweep(out):
        return StorePaths(out)
    manifest = sweep.manifest
    return StorePaths.of(
        out,
        sweep=manifest.sweep,
        protocol=manifest.protocol,
        data=manifest.data,
        more=_search_settings(manifest),
    )


def _search_settings(manifest: Manifest) -> str:
    """Return what else names the folder; all requests of a sweep agree in it."""
    return next((spec.store_key for spec in manifest.specs()), "")


def _check_one_sweep(one: OpenedSweep, other: OpenedSweep) -> None:
    """Refuse sweeps that differ in what names a sweep, or in their images."""
    if differences := list(_differences(one.manifest, other.manifest)):
        raise InputError(
            f"{one.folder} and {other.folder} cannot become one sweep: they differ in "
            f"{'; '.join(differences)}"
        )


def _differences(one: Manifest, other: Manifest) -> Iterator[str]:
    compared = [(name, getattr(one, name), getattr(other, name)) for name in ("sweep", "kind")]
    if one.protocol_hash != other.protocol_hash:
        settings = preset_difference(one.protocol, other.protocol).different
        compared += [(name, *values) for name, values in settings.items()]
    data, data_of_other = one.data.model_dump(), other.data.model_dump()
    compared += [(name, data[name], data_of_other[name]) for name in data]
    compared.append(("fingerprint", one.fingerprint, other.fingerprint))
    compared.append(("settings of searches", _search_settings(one), _search_settings(other)))
    for name in ("train_images", "test_images"):  # stores of earlier versions hold none
        counts = getattr(one, name), getattr(other, name)
        if None not in counts:
            compared.append((name, *counts))
    for name, first, second in compared:
        if first != second:
            yield f"{name}: {value_text(first) or 'none'} and {value_text(second) or 'none'}"


def _merge_locked(sweeps: Sequence[OpenedSweep], store: ResultStore) -> Merged:
    store.tidy()
    paths = store.paths
    before = [read_manifest(paths.manifest)] if is_sweep(paths.folder) else []
    manifest = united([*before, *(sweep.manifest for sweep in sweeps)])
    tables = _tables(sweeps, store)
    for each in tables:
        each.write_curves()
    if [manifest] != before:
        manifest.write(paths.manifest)
    for each in tables:
        each.write_rows()
    if any(len(each.new) for each in tables):
        with contextlib.suppress(OSError, StoreError):  # nothing is lost: another writer will
            store.compact()
    merged = open_sweep(paths.folder)
    return Merged(
        folder=paths.folder,
        sources=tuple(
            Source(
                folder,
                trials=sum(table.trials_of(number) for table in tables),
                rows=sum(table.rows_of(number) for table in tables),
                new=sum(table.new_of(number) for table in tables),
            )
            for number, folder in enumerate([paths.folder, *(sweep.folder for sweep in sweeps)])
        ),
        equal=sum(table.equal for table in tables),
        conflicts=_records(merged, tables),
        astray=_astray(merged),
    )


def _tables(sweeps: Sequence[OpenedSweep], store: ResultStore) -> list[MergedTable]:
    stores = [store, *(sweep.store for sweep in sweeps)]
    return [
        MergedTable(table, stores)
        for table in TABLES.values()
        if any(parts_of(each.paths.part_folder(table.name)) for each in stores)
    ]


def united(manifests: Sequence[Manifest]) -> Manifest:
    """Return the manifest of several sweeps of one protocol: all that was ever asked, once.

    What the first says of itself stays. Of packs that share trials the first stays, so that the
    rest of a pack that was begun trains beside the same trials.
    """
    requests: list[Request] = []
    asked = (request for manifest in manifests for request in manifest.requests)
    for request in sorted(asked, key=lambda request: request.requested_at):
        if all(request.spec != other.spec for other in requests):
            requests.append(request)
    packs: list[tuple[str, ...]] = []
    members: set[str] = set()
    for pack in (pack for manifest in manifests for pack in manifest.packs):
        if members.isdisjoint(pack):
            packs.append(pack)
            members.update(pack)
    split = dict.fromkeys(pack for manifest in manifests for pack in manifest.split_packs)
    firsts = {
        name: next((found for m in manifests if (found := getattr(m, name)) is not None), None)
        for name in ("train_images", "test_images", "packing", "sharing", "compiling")
    }
    several = {
        "requests": tuple(requests),
        "packs": tuple(packs),
        "split_packs": tuple(pack for pack in split if pack not in packs),
    }
    return manifests[0].model_copy(update=several | firsts)


def _records(merged: OpenedSweep, tables: Sequence[MergedTable]) -> list[dict[str, Any]]:
    """Return a record for each attempt at a trial that ended with different numbers."""
    if all(table.conflicts.empty for table in tables):
        return []
    planned = merged.planned()
    order = {key: number for number, key in enumerate(planned)}
    records = []
    for table in tables:
        for row in table.conflicts.to_dict("records"):
            key, name = row[table.table.key], row[table.table.key]
            if key in planned:
                name = planned[key].name
            values = {column: _value(row.get(column)) for column in _SHOWN}
            records.append({"id": key, "name": name, **values, "counts": row["counts"]})
    return sorted(records, key=lambda record: order.get(record["id"], len(order)))


def _value(value: Any) -> Any:  # noqa: ANN401 - of any column
    """Return a value of a row as JSON has it."""
    import pandas as pd

    if isinstance(value, datetime):
        return value.isoformat()
    return None if pd.isna(value) else value


def _astray(merged: OpenedSweep) -> int:
    """Return how many trainings are of a cell that the search that counts did not find."""
    if not merged.holds_searches:
        return 0
    found = merged.searches().set_index("search_id")["genotype"]
    trials = merged.trials(["search_id", "genotype"])
    trained = trials[trials["status"] != "failed"]
    of_search = trained["search_id"].map(found)
    return int((of_search.notna() & (of_search != trained["genotype"])).sum())
