"""The rows of one table in several stores, each once, and which of them one of the stores lacks.

What the stores are otherwise, and whether they may be merged, is not known here; see `merge.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from nas_core.errors import InputError
from topo_sweep.store.curves import ENDED, curves_of
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import StoreError, write_part
from topo_sweep.store.precedence import preferred
from topo_sweep.store.tables import Table

if TYPE_CHECKING:
    import pandas as pd

_RESULTS: Final = (
    *("status", "epochs", "genotype", "train_loss", "train_accuracy", "val_accuracy"),
    *("test_accuracy", "alpha_loss", "alpha_accuracy"),
)
"""Columns in which attempts at a trial agree that gave the same numbers. `best_test_accuracy` is
none of them: it depends on how often accuracies were measured."""

_ROWS_AT_ONCE: Final = 10_000
"""Whose curves are in memory together: a million epochs, of 100 each."""


class MergedTable:
    """All rows of a table in several stores, of which the first gets what it lacks.

    A row is known by its trial and the microsecond in which it ended.

    Attributes:
        new: the rows that the first store lacks, oldest first; `attempt` is their own, or the next
            where another row of the trial has it.

    Raises:
        InputError: two stores hold a row with other values.
        DamagedPartError: a part is not what was written.

    """

    def __init__(self, table: Table, stores: Sequence[ResultStore]) -> None:
        self.table = table
        self._stores = stores
        self._identity = [table.key, ENDED]
        columns = pa.schema([field.with_nullable(nullable=True) for field in table.schema])
        read = [store.read(table.name, table.schema).cast(columns) for store in stores]
        self._read = pa.concat_tables(read)
        frame = self._read.to_pandas()
        frame["store"] = np.repeat(range(len(stores)), [rows.num_rows for rows in read])
        self._held = frame.drop_duplicates([*self._identity, "store"])
        values = [name for name in table.schema.names if name != "attempt"]
        rows = frame.drop_duplicates(values).sort_values([ENDED, table.key], kind="stable")
        self._refuse_changed(rows)
        rows = rows.assign(attempt=self._attempts(rows))
        self.new = rows[rows["store"] > 0]
        ended = rows[rows["status"] != "failed"]
        self._several = ended[ended.duplicated(table.key, keep=False)]

    @cached_property
    def conflicts(self) -> pd.DataFrame:
        """The rows of trials that ended, ok or diverged, with different numbers, oldest first.

        `counts` says whether readers take it, `folder` who holds it.
        """
        key, rows = self.table.key, self._several
        rows = rows[rows[key].isin(self._differing)]
        # What came from another store is in the first by now, too.
        order = self._held["store"].replace(0, len(self._stores)).sort_values(kind="stable")
        holders = self._held.loc[order.index].drop_duplicates(self._identity)
        holder = holders.set_index(self._identity)["store"]
        folders = [
            str(self._stores[holder[trial, at]].paths.folder)
            for trial, at in zip(rows[key], rows[ENDED], strict=True)
        ]
        return rows.assign(folder=folders, counts=rows.index.isin(preferred(rows, key).index))

    @property
    def equal(self) -> int:
        """How many trials ended more than once, each time with the same numbers."""
        return int(self._several[self.table.key].nunique()) - len(self._differing)

    @cached_property
    def _differing(self) -> list[str]:
        """The trials that ended with different numbers."""
        key = self.table.key
        results = [name for name in _RESULTS if name in self.table.schema.names]
        different = self._several.drop_duplicates([key, *results])
        return list(different.loc[different.duplicated(key), key].unique())

    def trials_of(self, number: int) -> int:
        """Return how many trials the store of this number holds."""
        return int(self._held.loc[self._held["store"] == number, self.table.key].nunique())

    def rows_of(self, number: int) -> int:
        """Return how many rows it holds, those that stand twice once."""
        return int((self._held["store"] == number).sum())

    def new_of(self, number: int) -> int:
        """Return how many of them neither the first store nor one before it holds."""
        return int((self.new["store"] == number).sum())

    def write_curves(self) -> None:
        """Write the curves of the new rows into the first store, but those that it has already.

        Raises:
            StoreError: a row has lost its curve.
            OSError: as the file system says.

        """
        first = self._stores[0]
        rows = self.new[self.new["epochs"] > 0]
        turn = rows.groupby(self.table.key).cumcount()  # a trial once in a group
        for (number, _), group in rows.groupby(["store", turn]):
            store = self._stores[number]
            for start in range(0, len(group), _ROWS_AT_ONCE):
                chunk = group.iloc[start : start + _ROWS_AT_ONCE]
                # A merge that was killed has left some.
                left = chunk[~self._have_curves(chunk, self._curves(first, chunk))]
                if left.empty:
                    continue
                curves = self._curves(store, left)
                if not self._have_curves(left, curves).all():
                    folder = store.paths.folder
                    raise StoreError(
                        f"{folder} has lost curves of its rows: `topo-sweep check {folder} "
                        "--repair` moves those rows aside, then merge again"
                    )
                write_part(first.paths.part_folder(self.table.curve_name), curves)

    def write_rows(self) -> None:
        """Write the new rows into the first store, all or none; their curves must be there.

        Raises:
            OSError: as the file system says.

        """
        rows = self._read.take(pa.array(self.new.index))
        place = rows.schema.get_field_index("attempt")
        numbers = pa.array(self.new["attempt"], pa.int64())
        rows = rows.set_column(place, rows.schema.field(place), numbers)
        write_part(self._stores[0].paths.part_folder(self.table.name), rows)

    def _curves(self, store: ResultStore, rows: pd.DataFrame) -> pa.Table:
        """Return the curves of rows as a store has them, by row and by epoch, each epoch once."""
        times: list[datetime] = sorted(set(rows[ENDED].dt.to_pydatetime()))
        read = store.read(self.table.curve_name, self.table.curve_schema, times)
        return curves_of(read, rows, self.table.key)

    def _have_curves(self, rows: pd.DataFrame, curves: pa.Table) -> pd.Series[bool]:
        """Return for each row whether all of its epochs are there."""
        epochs = curves[self.table.key].to_pandas().value_counts()
        return rows[self.table.key].map(epochs).fillna(0) >= rows["epochs"]

    def _refuse_changed(self, rows: pd.DataFrame) -> None:
        changed = rows[rows.duplicated(self._identity, keep=False)]
        if len(changed):
            key, at = changed.iloc[0][self._identity]
            same = changed[(changed[self.table.key] == key) & (changed[ENDED] == at)]
            folders = [str(self._stores[number].paths.folder) for number in same["store"]]
            raise InputError(
                f"{' and '.join(dict.fromkeys(folders))} hold {self.table.key} {key} with other "
                f"values, though it ended at the same microsecond ({at.isoformat()}): one of them "
                "was changed by hand"
            )

    def _attempts(self, rows: pd.DataFrame) -> list[int]:
        """Return the attempts of rows, oldest first: a new one has a larger one than those before.

        What the first store holds keeps its own.
        """
        key = self.table.key
        there = rows[rows["store"] == 0]
        last: dict[Any, int] = there.groupby(key)["attempt"].max().to_dict()
        attempts = []
        for trial, store, attempt in rows[[key, "store", "attempt"]].itertuples(index=False):
            number = attempt
            if store > 0:
                number = last[trial] = max(attempt, last.get(trial, 0) + 1)
            attempts.append(number)
        return attempts
