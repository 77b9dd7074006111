"""Presets against each other and against the paper: nothing left out, nothing stale."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping

import pytest

from nas_core.errors import InputError
from nas_core.protocols.search import NEEDS_TOPOLOGY, SEARCH_PRESETS, SearchProtocol
from nas_core.protocols.training import PRESETS, NetworkTraining, Protocol
from topo_sweep.paper import notes as protocol_notes
from topo_sweep.paper.choices import CHOICES, KINDS, TOPICS, Note
from topo_sweep.paper.notes import notes
from topo_sweep.spec import presets
from topo_sweep.spec.presets import ALL_PRESETS, compare, find_preset, purpose, settings, value_text

NAMES = [*PRESETS, *SEARCH_PRESETS]


def note(name: str, setting: str) -> Note:
    (found,) = [own for own in notes(name) if own.setting == setting]
    return found


def about(name: str) -> set[str]:
    return {own.setting for own in notes(name)}


def change(monkeypatch: pytest.MonkeyPatch, name: str, values: Mapping[str, object]) -> None:
    changed = {**ALL_PRESETS, name: find_preset(name).with_values(values)}
    monkeypatch.setattr(presets, "ALL_PRESETS", changed)
    monkeypatch.setattr(protocol_notes, "ALL_PRESETS", changed)


def test_every_preset_has_choices_and_no_other_name_has() -> None:
    assert set(CHOICES) == set(NAMES)
    assert all(CHOICES[name] for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_note_is_on_a_setting_of_the_preset_or_a_stated_topic(name: str) -> None:
    known = {*type(find_preset(name)).model_fields, *TOPICS}
    assert about(name) <= known
    assert len(about(name)) == len(notes(name)), "a setting is explained twice"


def test_every_topic_is_used_and_none_is_a_setting() -> None:
    used = {own.setting for choices in CHOICES.values() for own in choices}
    assert set(TOPICS) <= used
    assert not set(TOPICS) & {*Protocol.model_fields, *SearchProtocol.model_fields}


@pytest.mark.parametrize("name", NAMES)
def test_notes_are_whole_lines_and_differences_come_first(name: str) -> None:
    found = notes(name)
    for own in found:
        assert own.kind in KINDS
        assert own.why.endswith(".")
        for part in (own.paper, own.ours, own.why):
            assert part == part.strip() != ""
            assert "\n" not in part
            assert re.search(r"\{\w+\}", part) is None, "a value is not filled in"
    order = [list(KINDS).index(own.kind) for own in found]
    assert order == sorted(order)


@pytest.mark.parametrize("name", NAMES)
def test_a_choice_takes_its_own_settings_value_from_the_preset(name: str) -> None:
    for own in CHOICES[name]:
        fields = {field for _, field, _, _ in string.Formatter().parse(own.ours) if field}
        if own.setting not in TOPICS:
            assert own.setting in fields, own.setting


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
    different = compare(find_preset(name), find_preset(reference)).different
    for setting, (ours, theirs) in different.items():
        found = note(name, setting)
        assert (found.ours, found.paper) == (value_text(ours), value_text(theirs))
        assert found.kind == "differs"
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
    protocol, found = SEARCH_PRESETS[name], about(name)
    assert found >= {"batch-norm statistics", "images searched on", "validation accuracy"}
    assert found >= {"learning_rate", "alpha_learning_rate", "random streams"}
    assert ("alpha_every" in found) == (protocol.alpha_every != "step")
    assert ("unrolled step" in found) == (protocol.alpha_order == 2)
    assert ({"attention", "attention values"} <= found) == (protocol.attention == "once")
    assert ({"topology", "wiring of both cells"} <= found) == (name in NEEDS_TOPOLOGY)
    assert ("stages" in found) == bool(protocol.stages)
    assert ("partial_channels" in found) == (protocol.partial_channels > 1)
    assert ("max_skips" in found) == (protocol.max_skips is not None)
    assert ("warmup_epochs" in found) == (protocol.warmup_epochs > 0)


def test_what_is_only_inferred_is_called_so() -> None:
    for setting in ("images", "alpha_every", "alpha_order"):
        assert note("search_subspace", setting).kind == "inferred"
    assert note("search_edarts", "alpha_order").kind == "inferred"
    assert note("search_subspace", "pooling").kind == "open"
    assert note("shallow", "reduction wiring").kind == "open"


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_all_fields_and_differ_as_the_hash_does(name: str) -> None:
    protocol = find_preset(name)
    found = settings(protocol)
    assert [own.name for own in found] == list(type(protocol).model_fields)
    changed = {own.name for own in found if own.differs}
    assert changed == set(protocol.model_dump(exclude_defaults=True))


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("second", NAMES)
def test_a_comparison_is_symmetric_and_covers_all_settings(first: str, second: str) -> None:
    one, other = find_preset(first), find_preset(second)
    found, back = compare(one, other), compare(other, one)
    assert found.different == {key: pair[::-1] for key, pair in back.different.items()}
    assert (found.only_first, found.only_second) == (back.only_second, back.only_first)
    assert found.common + len(found.only_first) == len(type(one).model_fields)
    assert bool(found.only_first) == (purpose(one) != purpose(other))
    if purpose(one) == purpose(other):
        assert (not found.different) == (one.protocol_hash == other.protocol_hash)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("search_edart", "did you mean search_edarts"),
        ("SHALOW", "did you mean shallow?"),
        ("x", "there are shallow, demo, final, search_darts_1st"),
    ],
)
def test_an_unknown_preset_is_refused_with_the_nearest_names(name: str, hint: str) -> None:
    with pytest.raises(InputError) as error:
        find_preset(name)
    assert str(error.value).startswith(f"unknown preset {name!r}: {hint}")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(None, "null"), (True, "true"), (False, "false"), (1, "1"), (0, "0"), (3e-4, "0.0003")],
        *[("once", "once"), (["a", "b"], "[a, b]"), ([], "[]"), ([{"a": None}], "[{a: null}]")],
    ],
)
def test_values_are_written_as_in_a_spec_file(value: object, text: str) -> None:
    assert value_text(value) == text


def test_purpose_tells_searches_from_evaluations() -> None:
    protocols: list[NetworkTraining] = [Protocol(), SearchProtocol()]
    assert [purpose(own) for own in protocols] == ["evaluation", "search"]
