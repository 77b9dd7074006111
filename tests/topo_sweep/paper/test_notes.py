"""Presets against the paper: nothing left out, nothing stale, nothing that does not exist."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from nas_core.protocols.search import ATTENTION, NEEDS_TOPOLOGY, SEARCH_PRESETS, SearchProtocol
from nas_core.protocols.training import PRESETS, Protocol
from topo_sweep.paper.notes import KINDS, NotesFile, PaperNote, notes, notes_file
from topo_sweep.spec import presets
from topo_sweep.spec.presets import ALL_PRESETS, find_preset, preset_difference, value_text

NAMES = [*PRESETS, *SEARCH_PRESETS]


def note(name: str, setting: str) -> PaperNote:
    (only,) = [each for each in notes(name) if each.setting == setting]
    return only


def about(name: str) -> set[str]:
    return {each.setting for each in notes(name)}


def change(monkeypatch: pytest.MonkeyPatch, name: str, values: Mapping[str, object]) -> None:
    changed = {**ALL_PRESETS, name: find_preset(name).with_values(values)}
    monkeypatch.setattr(presets, "ALL_PRESETS", changed)
    monkeypatch.setattr("topo_sweep.paper.notes.ALL_PRESETS", changed)


def test_every_preset_has_notes() -> None:
    assert all(notes_file().of(name) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_no_setting_is_explained_twice(name: str) -> None:
    assert len(about(name)) == len(notes(name))


def test_every_topic_is_used_and_none_is_a_setting() -> None:
    used = {each.setting for name in NAMES for each in notes_file().of(name)}
    topics = set(notes_file().topics)
    assert topics <= used
    assert not topics & {*Protocol.model_fields, *SearchProtocol.model_fields}


@pytest.mark.parametrize("name", NAMES)
def test_notes_are_whole_lines_and_differences_come_first(name: str) -> None:
    for each in notes(name):
        assert each.why.endswith(".")
        for part in (each.paper, each.ours, each.why):
            assert part == part.strip() != ""
            assert "\n" not in part
            assert re.search(r"\{\w+\}", part) is None, "a value is not filled in"
    order = [list(KINDS).index(each.kind) for each in notes(name)]
    assert order == sorted(order)


@pytest.mark.parametrize("name", NAMES)
def test_a_choice_takes_its_own_settings_value_from_the_preset(name: str) -> None:
    for each in notes_file().of(name):
        fields = {field for _, field, _, _ in string.Formatter().parse(each.ours) if field}
        assert each.setting in fields | set(notes_file().topics)


def test_a_changed_preset_changes_what_the_notes_say(monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, "search_edarts", {"alpha_order": 1, "images": 1_000})
    assert note("search_edarts", "alpha_order").ours == "1"
    assert note("search_edarts", "images searched on").ours.startswith("1,000 + 1,000")


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("demo", "shallow"),
        ("search_demo", "search_edarts"),
        ("search_darts_1st", "search_darts_2nd"),
    ],
)
def test_every_deviation_in_value_is_noted_with_both_values(name: str, reference: str) -> None:
    different = preset_difference(find_preset(name), find_preset(reference)).different
    for setting, (ours, theirs) in different.items():
        said = note(name, setting)
        assert (said.ours, said.paper) == (value_text(ours), value_text(theirs))
        assert said.kind == "differs"
    assert different


def test_the_paper_values_of_exact_presets_are_those_of_the_design() -> None:
    shallow, final = PRESETS["shallow"], PRESETS["final"]
    assert (shallow.cells, shallow.init_channels, shallow.epochs) == (5, 16, 100)
    assert note("shallow", "drop_path").paper == "0.2"
    assert note("shallow", "drop_path").ours.startswith(f"{shallow.drop_path},")
    assert f"{final.cells}-{final.init_channels}" == note("final", "init_channels").ours
    assert "600 epochs, batch 96, cutout 16, auxiliary weight 0.4" in note("final", "epochs").ours


@pytest.mark.parametrize("name", SEARCH_PRESETS)
def test_notes_follow_from_how_a_search_is_set(name: str) -> None:
    protocol, settings = SEARCH_PRESETS[name], about(name)
    assert settings >= {"batch-norm statistics", "images searched on", "validation accuracy"}
    assert settings >= {"learning_rate", "alpha_learning_rate", "random streams"}
    assert ("alpha_every" in settings) == (protocol.alpha_every != "step")
    assert ("unrolled step" in settings) == (protocol.alpha_order == 2)
    assert ({"attention", "attention values"} <= settings) == (protocol.attention == "once")
    assert ({"topology", "wiring of both cells"} <= settings) == (name in NEEDS_TOPOLOGY)
    assert ("stages" in settings) == bool(protocol.stages)
    assert ("partial_channels" in settings) == (protocol.partial_channels > 1)
    assert ("max_skips" in settings) == (protocol.max_skips is not None)
    assert ("warmup_epochs" in settings) == (protocol.warmup_epochs > 0)


def test_what_is_only_inferred_is_called_so() -> None:
    for setting in ("images", "alpha_every", "alpha_order"):
        assert note("search_subspace", setting).kind == "inferred"
    assert note("search_edarts", "alpha_order").kind == "inferred"
    assert note("search_subspace", "pooling").kind == "open"
    assert note("shallow", "reduction wiring").kind == "open"


def test_the_papers_attention_is_the_one_that_searches_add() -> None:
    said = ", ".join(f"{operation} {value:+g}" for operation, value in ATTENTION.items())
    assert note("search_edarts", "attention values").paper == said


@pytest.mark.parametrize(
    ("change_data", "said"),
    [
        (lambda data: data["presets"].update(shalow=data["presets"]["shallow"]), "shalow is no pr"),
        (lambda data: data["presets"].pop("demo"), "demo is missing"),
        (lambda data: data["presets"]["demo"].update(follows="deep"), "follows deep, which is no"),
        (lambda data: data["presets"]["demo"]["groups"].append("speed"), "speed is no group"),
        (lambda data: data["groups"].update(speed=[]), "no preset has the group speed"),
        (lambda data: data["presets"]["demo"].update(reasons={"epoch": "Few."}), "demo: epoch is "),
        (
            lambda data: data["groups"]["digits"][0].update(setting="date"),
            "demo: date is neither",
        ),
        (lambda data: data["groups"]["digits"][0].update(ours="{epoch}"), "demo: {epoch} is no se"),
        (lambda data: data["groups"]["digits"][0].update(paper=""), "String should match"),
        (lambda data: data["groups"]["digits"][0].update(why="One.\nTwo."), "String should match"),
        (lambda data: data["groups"]["digits"][0].update(paper=0.2), "should be a valid string"),
        (lambda data: data["groups"]["digits"][0].update(kind="guess"), "'differs', 'inferred'"),
        (lambda data: data["groups"]["digits"][0].update(because="x"), "Extra inputs are not"),
        (lambda data: data.update(kinds=[]), "Extra inputs are not permitted"),
    ],
)
def test_data_that_names_what_does_not_exist_is_refused(
    change_data: Callable[[dict[str, Any]], object], said: str
) -> None:
    data = notes_file().model_dump()
    change_data(data)
    with pytest.raises(ValidationError, match=re.escape(said)):
        NotesFile.model_validate(data)
