"""The Parquet files of a sweep: append, read, compact, lock. The only truth about what is done.

The contract, which every store must keep:

- `append` either makes all given rows durable or none visible, and a crash at any instant leaves
  a readable store. Epoch rows become visible no later than the trial row they belong to.
- Appending the same rows again changes nothing that a reader sees.
- `trials` gives one row a `trial_id`: ok before diverged before failed, then the earliest
  `finished_at`, so a result once read never changes. `epochs` gives the curves of those rows.
- `compact` changes nothing that a reader sees, before, during or after.
- Readers need no lock. `lock` admits one writer.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from nas_core.errors import InputError, TopoSweepError
from nas_core.files import write_durably
from topo_sweep.paths import StorePaths

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]

STATUSES: Final = ("ok", "diverged", "failed")
"""In the order in which readers prefer them."""

_TIME = pa.timestamp("us", tz="UTC")
TRIAL_SCHEMA: Final = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("sweep", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("genotype", pa.string(), nullable=False),
        pa.field("topology", pa.int64()),
        pa.field("class_id", pa.int64()),
        pa.field("reduction_topology", pa.int64()),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("protocol_hash", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("holdout", pa.int64(), nullable=False),
        pa.field("train_limit", pa.int64()),
        pa.field("fingerprint", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("attempt", pa.int64(), nullable=False),
        pa.field("epochs", pa.int64(), nullable=False),
        pa.field("train_loss", pa.float64()),
        pa.field("train_accuracy", pa.float64()),
        pa.field("val_accuracy", pa.float64()),
        pa.field("test_accuracy", pa.float64()),
        pa.field("best_test_accuracy", pa.float64()),
        pa.field("parameters", pa.int64()),
        pa.field("multiply_adds", pa.int64()),
        pa.field("train_seconds", pa.float64()),
        pa.field("device", pa.string()),
        pa.field("node", pa.string()),
        pa.field("execution", pa.string()),
        pa.field("search_id", pa.string()),
        pa.field("finished_at", _TIME, nullable=False),
    ]
)
EPOCH_SCHEMA: Final = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("epoch", pa.int64(), nullable=False),
        pa.field("learning_rate", pa.float64()),
        pa.field("train_loss", pa.float64()),
        pa.field("train_accuracy", pa.float64()),
        pa.field("val_accuracy", pa.float64()),
        pa.field("test_accuracy", pa.float64()),
        pa.field("seconds", pa.float64()),
        pa.field("finished_at", _TIME, nullable=False),
    ]
)

_MOST_PARTS = 32
_SMALL_PART_BYTES = 16 * 2**20


class StoreError(TopoSweepError):
    """A store could not be read or written; nothing that was in it is lost."""


class ResultStore:
    """The store in one local folder; see the module docstring for what it promises."""

    def __init__(self, paths: StorePaths) -> None:
        self.paths = paths

    def create_folders(self) -> None:
        """Make the folders and check that files can be written there.

        Raises:
            InputError: not writable, or the disk is full.

        """
        try:
            for folder in (self.paths.trials, self.paths.epochs, self.paths.checkpoints):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.paths.trials / f".probe-{uuid.uuid4().hex}.tmp"
            write_durably(probe, bytes(2**16))
            probe.unlink()
        except OSError as error:
            raise InputError(
                f"cannot write results to {self.paths.folder}: {error.strerror or error}; "
                "free some space or choose another folder with --results"
            ) from None

    def append(self, trials: Sequence[Row], epochs: Sequence[Row]) -> None:
        """Make these rows durable; values in the columns of the two schemas.

        Raises:
            StoreError: the disk is full or not writable; the caller still has the rows.

        """
        try:
            # Curves first: a trial that is visible has its epochs.
            _write_part(self.paths.epochs, pa.Table.from_pylist(list(epochs), EPOCH_SCHEMA))
            _write_part(self.paths.trials, pa.Table.from_pylist(list(trials), TRIAL_SCHEMA))
            if len(_parts(self.paths.trials)) > _MOST_PARTS:
                self.compact()
        except OSError as error:
            reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or error
            raise StoreError(f"cannot write to {self.paths.folder}: {reason}") from None

    def compact(self) -> None:
        """Merge small parts into one; call with the lock held.

        The merged part appears before the old ones go, and readers drop repeated rows, so there
        is no instant at which a row is missing or counts twice.
        """
        for folder, schema in (
            (self.paths.epochs, EPOCH_SCHEMA),
            (self.paths.trials, TRIAL_SCHEMA),
        ):
            small = [p for p in _parts(folder) if p.stat().st_size < _SMALL_PART_BYTES]
            if len(small) > 1:
                _write_part(folder, pa.concat_tables(_read_part(p, schema) for p in small))
                for part in small:
                    part.unlink()

    def trials(self) -> pd.DataFrame:
        """Return one row a trial; integer columns may hold NA, accuracies are fractions."""
        frame = _read(self.paths.trials, TRIAL_SCHEMA)
        preference = frame["status"].map({status: i for i, status in enumerate(STATUSES)})
        return (
            frame.assign(_preference=preference)
            .sort_values(["_preference", "finished_at", "attempt"], kind="stable")
            .drop_duplicates("trial_id")
            .drop(columns="_preference")
            .sort_values(["finished_at", "trial_id"], ignore_index=True)
        )

    def epochs(self) -> pd.DataFrame:
        """Return the learning curves of the rows that `trials` gives, a row an epoch."""
        kept = self.trials()[["trial_id", "finished_at"]]
        return (
            _read(self.paths.epochs, EPOCH_SCHEMA)
            .merge(kept, on=["trial_id", "finished_at"])
            .drop_duplicates(["trial_id", "epoch"])
            .sort_values(["finished_at", "trial_id", "epoch"], ignore_index=True)
        )

    def attempts(self) -> dict[str, int]:
        """Return the number of the last attempt at each trial, whichever row counts."""
        frame = _read(self.paths.trials, TRIAL_SCHEMA)
        last = frame.groupby("trial_id")["attempt"].max()
        return {str(trial_id): int(attempt) for trial_id, attempt in last.items()}

    def newest_row(self) -> datetime | None:
        """Return when the last row was finished (UTC)."""
        rows = _read(self.paths.trials, pa.schema([TRIAL_SCHEMA.field("finished_at")]))
        return None if rows.empty else rows["finished_at"].max().to_pydatetime()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store against other writers on any machine that shares the file system.

        Raises:
            InputError: another process holds it; says which.

        """
        with self.paths.lock.open("a+") as file:
            try:
                _flock(file)
            except BlockingIOError:
                file.seek(0)
                raise InputError(
                    f"{self.paths.folder} is in use by {file.read().strip() or 'another run'}: "
                    "wait for it or stop it (reading with status, rank and plot is fine)"
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)

    @property
    def is_locked(self) -> bool:
        """Whether a driver holds the lock now."""
        try:
            with self.paths.lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # no such file or folder, or not ours to open: nobody drives it here
            return False
        return False


