"""Rows on their way into a store: what waits in memory, and for how long.

A store that cannot be written, on a full disk as on a read-only one, costs no row: rows wait until
it can, and where a run ends first they are saved somewhere else. One elsewhere that does not answer
holds nobody up for long.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from topo_sweep.store.files import is_elsewhere
from topo_sweep.store.lock import check_lease
from topo_sweep.store.parquet import ResultStore, Row
from topo_sweep.store.parts import StoreError
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import TABLES, TRIALS, Table
from topo_sweep.store.uris import uri_of

_LOGGER = logging.getLogger(__name__)
_AGAIN_SECONDS: Final = 5.0
"""Between two tries to write what could not be written."""
_ANSWER_SECONDS: Final = 5.0
"""In which a store elsewhere is to have written: its own tries may last for half a minute."""
_SAY_SECONDS: Final = 60.0
_LAST_SECONDS: Final = 10
"""In which last tries begin, one a second: a run that was asked to stop is ended twice as long
after."""
_RESCUED: Final = "topo-sweep-rescued-"
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - of Linux; what is saved there has its own folder


class BufferedWriter:
    """Appends rows to a store, at most one part in `seconds`.

    A row that comes after a quiet spell is written at once, so a long training is durable the
    moment it ends; only a burst of short ones waits. What cannot be written waits as well: `tick`
    tries again every few seconds, and a warning says once a minute what is wrong.
    """

    def __init__(self, store: ResultStore, *, seconds: float = 2.0) -> None:
        self._store = store
        self._seconds = seconds
        self._waiting: dict[str, tuple[list[Row], list[Row]]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="topo-sweep-rows")
        self._under_way: dict[str, tuple[Future[None], int, int]] = {}
        """By table, what is being written elsewhere, with how many rows, and rows of curves."""
        self._failure: StoreError | None = None
        """Why the last try failed, if it did."""
        self._tried_at = self._said_at = -float("inf")
        self._has_written = False

    def add(self, row: Row, curve: Sequence[Row], *, table: Table = TRIALS) -> list[str]:
        """Take a row and its curve; return the ids of the rows that became durable."""
        rows, curves = self._waiting.setdefault(table.name, ([], []))
        rows.append(row)
        curves.extend(curve)
        return self.tick()

    def tick(self) -> list[str]:
        """Write what has waited long enough; return the ids of the rows that became durable.

        Raises:
            LeaseLostError: another driver has taken over a store elsewhere.

        """
        check_lease(self._store.paths, before_writing=False)
        pause = self._seconds if self._failure is None else _AGAIN_SECONDS
        due = time.monotonic() - self._tried_at >= pause
        return self.flush() if due else []

    def flush(self) -> list[str]:
        """Write everything now; return the ids of the rows that became durable.

        What cannot be written waits on.
        """
        written: list[str] = []
        failure = None
        for table in TABLES.values():
            while table.name in self._waiting and failure is None:
                self._tried_at = time.monotonic()
                try:
                    rows = self._append(table)
                except StoreError as error:
                    failure = error
                else:
                    written += [str(row[table.key]) for row in rows]
                    self._has_written = True
        self._say(failure)
        return written

    def _append(self, table: Table) -> list[Row]:
        """Write what waits of a table, and return its rows.

        Elsewhere in a thread: what gets no answer goes on there, and is heard by a later call.

        Raises:
            StoreError: they could not be written, or there is no answer yet.
            LeaseLostError: another driver has taken the store over.

        """
        rows, curves = self._waiting[table.name]
        folder = self._store.paths.folder
        if not is_elsewhere(folder):
            self._store.append(rows, curves, table=table)
            return self._waiting.pop(table.name)[0]
        if table.name not in self._under_way:
            write = self._thread.submit(self._store.append, rows[:], curves[:], table=table)
            self._under_way[table.name] = write, len(rows), len(curves)
            wait([write], timeout=_ANSWER_SECONDS)
        write, row_count, curve_count = self._under_way[table.name]
        if not write.done():
            raise StoreError(f"cannot write to {folder}: no answer in {_ANSWER_SECONDS:g} s")
        del self._under_way[table.name]
        write.result()
        written = rows[:row_count]
        del rows[:row_count], curves[:curve_count]
        if not rows:
            del self._waiting[table.name]
        return written

    def close(self) -> list[str]:
        """Write everything and merge small parts; return the ids of the rows that became durable.

        Where merging fails nothing is lost: another run will merge, and reading says what is wrong.
        What could not be written before is saved elsewhere first: a try may last longer than this
        process.

        Raises:
            StoreError: rows could not be written; says where they are saved and how they come back.

        """
        written = self.flush() if self._failure is None else []
        if self._failure is not None:
            written += self._last_tries()
        if self._has_written:
            with contextlib.suppress(OSError, StoreError):
                self._store.compact()
        return written

    def _last_tries(self) -> list[str]:
        """Save what waits somewhere else, and try for some seconds more.

        In this order, since whoever stops a run for the second time ends it at once.
        """
        saved, rows = self._saved_elsewhere(), f"rows in memory: {self._count}"
        where = f"they are saved in {saved}" if saved else "they can be saved nowhere else"
        failure = f"{self._failure}; {rows}, {where}"
        again = "run the sweep again, which trains them again"
        if saved is not None:
            copy = _copying(saved, self._store.paths.folder)
            again = f"`{copy}` brings them back, and another run goes on from there"
        # The advice too: this process may be ended before its error is told.
        _LOGGER.warning("%s; trying for %d s more, then %s", failure, _LAST_SECONDS, again)
        written: list[str] = []
        ends = time.monotonic() + _LAST_SECONDS
        for _ in range(_LAST_SECONDS):
            time.sleep(1.0)
            if time.monotonic() > ends:
                break
            written += self.flush()
            if self._failure is None:
                if saved is not None:
                    shutil.rmtree(saved, ignore_errors=True)
                return written
        raise StoreError(f"{failure}: once there is room, {again}")

    def _saved_elsewhere(self) -> Path | None:
        """Return a new folder with parts of all that waits; None where none can be written."""
        for place in (None, _IN_MEMORY):
            with contextlib.suppress(OSError):
                folder = Path(tempfile.mkdtemp(prefix=_RESCUED, dir=place))
                try:
                    self._append_all(ResultStore(StorePaths(folder)))
                except StoreError:
                    shutil.rmtree(folder, ignore_errors=True)
                else:
                    return folder
        return None

    def _append_all(self, store: ResultStore) -> None:
        for table in TABLES.values():
            if table.name in self._waiting:
                rows, curves = self._waiting[table.name]
                store.append(rows, curves, table=table)

    def _say(self, failure: StoreError | None) -> None:
        """Warn of what fails, at once and then once a minute, and tell that it is over."""
        if failure is not None and time.monotonic() - self._said_at >= _SAY_SECONDS:
            _LOGGER.warning("%s; rows that wait in memory: %d", failure, self._count)
            self._said_at = time.monotonic()
        elif failure is None and self._failure is not None:
            _LOGGER.warning("%s can be written again, no row is lost", self._store.paths.folder)
            self._said_at = -float("inf")
        self._failure = failure

    @property
    def _count(self) -> int:
        return sum(len(rows) for rows, _ in self._waiting.values())


def _copying(saved: Path, folder: Path) -> str:
    """Return the command that brings back what was saved."""
    uri = uri_of(folder)
    if uri is None:
        return shlex.join(["cp", "-r", f"{saved}/.", f"{folder}/"])
    python = f"from pyarrow.fs import copy_files; copy_files({str(saved)!r}, {uri!r})"
    return shlex.join(["python", "-c", python])
