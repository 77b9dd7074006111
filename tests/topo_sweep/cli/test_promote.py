"""`topo-sweep promote`: what of a sweep goes on, on which seeds, and by which protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topo_sweep.analysis.adaptive.races import stored_race
from tests.topo_sweep.analysis.choice_rows import finished, topologies
from tests.topo_sweep.cli.program import Program
from tests.topo_sweep.conftest import small_spec

BEFORE = {3: [0.5, 0.6], 17: [0.9, 0.8], 90: [0.7, 0.6]}


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A sweep of three topologies and two seeds."""
    return str(topologies(tmp_path / "source", BEFORE).folder)


def test_the_best_go_on_to_phase_two_on_as_many_other_seeds(program: Program, source: str) -> None:
    text = program("promote", source, "--top", "2", "--dry-run")

    assert "topologies 17,90, seeds 2-3" in text
    assert f"{Path(source).parent}/small-top2-digits-" in text
    warning, *_, choice = program.errors.splitlines()
    assert warning.startswith("warning: no images were held out, so test accuracy selects")
    assert choice.startswith("small-top2: the best 2 of 3 classes of small-digits-")


def test_members_of_a_class_go_on_as_one_unless_each_is_asked_for(
    program: Program, tmp_path: Path
) -> None:
    # Topologies 12 and 21 are one class.
    folder = str(topologies(tmp_path, {12: [0.9], 21: [0.85], 0: [0.6]}).folder)
    request = ("promote", folder, "--top", "2", "--dry-run")

    assert "topologies 0,12, seeds 1" in program(*request)
    assert "2 stand for 3 topologies\n" in program.errors
    assert "topologies 12,21, seeds 1" in program(*request, "--by", "topology")
    assert "small-top2: the best 2 of 3 topologies of small-digits-" in program.errors


def test_of_a_race_it_says_how_many_fresh_seeds_there_are(program: Program, tmp_path: Path) -> None:
    request = ("promote", str(stored_race(tmp_path).folder), "--top", "1", "--dry-run")

    assert "topologies 7, seeds 9-11" in program(*request)
    said = "small-top1: as many fresh seeds as each class began its race with, see --seeds\n"
    assert said in program.errors
    program(*request, "--seeds", "100")
    assert "fresh seeds as" not in program.errors


@pytest.mark.parametrize("options", [("--top", "1"), ("--final", "--above", "0.3")])
def test_diverged_trials_are_said(
    options: tuple[str, ...], program: Program, tmp_path: Path
) -> None:
    lost = [(3, 0), (17, 1), (3, 1)]
    sweep = finished(tmp_path, small_spec(), {3: [0.9, 0.9], 17: [0.9, 0.1]}, diverged=lost)
    program("promote", str(sweep.folder), *options, "--set", "auxiliary=false", "--dry-run")

    assert "left out since every trial of theirs diverged: 1\n" in program.errors
    assert "chosen with diverged trials: topology 17 (1 of 2 trials)\n" in program.errors


def test_what_is_above_an_accuracy_gets_the_final_evaluation(program: Program, source: str) -> None:
    request = ("promote", source, "--final", "--above", "0.6", "--seeds", "7", "--dry-run")
    text = program(*request, "--set", "auxiliary=false")

    assert "2 genotypes, seeds 7" in text
    assert "600 a trial" in text
    assert f"{Path(source).parent}/small-final-digits-" in text
    assert program(*request, code=2) == "", "its auxiliary head cannot read images of 8x8"


def test_the_papers_93_percent_are_of_cifar_10_and_not_applied_elsewhere(
    program: Program, source: str
) -> None:
    assert program("promote", source, "--final", "--dry-run", code=2) == ""
    assert program.errors == (
        "topo-sweep: the paper's 93% is of CIFAR-10 and does not apply to digits: give --above\n"
    )


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("final", [(), ("--final", "--above", "0.6", "--set", "auxiliary=false")])
def test_the_new_sweep_goes_beside_its_source_unless_told_otherwise(
    final: tuple[str, ...], program: Program
) -> None:
    request = ("promote", "source", *(final or ("--top", "1")), "--dry-run")
    name = "small-final-digits-" if final else "small-top1-digits-"

    assert f" source/{name}" in program(*request)
    assert f" elsewhere/{name}" in program(*request, "--results", "elsewhere")
    help_text = " ".join(program("promote", "--help").split())
    assert (
        "Folder in which the sweep's own folder is made. [default: beside the sweep]" in help_text
    )


def test_settings_of_the_protocol_can_be_replaced(program: Program, source: str) -> None:
    text = program("promote", source, "--top", "1", "--set", "epochs=9", "--dry-run")

    assert "9 a trial, 18 to train" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--final", "--top", "1"), "--final takes all above --above, so leave out --top"),
        (("--final", "--by", "class"), "--final takes all above --above, so leave out --by"),
        (("--above", "0.9"), "--above belongs to --final; phase 2 takes --top"),
    ],
)
def test_options_of_the_other_way_are_refused_in_one_line(
    options: tuple[str, ...], message: str, program: Program, source: str
) -> None:
    assert program("promote", source, *options, code=2) == ""
    assert program.errors == f"topo-sweep: {message}\n"
