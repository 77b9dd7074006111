from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.errors import InputError
from nas_core.protocols.training import PRESETS, DataOptions, Protocol
from tests.integration.shipped import (
    COUNTS,
    FOUND,
    SEARCHES,
    first_lines,
    of_networks,
    of_topologies,
    shipped,
    training_cost,
)
from topo_sweep.spec.load import Overrides, load_spec, shipped_names
from topo_sweep.spec.networks import GenotypeSweep, TopologySweep


@pytest.fixture(autouse=True)
def _another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_shipped_sweeps_are_these() -> None:
    assert shipped_names() == sorted([*COUNTS, *SEARCHES])


@pytest.mark.parametrize("name", COUNTS)
def test_a_shipped_sweep_loads_from_any_folder_with_its_name_and_trials(name: str) -> None:
    spec = of_networks(name)

    assert spec.name == name
    assert spec.trial_count == COUNTS[name]
    assert len(spec.genotype_list()) * len(spec.seeds) == COUNTS[name]


@pytest.mark.parametrize("name", COUNTS)
def test_a_shipped_sweep_begins_with_what_it_repeats_and_what_it_costs(name: str) -> None:
    spec = shipped(name)
    repeats, cost = first_lines(name)

    assert "paper" in repeats
    assert training_cost(spec) in cost
    assert re.search(rf"\b{COUNTS[name]}\b", cost)


def test_table_iv_evaluates_the_published_cells_and_those_that_were_found() -> None:
    spec = of_networks("table4")

    published = [KNOWN_CELLS[name] for name in ("DARTS_V1", "DARTS_V2", "PDARTS", "PC_DARTS")]
    assert spec.genotype_list() == (*published, *FOUND.values())
    assert spec.protocol == PRESETS["final"]


def test_the_topology_sweeps_are_the_papers() -> None:
    for name in ("topologies", "classes", "demo"):
        spec = of_topologies(name)
        operations = (spec.normal_operation, spec.reduction_operation, spec.reduction_topology)
        assert operations == ("sep_conv_3x3", "max_pool_3x3", 0)
        assert spec.seeds == (0,)

    assert of_topologies("topologies").topologies == tuple(range(180))
    assert of_topologies("topologies").protocol == PRESETS["shallow"]
    assert of_topologies("demo").topologies == tuple(range(180))
    assert of_topologies("demo").protocol == PRESETS["demo"]


def test_classes_has_one_topology_of_each_class() -> None:
    class_ids = [g.normal.topology.class_id for g in of_networks("classes").genotype_list()]

    assert class_ids == list(range(79))


def test_unified_trains_one_wiring_in_both_cells_all_separable() -> None:
    for genotype in of_networks("unified").genotype_list():
        assert genotype.normal == genotype.reduction
        assert genotype.normal.uniform_operation == "sep_conv_3x3"


def test_unified_asks_for_topologies() -> None:
    with pytest.raises(InputError, match=r"unified\.yaml .*give --topologies 0-3,17"):
        load_spec("unified")


def test_known_cells_are_those_of_table_iii_with_ten_seeds() -> None:
    spec = shipped("known_cells")

    assert isinstance(spec, GenotypeSweep)
    assert spec.genotype_list() == tuple(
        KNOWN_CELLS[name] for name in ("DARTS_V1", "DARTS_V2", "PDARTS", "PC_DARTS")
    )
    assert spec.seeds == tuple(range(10))
    assert spec.protocol == PRESETS["shallow"]


def test_a_file_or_folder_here_does_not_hide_a_shipped_sweep() -> None:
    Path("demo").write_text("kind: topologies\ntopologies: 0\n", encoding="utf-8")
    Path("topologies").mkdir()

    assert shipped("demo").trial_count == 180
    assert shipped("topologies").trial_count == 180
    assert load_spec("./demo").trial_count == 1


def test_a_suffix_names_a_file() -> None:
    Path("demo.yaml").write_text("kind: topologies\ntopologies: 0\n", encoding="utf-8")
    Path("other.YML").write_text("kind: topologies\ntopologies: 0-1\n", encoding="utf-8")
    Path("plain").write_text("kind: topologies\ntopologies: 0-2\n", encoding="utf-8")

    assert load_spec("demo.yaml").trial_count == 1
    assert load_spec("other.YML").trial_count == 2
    assert load_spec("plain").trial_count == 3


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("topologis", "'topologis' is neither a file nor a shipped sweep: shipped are topologies,"),
        ("known", "shipped are known_cells,"),
        ("", "'' is neither a file nor a shipped sweep"),
        ("x" * 5000, "is neither a file nor a shipped sweep"),
        ("a\0b", r"'a\x00b' is neither a file"),
        ("demo.yml", "there is no file demo.yml"),
        ("DEMO.YAML", "there is no file DEMO.YAML"),
        ("./demo", "there is no file ./demo"),
        ("a\n/b", r"there is no file 'a\n/b'"),
        ("a\0/b", r"'a\x00/b' cannot be read"),
        ("folder", "folder is a folder: name a YAML file"),
    ],
)
def test_what_names_no_sweep_is_told_with_what_does(source: str, expected: str) -> None:
    Path("folder").mkdir()
    with pytest.raises(InputError) as caught:
        load_spec(source)

    assert expected in str(caught.value)
    assert str(caught.value).isprintable()
    if "shipped" in expected:
        assert all(name in str(caught.value) for name in shipped_names())


