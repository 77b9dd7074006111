"""How commands print what they know, and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas_core.errors import InputError
from topo_sweep.cli.common import emit, formatted

RECORDS = [
    {"index": 0, "edges": [[0, None]], "name": "a,b", "mean": None},
    {"index": 1, "edges": [], "name": 'say "c"', "mean": 0.5},
]


def no_table() -> str:
    raise AssertionError("a table is made for people alone")


def test_json_gives_back_what_is_known_of_one_or_of_many() -> None:
    for known in (RECORDS, RECORDS[0]):
        assert json.loads(formatted(known, "json", no_table)) == known


def test_csv_has_a_line_each_with_lists_as_json_and_nothing_for_what_is_unknown() -> None:
    assert formatted(RECORDS, "csv", no_table).splitlines() == [
        "index,edges,name,mean",
        '0,"[[0, null]]","a,b",',
        '1,[],"say ""c""",0.5',
    ]
    assert formatted(RECORDS[0], "csv", no_table) == formatted(RECORDS[:1], "csv", no_table)
    assert formatted([], "csv", no_table) == ""


def test_people_get_the_table() -> None:
    assert formatted(RECORDS, "table", lambda: "the table") == "the table"


def test_a_text_goes_to_stdout_or_to_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emit("text")
    emit("text in a file", tmp_path / "file.txt")

    assert capsys.readouterr().out == "text\n"
    assert (tmp_path / "file.txt").read_text(encoding="utf-8") == "text in a file\n"


def test_a_file_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    target = tmp_path / "no folder" / "file.txt"

    with pytest.raises(InputError) as refused:
        emit("text", target)

    assert str(refused.value) == f"cannot write {target}: No such file or directory"
