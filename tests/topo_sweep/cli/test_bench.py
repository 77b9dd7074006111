"""`topo-sweep bench`: one table or one object, and one line for what is wrong."""

from __future__ import annotations

import json

import pytest

from tests.topo_sweep.cli.program import Program
from topo_sweep.bench import limits

TINY = ("--cells", "1", "--channels", "2", "--batch", "4", "--packs", "2")


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits._COPIED_BYTES, "cpu", 2**16)
    monkeypatch.setitem(limits._MATRIX, "cpu", 32)


def test_a_table_goes_to_stdout_and_how_far_it_is_to_stderr(program: Program) -> None:
    text = program("bench", *TINY, "--precisions", "float32")

    assert text.splitlines()[0] == (
        "1 cell, 2 channels, batches of 4 images of 8x8, on the CPU, 1 thread; n = 5 each, in turn"
    )
    assert "pack of 2, float32" in text
    assert "turn 5 of 5" in program.errors


def test_one_object_holds_machine_versions_command_n_and_figures(program: Program) -> None:
    value = json.loads(program("bench", "--kind", "store", "--trials", "20", "--json"))

    assert list(value) == ["command", "machine", "versions", "date", "n", "figures"]
    assert value["n"] == 5
    assert value["machine"]["device"] == "cpu"
    assert value["figures"]["trials"] == 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--repeats", "4"), "Invalid value for '--repeats'"),
        (("--kind", "store", "--cells", "3"), "--cells says nothing to --kind store, only to"),
        (("--kind", "search", "--compile"), "--compile says nothing to --kind search, only to"),
        (("--trials", "3"), "--trials says nothing to --kind train, only to overhead and store"),
        (("--packs", "x"), "'x' is no size of a pack"),
        (("--preset", "search_demo"), "add --kind search"),
        (("--image-size", "1", "--packs", "1"), "image"),
    ],
)
def test_bad_input_gets_one_line(arguments: tuple[str, ...], said: str, program: Program) -> None:
    assert program("bench", *arguments, code=2) == ""
    lines = program.errors.splitlines()
    assert said in lines[-1]
    assert lines[-1].startswith("topo-sweep: ")
