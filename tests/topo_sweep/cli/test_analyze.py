"""`topo-sweep analyze`: what a sweep shows, for people and for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.topo_sweep.analysis.choice_rows import topologies
from tests.topo_sweep.cli.program import Program


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A sweep of twelve classes with four seeds, of which one class is better by far."""
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=0.01, size=(12, 4)).round(4)
    better = {11: 0.3}
    classes = (0, 1, 4, 7, 11, 12, 13, 14, 15, 16, 17, 18)
    rows = {
        topology: [0.5 + better.get(topology, 0.0) + part for part in noise[number]]
        for number, topology in enumerate(classes)
    }
    return str(topologies(tmp_path, rows).folder)


def test_all_sections_come_in_order_and_name_the_one_that_is_better(
    program: Program, folder: str
) -> None:
    text = program("analyze", folder)

    numbers = [int(number) for number in re.findall(r"^(\d+)\. [A-Z ]+$", text, re.MULTILINE)]
    assert sorted(set(numbers)) == list(range(1, 11))
    assert numbers == sorted(numbers)
    assert "Topology matters here" in text
    assert max(map(len, text.splitlines())) < 200


def test_programs_read_the_same_findings(program: Program, folder: str, tmp_path: Path) -> None:
    file = tmp_path / "analysis.json"

    program("analyze", folder, "--format", "json", "-o", str(file))

    value = json.loads(file.read_text(encoding="utf-8"))
    by_section = {each["section"]: each for each in value["sections"]}
    assert by_section.keys() == set(range(1, 11))
    assert by_section[1]["title"] == "design"
    text = " ".join(program("analyze", folder).split())
    for each in value["sections"]:
        assert " ".join(each["sentence"].split()) in text


def test_seeds_that_select_are_named_in_the_winner_and_wrong_ones_refused(
    program: Program, folder: str
) -> None:
    text = " ".join(program("analyze", folder, "--select-seeds", "0-1").split())
    assert "On 2 seeds that did not select it has" in text

    program("analyze", folder, "--select-seeds", "7", code=2)
    assert "seeds 7 are none of seeds 0-3" in program.errors


def test_a_sweep_without_results_is_refused_in_one_line(program: Program, tmp_path: Path) -> None:
    program("analyze", str(tmp_path), code=2)

    assert len(program.errors.strip().splitlines()) == 1


def test_what_a_difference_takes_is_told_for_those_that_are_asked_about(
    program: Program, folder: str
) -> None:
    text = " ".join(program("analyze", folder, "--difference", "0.3").split())

    assert " seeds for 0.30 points in one pair" in text
    assert " 0.50 points in one pair" not in text
    program("analyze", folder, "--difference", "0", code=2)
    assert "--difference" in program.errors
