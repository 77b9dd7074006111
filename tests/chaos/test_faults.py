"""Which faults come, and when the one that waits for a moment does."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.chaos.faults import FAULTS, is_halfway, possible


def test_what_takes_rights_that_are_not_there_is_left_out_and_said() -> None:
    said: list[str] = []
    assert possible(list(FAULTS), can_cut=True, can_fill=True, say=said.append) == list(FAULTS)
    assert said == []

    left = possible(list(FAULTS), can_cut=False, can_fill=False, say=said.append)
    assert set(FAULTS).difference(left) == {"node cut off", "disk full"}
    assert said == [
        "node cut off: left out, it takes network namespaces, which root makes with `ip`",
        "disk full: left out, it takes a small disk, which root mounts",
    ]

    with pytest.raises(SystemExit, match="no kind of fault is left"):
        possible(["node cut off"], can_cut=False, can_fill=True, say=said.append)


def test_a_pack_is_halfway_once_some_of_it_have_rows_and_others_have_none(tmp_path: Path) -> None:
    searches = tmp_path / "sweep" / "searches"
    searches.mkdir(parents=True)
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps({"packs": [["a", "b"], ["c"]]}))

    def stored(name: str) -> None:
        pq.write_table(pa.table({"search_id": [name]}), searches / f"part-{name}.parquet")

    stored("c")
    assert not is_halfway(tmp_path)
    stored("a")
    assert is_halfway(tmp_path)
    stored("b")
    assert not is_halfway(tmp_path)


@pytest.mark.parametrize("part", ["gone", "torn"])
def test_parts_that_are_merged_or_written_meanwhile_end_no_campaign(
    part: str, tmp_path: Path
) -> None:
    searches = tmp_path / "sweep" / "searches"
    searches.mkdir(parents=True)
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps({"packs": [["a", "b"]]}))
    if part == "torn":
        (searches / "part-a.parquet").write_bytes(b"PAR1")
    else:
        (searches / "part-a.parquet").symlink_to(searches / "merged")

    assert not is_halfway(tmp_path)
