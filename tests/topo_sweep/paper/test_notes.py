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
from topo_sweep.paper.notes import (
    KINDS,
    NotesFile,
    PaperNote,
    notes,
    notes_file,
    printed_settings,
)
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
        if setting in printed_settings(reference):
            assert (said.ours, said.paper) == (value_text(ours), value_text(theirs))
            assert said.kind == "differs"
        else:
            assert said.ours == f"{value_text(ours)}, where {reference} has {value_text(theirs)}"
            assert said.paper.startswith("not given")
            assert said.kind == "open"
    assert different


def test_a_preset_in_small_says_of_the_paper_what_the_followed_one_says() -> None:
    assert note("demo", "epochs").paper == "100"
    assert note("demo", "crop_padding").paper == note("shallow", "crop_padding").paper
    assert note("demo", "flip").paper == note("search_demo", "flip").paper == "not given"
    assert note("search_demo", "images").paper == note("search_edarts", "images").paper


def test_the_paper_values_of_exact_presets_are_those_of_the_design() -> None:
    shallow, final = PRESETS["shallow"], PRESETS["final"]
    assert (shallow.cells, shallow.init_channels, shallow.epochs) == (5, 16, 100)
    assert note("shallow", "drop_path").paper.startswith("0.2 (IV-A)")
    assert note("shallow", "drop_path").ours.startswith(f"{shallow.drop_path},")
    assert f"{final.cells}-{final.init_channels}" == note("final", "init_channels").ours
    assert "600 epochs, batch 96, cutout 16, auxiliary weight 0.4" in note("final", "epochs").ours
    assert note("final_36", "init_channels").ours == "20-36"
    assert note("search_darts_20", "cells").ours == "20 cells, 16 channels, batch 16"
    assert note("search_darts_20", "learning_rate").paper.startswith("batch 16 (III-A)")


def test_the_settings_that_section_iv_a_prints_are_said_to_be_printed() -> None:
    shallow = PRESETS["shallow"]
    printed = note("shallow", "learning_rate").paper
    values = (
        f"{shallow.learning_rate} to {shallow.learning_rate_min:g} by cosine annealing",
        f"momentum {shallow.momentum}",
        f"weight decay {shallow.weight_decay}",
        f"clip {shallow.gradient_clip:g}",
        f"batch {shallow.batch_size} (IV-A)",
    )
    assert all(value in printed for value in values)
    assert "not given" in note("shallow", "crop_padding").paper
    assert "not given how it grows" in note("shallow", "drop_path").paper
    for name in ("final", "final_36"):
        assert note(name, "drop_path").paper == "0.3 in P-DARTS and PC-DARTS (IV-A)"
        assert "Unchecked" in note(name, "weight_decay").why


def test_the_pipeline_of_section_iv_e_is_of_the_papers_own_networks_alone() -> None:
    for setting in ("epochs", "learning_rate", "weight_decay"):
        assert "pipeline of P-DARTS and PC-DARTS" in note("final", setting).paper
    assert not any("IV-E" in each.paper for each in notes("final_36"))
    assert note("final_36", "learning_rate").paper == "not given"
    assert "batch 128 for P-DARTS and PC-DARTS (IV-A)" in note("final_36", "epochs").paper
    assert note("final", "init_channels").paper.startswith("32 channels (IV-E); 20 layers")


def test_what_the_text_says_of_paths_and_of_sparse_updates_is_said() -> None:
    assert "IV-D" in note("search_edarts", "wiring of both cells").paper
    for name in ("search_sparse", "search_subset_sparse", "search_edarts", "search_subspace"):
        assert "after a sufficient number of samples" in note(name, "alpha_every").paper
    assert note("search_pcdarts", "warmup_epochs").paper.endswith("(III-C)")
    assert "(III-A)" in note("search_pdarts", "stages").paper


def test_the_batch_of_the_look_ahead_is_that_of_the_presets_own_images() -> None:
    for name, rest in (
        ("search_sparse", "40 of 25,000 images"),
        ("search_subset_sparse", "4 of 2,500 images"),
        ("search_edarts", "4 of 2,500 images"),
        ("search_demo", "192 images leave no rest"),
    ):
        preset = SEARCH_PRESETS[name]
        assert rest in note(name, "alpha_at").why
        left = preset.images % preset.batch_size
        assert rest.startswith(f"{left or preset.images} ")


def test_trainings_say_which_epoch_counts_and_how_weights_start() -> None:
    for name in PRESETS:
        assert note(name, "reported accuracy").ours == "of the last epoch"
        assert note(name, "initial weights").kind == "inferred"


def test_search_settings_are_darts_own_but_for_searches_of_which_iv_b_does_not_tell() -> None:
    own = "DARTS' own"
    settings = ("learning_rate", "alpha_learning_rate", "alpha images", "validation accuracy")
    for name in SEARCH_PRESETS:
        others = name in {"search_darts_20", "search_pcdarts", "search_pdarts"}
        for setting in settings:
            said = note(name, setting)
            if (name, setting) == ("search_darts_20", "learning_rate"):
                assert own not in said.paper
            else:
                assert said.paper == "not given" if others else said.paper.startswith(own)
            if setting in {"alpha images", "validation accuracy"}:
                assert said.kind == ("open" if others else "differs")


def test_a_found_cell_is_trained_once_by_our_choice() -> None:
    for name in SEARCH_PRESETS:
        assert "not given how many trainings" in note(name, "evaluation seeds").paper
        assert note(name, "evaluation seeds").kind == "open"


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
        for name in ("search_subspace", "search_edarts"):
            assert note(name, setting).kind == "inferred"
            assert "IV-B" in note(name, setting).paper
            assert "the basis of all that follows" in note(name, setting).paper
    assert note("search_subset", "images").kind == "inferred"
    assert "with the epoch update alone" in note("search_subset", "images").paper
    assert "images" not in about("search_subset_sparse")
    assert note("search_subspace", "pooling").kind == "open"
    assert note("shallow", "reduction wiring").kind == "open"


def test_the_papers_attention_is_the_one_that_searches_add() -> None:
    said = ", ".join(f"{operation} {value:+g}" for operation, value in ATTENTION.items())
    values = note("search_edarts", "attention values")
    assert values.ours == f"{said}, 0 for all other operations"
    assert "the same from dil5x5 and dil3x3" in values.paper
    assert "read in the text's order" in values.why
    assert values.kind == "inferred"


@pytest.mark.parametrize(
    ("change_data", "said"),
    [
        (lambda data: data["presets"].update(shalow=data["presets"]["shallow"]), "shalow is no pr"),
        (lambda data: data["presets"].pop("demo"), "demo is missing"),
        (lambda data: data["presets"]["demo"].update(follows="deep"), "follows deep, which is no"),
        (lambda data: data["presets"]["demo"]["groups"].append("speed"), "speed is no group"),
        (lambda data: data["presets"]["demo"].update(silent=["final"]), "final is silent but none"),
        (lambda data: data["groups"].update(speed=[]), "no preset has the group speed"),
        (lambda data: data["presets"]["demo"].update(reasons={"epoch": "Few."}), "demo: epoch is "),
        (
            lambda data: data["presets"]["demo"].update(printed=["data"]),
            "demo: data is printed but",
        ),
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