class BufferedWriter:
    """Appends rows to a store, at most one part in `seconds`.

    A row that comes after a quiet spell is written at once, so a long training is durable the
    moment it ends; only a burst of short ones waits.
    """

    def __init__(self, store: ResultStore, *, seconds: float = 2.0) -> None:
        self._store = store
        self._seconds = seconds
        self._trials: list[Row] = []
        self._epochs: list[Row] = []
        self._flushed_at = -float("inf")

    def add(self, trial: Row, epochs: Sequence[Row]) -> list[str]:
        """Take the rows of one trial; return the ids of the trials that became durable."""
        self._trials.append(trial)
        self._epochs.extend(epochs)
        return self.tick()

    def tick(self) -> list[str]:
        """Write what has waited long enough; return the ids of the trials that became durable."""
        due = time.monotonic() - self._flushed_at >= self._seconds
        return self.flush() if due else []

    def flush(self) -> list[str]:
        """Write everything now; return the ids of the trials that became durable."""
        if not self._trials:
            return []
        self._store.append(self._trials, self._epochs)
        written = [str(row["trial_id"]) for row in self._trials]
        self._trials, self._epochs = [], []
        self._flushed_at = time.monotonic()
        return written


def _flock(file: TextIO) -> None:
    """Lock the file; wait a moment for `is_locked` of another process, which holds it briefly."""
    for _ in range(20):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.01)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _write_part(folder: Path, table: pa.Table) -> None:
    if table.num_rows:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        write_durably(
            folder / f"part-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet", buffer.getvalue()
        )


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.parquet"))


def _read_part(part: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = pq.read_table(part)
        columns = [
            table[field.name]
            if field.name in table.column_names
            else pa.nulls(len(table), field.type)
            for field in schema
        ]
        return pa.table(columns, names=schema.names).cast(
            pa.schema([field.with_nullable(nullable=True) for field in schema])
        )
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise StoreError(
            f"{part} is damaged ({error}): move it away and run the sweep again; "
            "only its trials are trained again"
        ) from None


def _read(folder: Path, schema: pa.Schema) -> pd.DataFrame:
    """Return all rows of all parts, as they are."""
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError):  # compacted between listing and reading
            tables = [_read_part(part, schema) for part in _parts(folder)]
            table = pa.concat_tables(tables) if tables else schema.empty_table()
            frame: pd.DataFrame = table.to_pandas(types_mapper=_pandas_type)
            return frame
    raise StoreError(f"{folder} changes faster than it can be read: try again")


def _pandas_type(arrow_type: pa.DataType) -> Any:  # noqa: ANN401 - pandas calls it
    import pandas as pd

    return pd.Int64Dtype() if arrow_type == pa.int64() else None
