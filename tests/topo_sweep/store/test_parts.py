"""A part is what was written, or it is named; what a killed merge leaves goes with the next run."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.topo_sweep.store.local_store import parts
from tests.topo_sweep.store.store_rows import ON_DISK, T0, curve_of, trial_row
from topo_sweep.store.parts import (
    DamagedPartError,
    has_digest,
    merge,
    parts_of,
    read_part,
    tidy,
    write_part,
)
from topo_sweep.store.tables import EPOCH_SCHEMA, TRIAL_SCHEMA

EVERY = 2**40
"""Bytes that no part has."""


def rows_of(*trial_ids: str) -> pa.Table:
    return pa.Table.from_pylist([trial_row(trial_id) for trial_id in trial_ids], TRIAL_SCHEMA)


def written(folder: Path, *trial_ids: str) -> Path:
    """Return a new part with a row of each of these trials."""
    before = set(parts_of(folder))
    write_part(folder, rows_of(*trial_ids))
    (part,) = set(parts_of(folder)) - before
    return part


def ids(folder: Path) -> list[str]:
    """Return the ids of all rows of all parts, as plain readers of Parquet see them."""
    read = (pq.read_table(part, schema=TRIAL_SCHEMA) for part in parts_of(folder))
    return sorted(trial for rows in read for trial in rows["trial_id"].to_pylist())


@ON_DISK
@given(data=st.data())
def test_no_bit_of_a_part_can_change_unseen(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    part = written(tmp_path_factory.mktemp("trials"), "a", "b")
    content = bytearray(part.read_bytes())
    for _ in range(20):
        bit = data.draw(st.integers(0, 8 * len(content) - 1))
        changed = content.copy()
        changed[bit // 8] ^= 1 << bit % 8
        part.write_bytes(changed)
        with pytest.raises(DamagedPartError):
            read_part(part, TRIAL_SCHEMA)


def test_a_change_of_rows_that_are_read_in_part_is_seen(tmp_path: Path) -> None:
    curves = curve_of(trial_row("a", epochs=200))
    write_part(tmp_path, pa.Table.from_pylist(curves, EPOCH_SCHEMA))
    (part,) = parts_of(tmp_path)
    content = bytearray(part.read_bytes())
    column = pq.read_metadata(part).row_group(0).column(EPOCH_SCHEMA.names.index("epoch"))
    in_a_page = column.data_page_offset + column.total_compressed_size // 2
    in_the_footer = content.rindex(b"parquet-cpp")  # who wrote it, which no reader looks at

    for place in (in_a_page, in_the_footer):
        changed = content.copy()
        changed[place] ^= 1
        part.write_bytes(changed)
        with pytest.raises(DamagedPartError):
            read_part(part, EPOCH_SCHEMA, [T0])


def test_parts_of_earlier_versions_are_read(tmp_path: Path) -> None:
    part = tmp_path / "part-01790000000000000000-0123abcd.parquet"
    pq.write_table(rows_of("a"), part)

    assert read_part(part, TRIAL_SCHEMA)["trial_id"].to_pylist() == ["a"]
    assert read_part(part, TRIAL_SCHEMA, [T0])["trial_id"].to_pylist() == ["a"]
    assert not has_digest(part)


class KilledError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("done", range(4))
def test_what_a_killed_merge_has_left_goes_with_the_next_writer(
    done: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for trial_id in "abc":
        written(tmp_path, trial_id)
    unlink, count = Path.unlink, itertools.count()

    def killed(path: Path, *arguments: Any, **options: Any) -> None:
        if path.suffix == ".parquet" and next(count) == done:
            raise KilledError
        unlink(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        if done < 3:
            with pytest.raises(KilledError):
                merge(tmp_path, TRIAL_SCHEMA, smaller_than=EVERY)
        else:
            merge(tmp_path, TRIAL_SCHEMA, smaller_than=EVERY)
    (tmp_path / ".part-1.parquet.0123.tmp").touch()
    assert len(ids(tmp_path)) == 6 - done

    tidy(tmp_path)

    assert ids(tmp_path) == ["a", "b", "c"]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_was_merged_stays_where_the_merged_part_is_damaged(tmp_path: Path) -> None:
    sources = [written(tmp_path, trial_id) for trial_id in "ab"]
    contents = {part: part.read_bytes() for part in sources}
    merge(tmp_path, TRIAL_SCHEMA, smaller_than=EVERY)
    (merged,) = parts_of(tmp_path)
    for part, content in contents.items():
        part.write_bytes(content)
    damaged = bytearray(merged.read_bytes())
    damaged[10] ^= 1
    merged.write_bytes(damaged)

    tidy(tmp_path)

    assert set(parts(tmp_path)) == {*sources, merged}


@pytest.mark.parametrize("name", ["trial_id", "status", "finished_at"])
def test_a_part_whose_rows_lack_what_no_row_can_be_without_is_named(
    tmp_path: Path, name: str
) -> None:
    nullable = pa.schema([field.with_nullable(nullable=True) for field in TRIAL_SCHEMA])
    write_part(tmp_path, pa.Table.from_pylist([trial_row() | {name: None}], nullable))
    (part,) = parts(tmp_path)

    with pytest.raises(DamagedPartError, match=rf"is damaged \(a row has no {name}\)"):
        read_part(part, TRIAL_SCHEMA)


def test_a_part_that_is_a_link_or_a_pipe_is_named_and_not_read(tmp_path: Path) -> None:
    elsewhere = written(tmp_path / "elsewhere", "a")
    link, pipe = tmp_path / elsewhere.name, tmp_path / "part-pipe.parquet"
    link.symlink_to(elsewhere)
    os.mkfifo(pipe)

    for part in (link, pipe):
        with pytest.raises(DamagedPartError, match=r"is damaged \(it is no regular file\)"):
            read_part(part, TRIAL_SCHEMA)
    tidy(tmp_path)


@pytest.mark.parametrize("names", ['[".."]', "[1, null]", "7", '{"a": 1}', "no JSON", "["])
def test_a_part_that_names_no_parts_replaces_none(tmp_path: Path, names: str) -> None:
    other = written(tmp_path, "a")
    rows = rows_of("b").replace_schema_metadata({b"topo_sweep.replaces": names.encode()})
    write_part(tmp_path, rows)

    tidy(tmp_path)

    assert other.exists()
    assert len(parts_of(tmp_path)) == 2


def test_what_calls_itself_half_a_part_and_is_a_folder_stays(tmp_path: Path) -> None:
    (tmp_path / ".part-1.parquet.tmp").mkdir()

    tidy(tmp_path)

    assert (tmp_path / ".part-1.parquet.tmp").is_dir()


def test_a_part_of_an_earlier_version_whose_text_is_none_is_named(tmp_path: Path) -> None:
    bad = pa.array([b"\xff\xfe"]).view(pa.string())
    part = tmp_path / "part-1.parquet"
    number = TRIAL_SCHEMA.get_field_index("device")
    pq.write_table(rows_of("a").set_column(number, "device", bad), part)

    with pytest.raises(DamagedPartError, match="is damaged"):
        read_part(part, TRIAL_SCHEMA)
