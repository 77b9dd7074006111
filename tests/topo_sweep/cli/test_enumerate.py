"""`topo-sweep enumerate`: the topologies of a cell and their classes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.topo_sweep.cli.program import Program


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_enumerate_gives_every_topology_with_its_facts(program: Program) -> None:
    records = json.loads(program("enumerate", "--format", "json"))
    assert [record["index"] for record in records] == list(range(180))
    assert records[179] == {
        "index": 179,
        "class_id": 78,
        "edges": [[0, 1], [1, 2], [2, 3], [3, 4]],
        "longest_path": 4,
        "input_edges": 3,
    }


def test_enumerate_unique_gives_one_a_class_with_its_members(program: Program) -> None:
    records = json.loads(program("enumerate", "--unique", "--format", "json"))
    assert len(records) == 79
    members = [index for record in records for index in record["members"]]
    assert sorted(members) == list(range(180))
    assert all(record["index"] == min(record["members"]) for record in records)


@pytest.mark.parametrize("unique", [(), ("--unique",)])
def test_enumerate_gives_the_same_as_csv_and_as_json(
    unique: tuple[str, ...], program: Program
) -> None:
    records = json.loads(program("enumerate", *unique, "--format", "json"))
    rows = parsed(program("enumerate", *unique, "--format", "csv"))
    assert [{key: json.loads(text) for key, text in row.items()} for row in rows] == records


@pytest.mark.parametrize(
    ("nodes", "count", "classes"),
    [(1, 1, 1), (2, 3, 3), (3, 18, 13), (4, 180, 79), (5, 2700, 633)],
)
def test_enumerate_counts_the_topologies_and_classes_of_any_cell(
    nodes: int, count: int, classes: int, program: Program
) -> None:
    rows = parsed(program("enumerate", "--nodes", str(nodes), "--format", "csv"))
    assert len(rows) == count
    assert {len(json.loads(row["edges"])) for row in rows} == {nodes}
    unique = parsed(program("enumerate", "--nodes", str(nodes), "--unique", "--format", "csv"))
    assert len(unique) == classes


def test_enumerate_writes_a_file_instead_of_printing(program: Program) -> None:
    printed = program("enumerate", "--format", "json")
    assert program("enumerate", "--format", "json", "-o", "all.json") == ""
    assert program.errors == ""
    assert Path("all.json").read_text(encoding="utf-8") == printed
    assert len(program("enumerate").splitlines()) == 181
