"""A sweep's file with single values replaced by options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nas_core.protocols.training import PRESETS, DataOptions, Protocol
from tests.topo_sweep.spec.refusals import refused
from topo_sweep.spec.load import Overrides, load_spec
from topo_sweep.spec.networks import TopologySweep


@pytest.fixture(autouse=True)
def _another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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


def refusal(source: str, **overrides: Any) -> str:
    return refused(load_spec, source, Overrides(**overrides))
