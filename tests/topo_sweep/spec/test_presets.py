"""All presets by name: their settings, and how two of them differ."""

from __future__ import annotations

import itertools

import pytest

from nas_core.errors import InputError
from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import PRESETS, NetworkTraining, Protocol
from topo_sweep.spec.presets import (
    ALL_PRESETS,
    find_preset,
    preset_difference,
    protocol_words,
    settings,
    value_text,
)


@pytest.mark.parametrize("name", ALL_PRESETS)
def test_settings_are_all_fields_and_differ_as_the_hash_does(name: str) -> None:
    protocol = find_preset(name)
    listed = settings(protocol)
    assert [setting.name for setting in listed] == list(type(protocol).model_fields)
    changed = {setting.name for setting in listed if setting.differs}
    assert changed == set(protocol.model_dump(exclude_defaults=True))


def test_a_comparison_is_symmetric_and_covers_all_settings() -> None:
    for one, other in itertools.combinations_with_replacement(ALL_PRESETS.values(), 2):
        there, back = preset_difference(one, other), preset_difference(other, one)
        assert there.different == {key: pair[::-1] for key, pair in back.different.items()}
        assert (there.only_first, there.only_second) == (back.only_second, back.only_first)
        assert there.common + len(there.only_first) == len(type(one).model_fields)
        assert bool(there.only_first) == (one.purpose != other.purpose)
        if one.purpose == other.purpose:
            assert (not there.different) == (one.protocol_hash == other.protocol_hash)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("search_edart", "did you mean search_edarts"),
        ("SHALOW", "did you mean shallow?"),
        ("x", "there are shallow, demo, final, final_36, search_darts_1st"),
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
    assert [protocol.purpose for protocol in protocols] == ["evaluation", "search"]


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (PRESETS["shallow"], "shallow"),
        (PRESETS["final"].with_values({"epochs": 9}), "final, epochs 9 (not 600)"),
        (Protocol(cells=8, flip=False), "shallow, cells 8 (not 5), flip false (not true)"),
        (SearchProtocol(images=99), "search_darts_2nd, images 99 (not 25000)"),
    ],
)
def test_a_protocol_is_told_as_the_nearest_preset_of_its_kind(
    protocol: NetworkTraining, words: str
) -> None:
    assert protocol_words(protocol) == words
