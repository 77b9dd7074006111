"""What commands that run trials share: their settings, and how the end of a run is told."""

from __future__ import annotations

import sys

import pytest

from nas_core.errors import InputError
from nas_core.training.checkpoint import Checkpoint
from tests.topo_sweep.cli.program import RUN, Program
from tests.topo_sweep.runs.interruptions import epochs_taken
from topo_sweep import load_results
from topo_sweep.cli.execution import set_texts, set_values


def test_a_setting_is_what_stands_before_and_behind_the_first_equals_sign() -> None:
    assert set_texts(["epochs=3", "name=a=b", "empty="]) == {
        "epochs": "3",
        "name": "a=b",
        "empty": "",
    }


def test_a_setting_without_a_value_is_named() -> None:
    with pytest.raises(InputError, match="--set flip has no value: write --set flip=VALUE"):
        set_texts(["epochs=3", "flip"])


def test_values_of_settings_are_read_as_those_of_a_file() -> None:
    read = set_values(["epochs=3", "learning_rate=1e-3", "flip=false", "precision=float64"])

    assert read == {"epochs": 3, "learning_rate": 0.001, "flip": False, "precision": "float64"}
    assert type(read["epochs"]) is int


def test_a_request_above_the_limit_is_refused_without_yes(program: Program) -> None:
    assert program(*RUN, "--seeds", "0-5000", "--dry-run", code=2) == ""
    assert "asks for 10,002 trials: add --yes" in program.errors


def test_an_interrupted_run_says_what_is_kept_and_how_to_go_on(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["topo-sweep", "run", "my sweep.yaml"])
    with monkeypatch.context() as patch:
        epochs_taken(patch, interrupt_after=3)  # of two trials with two epochs each
        assert program(*RUN, code=130) == ""

    assert "stopped: 1 of 2 trials are kept in results/demo-digits-" in program.errors
    assert "unfinished: topology 179, seed 0, starts over: no checkpoint" in program.errors
    assert program.errors.endswith("  topo-sweep run 'my sweep.yaml'\n")
    program(*RUN)
    assert list(load_results()["status"]) == ["ok", "ok"]


def test_an_interrupted_run_says_at_which_epoch_each_trial_goes_on(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "is_due", True)
    with monkeypatch.context() as patch:
        epochs_taken(patch, interrupt_after=3)
        program(*RUN, code=130)
    assert "unfinished: topology 179, seed 0, goes on from epoch 2 of 2\n" in program.errors
