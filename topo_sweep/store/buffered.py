"""Rows on their way into a store: what waits in memory, and for how long.

A store that cannot be written, on a full disk as on a read-only one, costs no row: rows wait until
it can, and meanwhile they are saved somewhere else too, since a run may be killed; see
`rescued.py`. A store elsewhere that does not answer holds nobody up for long.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from topo_sweep.store.files import is_elsewhere
from topo_sweep.store.lock import check_lease
from topo_sweep.store.parquet import ResultStore, Row
from topo_sweep.store.parts import StoreError
from topo_sweep.store.rescued import save_elsewhere
from topo_sweep.store.tables import TABLES, TRIALS, Table

_LOGGER = logging.getLogger(__name__)
_AGAIN_SECONDS: Final = 5.0
"""Between two tries to write what could not be written."""
_ANSWER_SECONDS: Final = 5.0
"""In which a store elsewhere is to have written: its own tries may last for half a minute."""
_SAY_SECONDS: Final = 60.0
_LAST_SECONDS: Final = 10
"""In which last tries begin, one a second: a run that was asked to stop is ended twice as long
after."""


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
        self._saved: Path | None = None
        """Where rows are saved that cannot be written."""
        self._are_all_saved = False
        self._tried_at = self._said_at = -float("inf")
        self._has_written = False

    def add(self, row: Row, curve: Sequence[Row], *, table: Table = TRIALS) -> list[str]:
        """Take a row and its curve; return the ids of the rows that became durable."""
        rows, curves = self._waiting.setdefault(table.name, ([], []))
        rows.append(row)
        curves.extend(curve)
        self._are_all_saved = False
        return self.tick()

    def tick(self) -> list[str]:
        """Write what has waited long enough; return the ids of the rows that became durable.

        Raises:
            LeaseLostError: another driver has taken over a store elsewhere.

        """
        check_lease(self._store.paths.folder, before_writing=False)
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
        if failure is None:
            self._forget_saved()
        else:
            self._save()
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

        Raises:
            StoreError: rows could not be written; says where they are saved.

        """
        written = self.flush() if self._failure is None else []
        if self._failure is not None:
            written += self._last_tries()
        if self._has_written:
            with contextlib.suppress(OSError, StoreError):
                self._store.compact()
        return written

    def _last_tries(self) -> list[str]:
        """Say where rows are that could not be written before, and try for some seconds more.

        In this order, since whoever stops a run for the second time ends it at once, and a try may
        last longer than this process.
        """
        self._save()
        rows, where = f"rows in memory: {self._count}", "they can be saved nowhere else"
        again = "run the sweep again, which trains them again"
        if self._are_all_saved:
            where = f"they are saved in {self._saved}"
            again = "run the sweep again on this machine, which takes them from there"
        failure = f"{self._failure}; {rows}, {where}"
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
                return written
        raise StoreError(f"{failure}: once there is room, {again}")

    def _save(self) -> None:
        """Save what waits somewhere else too: whoever kills this process asks it nothing."""
        if self._are_all_saved:
            return
        saved = save_elsewhere(self._store.paths, self._waiting)
        if saved is not None:
            self._forget_saved()
            self._saved, self._are_all_saved = saved, True

    def _forget_saved(self) -> None:
        if self._saved is not None:
            shutil.rmtree(self._saved, ignore_errors=True)
        self._saved, self._are_all_saved = None, False

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
