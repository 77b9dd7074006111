"""How tables are given to programs and to people."""

from __future__ import annotations

import json

import pytest

from tests.topo_sweep.paper.compare_rows import (
    four_methods,
    known_cells,
    source,
)
from topo_sweep.paper.compare import Compared, compare


def everything() -> Compared:
    return compare([source(*four_methods()), source(known_cells(), name="known")])


def test_records_are_flat_json_that_carries_setting_and_differences() -> None:
    records = everything().records

    assert json.loads(json.dumps(records, allow_nan=False)) == records
    assert len({tuple(record) for record in records}) == 1
    first = records[0]
    assert (first["table"], first["row"], first["n"], first["paper"]) == ("2", "DARTS", 2, "90.25")
    assert first["difference"] == pytest.approx(first["ours"] - 90.25)
    assert "protocol shallow" in first["setting"]


def test_the_text_shows_percent_with_two_decimals_and_the_papers_number_as_printed() -> None:
    *lines, _missing = everything().text.splitlines()
    (line,) = (text for text in lines if text.split()[:1] == ["PC_DARTS"] and "93.0" in text)

    assert line.split() == ["PC_DARTS", "1", "93.00", "-", "-", "93.00", "+0.00"]
    assert max(map(len, lines)) <= 140
