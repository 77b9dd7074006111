"""What commands that run trials share: their settings, and how the end of a run is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nas_core.errors import InputError
from nas_core.training.checkpoint import Checkpoint
from tests.topo_sweep.analysis.choice_rows import topologies
from tests.topo_sweep.cli.program import RUN, Program
from tests.topo_sweep.runs.interruptions import epochs_taken
from topo_sweep import load_results
from topo_sweep.cli.shared.execution import set_texts, set_values
from topo_sweep.runs import sweep
from topo_sweep.runs.execution import Execution


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


def test_what_a_dry_run_times_is_no_matter_of_a_run(program: Program) -> None:
    assert program(*RUN, "--no-measure", code=2) == ""
    assert program.errors == (
        "topo-sweep: --no-measure is about what a dry run times: add --dry-run to it\n"
    )
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "command",
    [("run", "demo"), ("evaluate", "DARTS_V2", "--dataset", "digits"), ("promote", "--top", "1")],
)
def test_every_command_that_trains_cells_takes_when_to_measure_and_what_to_compile(
    command: tuple[str, ...], program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[tuple[int, str]] = []

    def run(_plan: object, execution: Execution, _say: object) -> object:
        given.append((execution.test_every, execution.compile))
        raise InputError("that is enough")

    monkeypatch.setattr(sweep, "run", run)
    topologies(tmp_path / "results", {3: [0.5], 17: [0.9]})

    for options in ((), ("--test-every", "3", "--compile", "auto")):
        program(*command, *options, code=2)
        assert program.errors.endswith("topo-sweep: that is enough\n")
    assert given == [(1, "off"), (3, "auto")]
    program(*command, "--test-every", "0", code=2)
    assert "--test-every" in program.errors


def test_trainings_go_together_by_a_number_or_as_is_fastest(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []

    def run(_plan: object, execution: Execution, _say: object) -> object:
        given.append(execution.pack_size)
        raise InputError("that is enough")

    monkeypatch.setattr(sweep, "run", run)

    for option in ((), ("--pack", "7"), ("--pack", "auto")):
        program("run", "demo", *option, code=2)
    assert given == [None, 7, "auto"]
    for wrong in ("0", "automatic"):
        program("run", "demo", "--pack", wrong, code=2)
        assert f"'--pack': '{wrong}' is neither a number from 1 nor auto." in program.errors


def test_gpus_of_a_pack_are_a_number_or_as_few_as_it_needs(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []

    def run(_plan: object, execution: Execution, _say: object) -> object:
        given.append(execution.gpus)
        raise InputError("that is enough")

    monkeypatch.setattr(sweep, "run", run)

    for option in ((), ("--gpus-per-pack", "0.25"), ("--gpus-per-pack", "auto")):
        program("run", "demo", *option, code=2)
    assert given == [None, 0.25, "auto"]
    for wrong in ("-1", "half"):
        program("run", "demo", "--gpus-per-pack", wrong, code=2)
        assert f"'{wrong}' is neither a number from 0 nor auto." in program.errors
    program("run", "demo", "--gpus-per-pack", "1.5", code=2)
    assert "--gpus-per-pack is a part of one GPU, or whole ones, got 1.5" in program.errors


def test_images_are_sent_to_the_nodes_of_a_cluster_unless_they_are_to_read_them(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[bool] = []

    def run(_plan: object, execution: Execution, _say: object) -> object:
        given.append(execution.ship_data)
        raise InputError("that is enough")

    monkeypatch.setattr(sweep, "run", run)

    for option in ((), ("--ship-data",), ("--no-ship-data",)):
        program("run", "demo", "--cluster", *option, code=2)
    assert given == [True, True, False]
    program("run", "demo", "--no-ship-data", code=2)
    assert program.errors.endswith("is about the nodes of a cluster: add --cluster\n")


def test_a_search_has_no_epochs_to_choose_for_it_measures_in_its_last(program: Program) -> None:
    assert "--test-every" not in program("search", "--help")
    assert "--test-every" in program("run", "--help")


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
