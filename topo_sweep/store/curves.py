"""Curves of chosen rows: which row groups of a part can hold them, and how they are put in order.

A row of a curve has the `finished_at` of the row that it belongs to, and parts are written in the
order in which trials end. So the times of chosen rows say, by the statistics in every Parquet file,
where their curves can be. Which rows are chosen, and which parts there are, is not known here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Numbers = NDArray[np.int64]

ENDED: Final = "finished_at"
"""The column in which rows and their curves agree."""


def read_ended(part: Path, schema: pa.Schema, times: Sequence[datetime]) -> pa.Table:
    """Return the rows of a part that ended at one of these times; reads no row group in vain.

    Args:
        part: a Parquet file.
        schema: the columns to read, first the one that names a trial, whose few texts are kept
            once each; a column that the file lacks holds nulls.
        times: sorted, UTC.

    Raises:
        OSError, pyarrow.ArrowException: the file is gone or damaged.

    """
    key = schema.names[0]
    schema = schema.set(0, pa.field(key, pa.dictionary(pa.int32(), pa.string())))
    groups = groups_of(pq.read_metadata(part), times)
    if not groups:
        return schema.empty_table()
    at = pa.array(times, schema.field(ENDED).type)
    file = pads.ParquetFileFormat(
        dictionary_columns={key},
        default_fragment_scan_options=pads.ParquetFragmentScanOptions(
            page_checksum_verification=True
        ),
    )
    chosen = file.make_fragment(str(part), pafs.LocalFileSystem(), row_groups=groups)
    table: pa.Table = chosen.to_table(schema=schema, filter=pads.field(ENDED).isin(at))
    return table


def groups_of(metadata: pq.FileMetaData, times: Sequence[datetime]) -> list[int]:
    """Return the row groups that may hold a row of one of these sorted times.

    One whose times are not known, or are none, may hold any.
    """
    names, groups = metadata.schema.names, range(metadata.num_row_groups)
    if ENDED not in names:
        return list(groups)
    column = names.index(ENDED)
    return [n for n in groups if _may_hold(metadata.row_group(n).column(column).statistics, times)]


def _may_hold(statistics: Any, times: Sequence[datetime]) -> bool:  # noqa: ANN401 - pyarrow's
    if statistics is None or not statistics.has_min_max:
        return True
    if getattr(statistics.min, "tzinfo", None) is None:
        return True
    first = bisect_left(times, statistics.min)
    return first < len(times) and times[first] <= statistics.max


def curves_of(epochs: pa.Table, rows: pd.DataFrame, key: str, also: Sequence[str] = ()) -> pa.Table:
    """Return the epochs that belong to rows, each once: by row, then by epoch.

    Args:
        epochs: rows of curves, first the column `key`, with `epoch` and `finished_at`.
        rows: the columns `key`, `finished_at` and `also`, a row a key.
        key: the column that names a trial or a search.
        also: columns of rows that their epochs get.

    """
    row = _rows_of_names(epochs[key], rows[key])
    ended = np.append(_microseconds(pa.array(rows[ENDED])), 0)[row]
    chosen = np.flatnonzero((row >= 0) & (ended == _microseconds(epochs[ENDED])))
    epoch = epochs["epoch"].to_numpy()[chosen]
    place = row[chosen] * (1 + epoch.max(initial=0)) + epoch
    if not (np.diff(place) > 0).all():
        order = np.argsort(place, kind="stable")
        first = np.append(True, np.diff(place[order]) > 0)
        chosen = chosen[order[first]]
    if len(chosen) < len(row) or (np.diff(chosen) != 1).any():
        epochs, row = epochs.take(pa.array(chosen)), row[chosen]
    for name in also:
        epochs = epochs.append_column(name, pa.array(rows[name]).take(pa.array(row)))
    return epochs.set_column(0, key, epochs[key].cast(pa.string()))


def _rows_of_names(names: pa.ChunkedArray, of_rows: pd.Series[str]) -> Numbers:
    """Return for each name which row has it, -1 where none does."""
    import pandas as pd

    whole = names.unify_dictionaries() if pa.types.is_dictionary(names.type) else names
    encoded = whole.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    numbers = pd.Index(of_rows).get_indexer(encoded.dictionary.to_pandas())
    found: Numbers = np.append(numbers, -1)[encoded.indices.to_numpy()]
    return found


def _microseconds(times: pa.Array | pa.ChunkedArray) -> Numbers:
    numbers: Numbers = times.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    return numbers
