"""`topo-sweep protocol` as its users meet it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nas_core.errors import InputError
from tests.topo_sweep.conftest import make_sweep, small_spec
from topo_sweep.cli.protocol import protocol
from topo_sweep.paper.notes import notes
from topo_sweep.spec.presets import ALL_PRESETS, find_preset, settings


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(protocol, arguments)
    assert result.exception is None, result.output
    return result


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_show_prints_a_line_for_each_setting_and_the_hash(name: str) -> None:
    said, header, *lines = run("show", name).stdout.splitlines()
    assert f"hash {find_preset(name).protocol_hash}; " in said
    assert header.split() == ["setting", "value"]
    assert [line.split()[0] for line in lines] == [
        setting.name for setting in settings(find_preset(name))
    ]
    changed = [setting.name for setting in settings(find_preset(name)) if setting.differs]
    assert [line.split()[0] for line in lines if "(default " in line] == changed
    assert f"{len(changed) or 'none'} of {len(lines)} differ" in said


def test_show_gives_both_values_where_the_default_is_changed() -> None:
    lines = run("show", "search_edarts").stdout.splitlines()
    assert "cells                5  (default 8)" in lines
    assert "alpha_order          2" in lines


def test_show_gives_programs_the_same_settings_as_json_and_csv() -> None:
    result = run("show", "search_pdarts", "--format", "json")
    records = json.loads(result.stdout)
    assert result.stderr.startswith("search_pdarts: settings of search, hash ")
    assert records[0] == {
        "preset": "search_pdarts",
        "protocol_hash": find_preset("search_pdarts").protocol_hash,
        "setting": "cells",
        "value": 5,
        "default": 8,
        "differs": True,
    }
    rows = list(csv.DictReader(io.StringIO(run("show", "search_pdarts", "--format", "csv").stdout)))
    assert [row["setting"] for row in rows] == [record["setting"] for record in records]
    stages = next(row["value"] for row in rows if row["setting"] == "stages")
    assert [stage["cells"] for stage in json.loads(stages)] == [5, 11, 17]


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_against_the_paper_prints_one_line_a_note(name: str) -> None:
    said, legend, *lines = run("show", name, "--against", "paper").stdout.splitlines()
    assert said == (
        f"{name} ({find_preset(name).protocol_hash}) against the paper's text: {len(lines)} notes"
    )
    assert [line.split(maxsplit=1) for line in lines] == [
        [note.kind, str(note)] for note in notes(name)
    ]
    assert {part.partition(":")[0] for part in legend.split("; ")} == {
        note.kind for note in notes(name)
    }


def test_against_the_paper_says_what_the_reader_asks_for() -> None:
    text = run("show", "shallow", "--against", "paper").stdout
    assert (
        "open      reduction wiring. Paper: not given for the topology sweep. "
        "Ours: 0: every node reads inputs 0 and 1. "
    ) in text
    text = run("show", "search_demo", "--against", "paper").stdout
    assert "differs   init_channels. Paper: 16. Ours: 4. Smaller" in text
    assert "Ours: 192, where search_edarts has 2500. Smaller" in text


def test_against_the_paper_gives_programs_records() -> None:
    records = json.loads(run("show", "final", "--against", "paper", "--format", "json").stdout)
    assert set(records[0]) == {"preset", "kind", "setting", "paper", "ours", "why"}
    assert [record["setting"] for record in records] == [note.setting for note in notes("final")]


def test_diff_prints_one_line_a_setting_that_differs() -> None:
    assert run("diff", "search_edarts", "search_demo").stdout.splitlines() == [
        "search_edarts and search_demo differ in 4 of 35 settings",
        "setting        search_edarts  search_demo",
        "init_channels  16             4",
        "crop_padding   4              0",
        "flip           true           false",
        "images         2500           192",
    ]


def test_diff_of_a_search_and_an_evaluation_says_what_it_leaves_out() -> None:
    result = run("diff", "shallow", "search_edarts", "--format", "json")
    assert json.loads(result.stdout) == [
        {"setting": "epochs", "first": 100, "second": 50},
        {"setting": "learning_rate_min", "first": 0.0, "second": 0.001},
    ]
    said, only_first, only_second = result.stderr.splitlines()
    assert said == "shallow and search_edarts differ in 2 of 14 common settings"
    assert only_first == "not compared, only in shallow: auxiliary, auxiliary_weight, drop_path"
    assert only_second.startswith("not compared, only in search_edarts: images, operations, ")


def test_diff_of_equal_presets_says_so() -> None:
    text = run("diff", "final", "final").stdout
    assert text == "final and final are the same in all 17 settings\n"
    assert json.loads(run("diff", "final", "final", "--format", "json").stdout) == []


@pytest.mark.parametrize(
    "arguments", [("show", "finl"), ("diff", "finl", "demo"), ("diff", "demo", "finl")]
)
def test_an_unknown_preset_is_named_with_the_nearest(arguments: tuple[str, ...]) -> None:
    error = CliRunner().invoke(protocol, arguments).exception
    assert isinstance(error, InputError)
    assert str(error) == "unknown preset 'finl': did you mean final or final_36?"


def test_only_the_paper_can_be_compared_against() -> None:
    result = CliRunner().invoke(protocol, ["show", "demo", "--against", "darts"])
    assert result.exit_code == 2
    assert "'darts' is not 'paper'" in result.stderr


def test_without_a_name_every_preset_is_listed() -> None:
    header, *lines = run("show").output.splitlines()
    assert header.split() == ["preset", "purpose", "protocol_hash"]
    assert [line.split() for line in lines] == [
        [name, preset.purpose, preset.protocol_hash] for name, preset in ALL_PRESETS.items()
    ]
    refused = CliRunner().invoke(protocol, ["show", "--against", "paper"])
    assert str(refused.exception) == "--against paper is about one preset: name it"


def test_the_beginning_of_a_hash_names_a_preset() -> None:
    whole = run("show", "demo").output
    assert run("show", ALL_PRESETS["demo"].protocol_hash[:6]).output == whole
    refused = CliRunner().invoke(protocol, ["show", "123abc"])
    assert str(refused.exception) == "no preset and no sweep in results has a hash 123abc"


def test_a_sweep_shows_what_it_was_trained_and_searched_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = small_spec(protocol=ALL_PRESETS["demo"].with_values({"epochs": 7}))
    folder = make_sweep(tmp_path / "results", spec).paths.folder

    shown = run("show", str(folder)).output

    assert shown.startswith(f"{folder.name}: settings of evaluation, hash ")
    assert ["epochs", "7", "(default", "100)"] in [line.split() for line in shown.splitlines()]
    assert run("show", spec.protocol.protocol_hash[:8]).output == shown
    assert run("show", folder.name[-8:]).output == shown
    records = json.loads(run("show", str(folder), "--format", "json").stdout)
    assert [each["value"] for each in records if each["setting"] == "epochs"] == [7]


def test_a_kept_study_shows_each_search_beside_its_trainings() -> None:
    lines = run("show", "results/studies/table2-digits/full").output.splitlines()
    assert [line.split(": ")[0] for line in lines if "settings of" in line] == [
        "full",
        "full, search 380996b2a3d119ba",
        "full, search 2bd02797d283d865",
    ]


@pytest.mark.parametrize("name", ["results/studies/table2-digits/full", "86a477f5"])
def test_against_the_paper_a_folder_or_a_hash_is_refused_with_what_to_give(name: str) -> None:
    refused = CliRunner().invoke(protocol, ["show", name, "--against", "paper"])
    assert str(refused.exception) == (
        f"--against paper takes a preset, got {name}: `topo-sweep protocol show` lists them"
    )