def test_a_files_name_that_cannot_name_a_sweep_is_told_as_such() -> None:
    Path("my sweep.yaml").write_text("kind: topologies\ntopologies: 0\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_spec("my sweep.yaml")

    expected = "my sweep.yaml: name is missing, and the file's, 'my sweep', cannot be it: write"
    assert str(caught.value).startswith(expected)


def refusal(source: str, **overrides: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_spec(source, Overrides(**overrides))
    assert str(caught.value).isprintable(), "one line"
    return str(caught.value)


def test_options_replace_single_values_and_leave_the_rest() -> None:
    Path("my.yaml").write_text(
        "kind: topologies\ntopologies: 0-3\nseeds: 5\nprotocol: {preset: demo, cells: 3}\n"
        "data: {dataset: digits, holdout: 100, train_limit: 50}\n",
        encoding="utf-8",
    )
    many = Overrides(
        dataset="cifar100",
        topologies="7,9",
        seeds="0-1",
        epochs=2,
        protocol={"flip": "true", "learning_rate": "1e-3", "precision": "'float64'"},
    )
    few = Overrides(holdout=3, train_limit=4)

    assert load_spec("my.yaml", many) == TopologySweep(
        name="my",
        data=DataOptions(dataset="cifar100", holdout=100, train_limit=50),
        topologies=(7, 9),
        seeds=(0, 1),
        protocol=PRESETS["demo"].with_values(
            {"cells": 3, "epochs": 2, "flip": True, "learning_rate": 1e-3, "precision": "float64"}
        ),
    )
    assert load_spec("my.yaml", few).data == DataOptions(dataset="digits", holdout=3, train_limit=4)


@pytest.mark.parametrize("spelling", ["1e-3", "1.0e-3", "0.001"])
def test_all_spellings_of_a_rate_are_the_same_setting(spelling: str) -> None:
    text = f"kind: topologies\ntopologies: 0\nprotocol: {{weight_decay: {spelling}}}"
    Path("my.yaml").write_text(text, encoding="utf-8")
    by_option = Overrides(protocol={"weight_decay": spelling})

    for spec in (load_spec("my.yaml"), load_spec("topologies", by_option)):
        assert spec.protocol == Protocol(weight_decay=0.001)
        assert spec.protocol.protocol_hash == Protocol(weight_decay=0.001).protocol_hash


@pytest.mark.parametrize("topologies", ["all", "classes"])
def test_topologies_by_option_are_written_as_in_a_file(topologies: str) -> None:
    spec = load_spec("unified", Overrides(topologies=topologies))

    assert spec.trial_count == {"all": 180, "classes": 79}[topologies]


def test_epochs_given_twice_alike_are_no_contradiction() -> None:
    spec = load_spec("demo", Overrides(epochs=7, protocol={"epochs": "7"}))

    assert spec.protocol.epochs == 7


def test_all_problems_of_options_and_file_are_told_at_once_and_say_where_they_stand() -> None:
    Path("my.yaml").write_text(
        "kind: genotypes\ngenotypes: [DARTS_V1]\nseeds: -1\nprotocol: {cutout: -1}",
        encoding="utf-8",
    )
    message = refusal(
        "my.yaml",
        topologies="0-3",
        dataset="cifar11",
        holdout=-1,
        train_limit=0,
        epochs=0,
        protocol={"epohcs": "3", "momentun": "0.9", "flip": "no", "precision": "[", "cells": "a b"},
    )

    assert sorted(message.split("; ")) == sorted(
        [
            "--topologies 0-3: belongs to kind: topologies, this is kind: genotypes",
            "--dataset cifar11: must be 'digits', 'cifar10' or 'cifar100'",
            "--holdout -1: must be greater than or equal to 0",
            "--train-limit 0: must be greater than or equal to 1",
            "--epochs 0: must be greater than or equal to 1",
            "--set epohcs=3: unknown key (did you mean epochs?)",
            "--set momentun=0.9: unknown key (did you mean momentum?)",
            "--set flip=no: write true or false",
            (
                "--set 'precision=[' is not YAML: line 1, column 2: "
                "expected the node content, but found '<stream end>'"
            ),
            "--set 'cells=a b': write a whole number",
            "my.yaml: protocol.cutout = -1: must be greater than or equal to 0",
            "my.yaml: seeds = -1: no number from 0: -1: write numbers from 0, as in 0-3,17",
        ]
    )


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"topologies": "180"}, "--topologies 180: 180 is too large: write numbers 0 to 179"),
        ({"topologies": "3-1"}, "--topologies 3-1: 3-1 counts down: write 1-3"),
        ({"seeds": ""}, "--seeds '': '' is no number or range"),
        ({"seeds": "a\nb"}, r"--seeds 'a\nb': 'a\nb' is no number or range"),
        ({"epochs": -1}, "--epochs -1: must be greater than or equal to 1"),
        ({"protocol": {"epochs": "x"}}, "--set epochs=x: write a whole number"),
        ({"protocol": {"epochs": "1.0"}}, "--set epochs=1.0: write a whole number"),
        ({"protocol": {"flip": ""}}, "--set flip=: write true or false"),
        ({"protocol": {"cells": "[1]"}}, "--set 'cells=[1]': write a single value"),
        ({"protocol": {"preset": "demo"}}, "--set preset=demo: a preset is chosen in the file"),
        (
            {"epochs": 5, "protocol": {"epochs": "6"}},
            "--epochs 5 and --set epochs=6 differ: give one",
        ),
    ],
)
def test_a_bad_option_is_named_with_its_value_and_what_is_allowed(
    overrides: Mapping[str, Any], expected: str
) -> None:
    message = refusal("demo", **overrides)

    assert message.startswith(expected)
    assert ".yaml" not in message


def test_an_unknown_setting_with_no_near_one_lists_all_valid_ones() -> None:
    message = refusal("demo", protocol={"zzz": "1"})

    assert all(key in message for key in Protocol.model_fields)
    assert "preset" not in message, "--set preset is no option either"
