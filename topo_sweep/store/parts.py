"""Parquet parts: files of rows that never change, and whose names say what must be in them.

A name holds when the part was written, a digest of its footer and one of all its bytes. What is
read whole is compared with the second. Of what is read in part, which may be a gigabyte, the footer
is compared with the first, and the pages that are read with checksums of their own, as any reader
of Parquet may do. Parts of earlier versions have names that say nothing of their content.

A part into which others were merged names them. So whoever writes next removes what a merge that
was killed has left, and no row stands twice in the files.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from nas_core.errors import TopoSweepError
from nas_core.files import TEMPORARY, digest, digest_of_file, is_regular
from topo_sweep.store.curves import read_ended
from topo_sweep.store.files import remove, unlink, write_durably

_GROUP_ROWS: Final = 2**15  # what is read at least: the curves of 328 trainings of 100 epochs
_SELDOM_TWICE: Final = {"train_loss", "alpha_loss", "seconds", "train_seconds"}
"""Columns in which a list of the different values would be as long as the column."""
_NAME: Final = re.compile(r"part-\d{20}-(?P<footer>[0-9a-f]{16})-(?P<all>[0-9a-f]{16})\.parquet")
_REPLACES: Final = b"topo_sweep.replaces"
"""The key of a part's metadata under which it names those that were merged into it."""


class StoreError(TopoSweepError):
    """A store could not be read or written; nothing that was in it is lost."""


class DamagedPartError(StoreError):
    """A part is not what was written; `reason` says in a few words what is wrong."""

    def __init__(self, part: Path, reason: str) -> None:
        super().__init__(
            f"{part} is damaged ({reason}): `topo-sweep check {part.parent.parent} --repair` moves "
            "it aside, then run the sweep again; only what it held is trained again"
        )
        self.reason = reason


def parts_of(folder: Path) -> list[Path]:
    """Return the parts in a folder, the oldest first; none where there is no folder.

    Raises:
        OSError: it cannot be listed. (A glob would find nothing there.)

    """
    try:
        return sorted(path for path in folder.iterdir() if path.match("part-*.parquet"))
    except (FileNotFoundError, NotADirectoryError):
        return []


def write_part(folder: Path, rows: pa.Table, *, replaces: Sequence[Path] = ()) -> list[Path]:
    """Make rows durable as one part, all or none, and return it; no rows make no part.

    Args:
        folder: made where it is missing.
        rows: of one kind.
        replaces: parts that hold the same rows.

    Raises:
        OSError: as the file system says.

    """
    if not rows.num_rows:
        return []
    folder.mkdir(exist_ok=True)
    if replaces:
        names = json.dumps([part.name for part in replaces])
        rows = rows.replace_schema_metadata({_REPLACES: names.encode()})
    buffer = io.BytesIO()
    pq.write_table(
        rows,
        buffer,
        compression="zstd",
        row_group_size=_GROUP_ROWS,
        use_dictionary=[name for name in rows.column_names if name not in _SELDOM_TWICE],
        write_page_checksum=True,
    )
    content = buffer.getvalue()
    digests = f"{digest(_footer(content))}-{digest(content)}"
    part = folder / f"part-{time.time_ns():020d}-{digests}.parquet"
    try:
        write_durably(part, content)
    except OSError:  # it may have its name already, and another try writes the same rows
        remove(part)
        raise
    return [part]


def read_part(part: Path, schema: pa.Schema, times: Sequence[datetime] | None = None) -> pa.Table:
    """Read the columns of a schema; one that an older version did not write holds nulls.

    Args:
        part: the file.
        schema: of the columns to read.
        times: sorted; what ended then is read, and no row group in vain. None is all.

    Raises:
        FileNotFoundError: it was merged into another since it was listed.
        DamagedPartError: it is not what was written.
        OSError: the file system cannot read it now, which says nothing of what is in it.

    """
    columns = pa.schema([field.with_nullable(nullable=True) for field in schema])
    name = _NAME.fullmatch(part.name)
    if not is_regular(part):
        raise DamagedPartError(part, "it is no regular file")
    try:
        if times is not None:
            if name and digest(_footer_of_file(part)) != name["footer"]:
                raise DamagedPartError(part, "its footer is not what was written")
            return _whole(part, read_ended(part, columns, times), schema)
        if name and digest_of_file(part) != name["all"]:
            raise DamagedPartError(part, "its bytes are not those that were written")
        return _whole(part, pq.read_table(part, schema=columns), schema)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        # Of what is wrong in a file pyarrow makes an OSError too, but one without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DamagedPartError(part, " ".join(str(error).split())) from None


def _whole(part: Path, rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows that hold all that no row can be without, and texts that are texts."""
    rows.validate(full=True)
    for field in schema:
        if not field.nullable and rows[field.name].null_count:
            raise DamagedPartError(part, f"a row has no {field.name}")
    return rows


def merge(folder: Path, schema: pa.Schema, *, smaller_than: int) -> None:
    """Merge parts of fewer bytes than that into one.

    It appears before they go, and readers drop repeated rows: at no instant is a row missing. What
    an earlier merge could not remove goes first, so that no row is merged twice.

    Raises:
        OSError: as the file system says.
        DamagedPartError: one of them is not what was written; nothing is merged.

    """
    _remove_merged(folder)
    small = [part for part in parts_of(folder) if part.lstat().st_size < smaller_than]
    if len(small) > 1:
        rows = pa.concat_tables(read_part(part, schema) for part in small)
        write_part(folder, rows, replaces=small)
        for part in small:
            unlink(part)


def replace_part(part: Path, rows: pa.Table) -> None:
    """Let a part hold these rows alone, as another one; no rows make none.

    Raises:
        OSError: as the file system says.

    """
    write_part(part.parent, rows, replaces=[part])
    unlink(part)


def tidy(folder: Path) -> None:
    """Remove what writers that were killed left in a folder: half a file, parts that were merged.

    Raises:
        OSError: as the file system says.

    """
    for temporary in folder.glob(f".*{TEMPORARY}"):
        remove(temporary)
    _remove_merged(folder)


def _remove_merged(folder: Path) -> None:
    for part in parts_of(folder):
        left = [replaced for replaced in _replaced_by(part) if replaced.exists()]
        if left and digest_of_file(part) in part.name:
            for replaced in left:
                unlink(replaced)


def has_digest(part: Path) -> bool:
    """Return whether the name of a part says what must be in it; earlier versions had others."""
    return _NAME.fullmatch(part.name) is not None


def _replaced_by(part: Path) -> list[Path]:
    """Return which parts were merged into one; none where its footer is not what was written."""
    name = _NAME.fullmatch(part.name)
    if name is None or not is_regular(part) or digest(_footer_of_file(part)) != name["footer"]:
        return []
    try:
        names = json.loads((pq.read_metadata(part).metadata or {}).get(_REPLACES, b"[]"))
    except (pa.ArrowException, OSError, ValueError, RecursionError):
        return []
    listed = names if isinstance(names, list) else []
    return [other for other in parts_of(part.parent) if other != part and other.name in listed]


def _footer(content: bytes) -> bytes:
    """Return the footer of a Parquet file, its length and the mark at its end."""
    return content[-8 - int.from_bytes(content[-8:-4], "little") :]


def _footer_of_file(part: Path) -> bytes:
    with part.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - 8, 0))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(size - 8 - length, 0))
        return file.read()
