"""The Parquet files of a sweep: append, read, compact, lock. The only truth about what is done.

What waits in memory to be appended is in `buffered.py`.

The contract, which every store must keep:

- `append` either makes all given rows durable or none visible, and a crash at any instant leaves
  a readable store. Epoch rows become visible no later than the trial row they belong to.
- Appending the same rows again changes nothing that a reader sees.
- There are two tables: trainings (`trials`) and searches (`searches`), each with its curves.
- `trials` gives one row a `trial_id`, `searches` one a `search_id`: ok before diverged before
  failed, then the earliest `finished_at`, so a result once read never changes. `epochs` and
  `search_epochs` give the curves of those rows.
- `compact` changes nothing that a reader sees, before, during or after.
- Readers need no lock. `lock` admits one writer.
"""

from __future__ import annotations

import contextlib
import errno
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from nas_core.errors import InputError
from nas_core.files import TEMPORARY, write_durably
from topo_sweep.store.curves import curves_of
from topo_sweep.store.files import refresh, remove, unlink, unsure
from topo_sweep.store.lock import is_locked, locked
from topo_sweep.store.parts import StoreError, merge, parts_of, read_part, tidy, write_part
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.precedence import by_time, preferred
from topo_sweep.store.tables import SEARCHES, TABLES, TRIALS, Table

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]

_MOST_PARTS = 32
_SMALL_PART_BYTES = 16 * 2**20


class ResultStore:
    """The store in one folder, or in the working copy of one elsewhere, see `files.py`.

    The module docstring says what it promises.
    """

    def __init__(self, paths: StorePaths) -> None:
        self.paths = paths

    def create_folders(self) -> None:
        """Make the folders and check that files can be written there.

        Raises:
            InputError: not writable, the disk is full, or a link is in the place of one.

        """
        self._check_folders()
        try:
            for folder in (self.paths.trials, self.paths.epochs, self.paths.checkpoints):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.paths.trials / f".probe-{uuid.uuid4().hex}{TEMPORARY}"
            write_durably(probe, bytes(2**16))
            probe.unlink()
        except OSError as error:
            raise InputError(
                f"cannot write results to {self.paths.folder}: {error.strerror or error}; "
                "free some space or choose another folder with --results"
            ) from None

    def append(self, rows: Sequence[Row], curves: Sequence[Row], *, table: Table = TRIALS) -> None:
        """Make these rows durable; values in the columns of the table's two schemas.

        Raises:
            StoreError: the disk is full or not writable; the caller still has the rows.
            LeaseLostError: another driver has taken the store over.

        """
        written: list[Path] = []
        try:
            # Curves first: a trial that is visible has its epochs.
            for (name, schema), values in zip(table.parts, (curves, rows), strict=True):
                content = pa.Table.from_pylist(values, schema)
                folder = self.paths.part_folder(name)
                # What an earlier try may have left: it had these rows, and no others.
                left = unsure(folder)
                written += write_part(folder, content, replaces=left)
                for part in left if content.num_rows else []:
                    unlink(part)
        except OSError as error:
            for part in written:  # each try would leave another one
                remove(part)
            reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or error
            raise StoreError(f"cannot write to {self.paths.folder}: {reason}") from None
        # The rows are durable: another merge will come, and reading says what is wrong.
        with contextlib.suppress(OSError, StoreError):
            if len(parts_of(self.paths.part_folder(table.name))) > _MOST_PARTS:
                self.compact()

    def refresh(self, *, whole: bool = False, now: bool = False, anew: bool = False) -> None:
        """Look for what is new in a store elsewhere, see `files.refresh`.

        Raises:
            InputError: a folder of the sweep is a link.
            StoreError: that fails.

        """
        if self.paths.manifest.exists():  # else it may be no sweep, whose links are its own affair
            self._check_folders()
        try:
            refresh(self.paths.folder, whole=whole, now=now, anew=anew)
        except OSError as error:
            raise self._unreadable(error) from None

    def compact(self) -> None:
        """Merge small parts into one, see `parts.merge`; call with the lock held."""
        for table in TABLES.values():
            for name, schema in table.parts:
                merge(self.paths.part_folder(name), schema, smaller_than=_SMALL_PART_BYTES)

    def tidy(self) -> None:
        """Remove what writers that were killed left behind; call with the lock held."""
        for table in TABLES.values():
            for name, _ in table.parts:
                tidy(self.paths.part_folder(name))
        # A worker of a killed driver may write one still: it goes on without saving.
        tidy(self.paths.checkpoints)
        for pattern in (f".*{TEMPORARY}", self.paths.fault("*").name):
            for left in self.paths.folder.glob(pattern):
                remove(left)

    def trials(self) -> pd.DataFrame:
        """Return one row a trial; integer columns may hold NA, accuracies are fractions."""
        return self.rows(TRIALS)

    def searches(self) -> pd.DataFrame:
        """Return one row a search; integer columns may hold NA, accuracies are fractions."""
        return self.rows(SEARCHES)

    def search_epochs(self) -> pd.DataFrame:
        """Return the alphas and genotypes of the rows that `searches` gives, a row an epoch."""
        return self.epochs(SEARCHES)

    def rows(self, table: Table, columns: Collection[str] | None = None) -> pd.DataFrame:
        """Return one row for each key of the table.

        Args:
            table: of what.
            columns: what to read, beside what says which row counts; None is all.

        """
        schema = table.schema
        if columns is not None:
            names = {*columns, table.key, "status", "attempt", "finished_at"}
            schema = pa.schema([field for field in schema if field.name in names])
        frame = _frame(self.read(table.name, schema))
        if not frame[table.key].is_unique:
            oldest_first = frame.sort_values(["finished_at", "attempt"], kind="stable")
            frame = preferred(oldest_first, table.key)
        return by_time(frame, table.key)

    def epochs(
        self,
        table: Table = TRIALS,
        rows: pd.DataFrame | None = None,
        *,
        columns: Collection[str] | None = None,
        also: Sequence[str] = (),
    ) -> pd.DataFrame:
        """Return the curves of the rows that `rows` gives, a row an epoch.

        Args:
            table: of what.
            rows: some of those rows, in that order: the epochs of others are not read. None is all.
            columns: what to read, beside key, `epoch` and `finished_at`; None is all.
            also: columns of the rows that their epochs get.

        """
        schema = table.curve_schema
        if columns is not None:
            names = {table.key, "epoch", "finished_at", *columns}
            schema = pa.schema([field for field in schema if field.name in names])
        # Rows first: their epochs were visible before them and stay so.
        counting = self.rows(table, []) if rows is None else rows
        times = None if rows is None else sorted(set(rows["finished_at"].dt.to_pydatetime()))
        read = self.read(table.curve_name, schema, times)
        return _frame(curves_of(read, counting, table.key, also))

    def attempts(self) -> dict[str, int]:
        """Return the number of the last attempt at each trial or search, whichever row counts."""
        attempts: dict[str, int] = {}
        for table in TABLES.values():
            columns = pa.schema([table.schema.field(name) for name in (table.key, "attempt")])
            frame = _frame(self.read(table.name, columns)).sort_values("attempt", kind="stable")
            attempts |= zip(frame[table.key].tolist(), frame["attempt"].tolist(), strict=True)
        return attempts

    def seeds(self) -> set[int]:
        """Return the seeds of all rows, of whatever table."""
        seeds: set[int] = set()
        for table in TABLES.values():
            rows = self.read(table.name, pa.schema([table.schema.field("seed")]))
            seeds |= set(rows["seed"].unique().to_pylist())
        return seeds

    def newest_row(self) -> datetime | None:
        """Return when the last row was finished (UTC)."""
        newest = []
        for table in TABLES.values():
            rows = self.read(table.name, pa.schema([table.schema.field("finished_at")]))
            newest += [pc.max(rows["finished_at"]).as_py()] if rows.num_rows else []
        return max(newest, default=None)

    def read(
        self, name: str, schema: pa.Schema, times: Sequence[datetime] | None = None
    ) -> pa.Table:
        """Return all rows of all parts of a name as they are, or those that ended at these times.

        Other methods return one row a trial; here is every attempt.

        Raises:
            DamagedPartError: a part is not what was written.
            StoreError: the file system cannot read one now.

        """
        folder = self.paths.part_folder(name)
        self.refresh(whole=any(name == table.curve_name for table in TABLES.values()))
        for _ in range(100):
            try:
                tables = [read_part(part, schema, times) for part in parts_of(folder)]
            except FileNotFoundError:  # compacted between listing and reading
                continue
            except OSError as error:
                raise self._unreadable(error) from None
            return pa.concat_tables(tables) if tables else schema.empty_table()
        raise StoreError(f"{folder} changes faster than it can be read: try again")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store against other writers on any machine that shares it, see `lock.py`.

        Raises:
            InputError: another process holds it, which it names, it is no file, or a folder of the
                sweep is a link.

        """
        with locked(self.paths):
            self._check_folders()
            self.refresh(whole=True, now=True)
            yield

    @property
    def is_locked(self) -> bool:
        """Whether a driver holds the lock now.

        Raises:
            StoreError: a store elsewhere cannot be read.

        """
        try:
            return is_locked(self.paths)
        except OSError as error:
            raise self._unreadable(error) from None

    def _check_folders(self) -> None:
        """Refuse links in the place of folders: files would be written and removed elsewhere."""
        paths = self.paths
        parts = (paths.part_folder(name) for table in TABLES.values() for name, _ in table.parts)
        folders = (*parts, paths.checkpoints)
        aside = (paths.damaged / folder.name for folder in folders)
        for folder in (*folders, paths.damaged, *aside):
            if folder.is_symlink():
                raise InputError(
                    f"{folder} is a link, and what is written or removed there would be elsewhere: "
                    "put a folder in its place (the sweep's own folder may be a link)"
                )

    def _unreadable(self, error: OSError) -> StoreError:
        return StoreError(f"cannot read {self.paths.folder}: {error.strerror or error}")


def _frame(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(types_mapper=_pandas_type)


def _pandas_type(arrow_type: pa.DataType) -> Any:  # noqa: ANN401 - pandas calls it
    import pandas as pd

    return pd.Int64Dtype() if arrow_type == pa.int64() else None
