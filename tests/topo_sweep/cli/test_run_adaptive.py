"""`topo-sweep run --adaptive`: real trainings in rounds, stopped and gone on with; bad input."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import ray

from tests.conftest import comparable
from tests.program import done, program, refused
from tests.topo_sweep.cli.program import Unlucky
from tests.topo_sweep.runs.interruptions import epochs_taken

SHORT = (
    *("--dataset", "digits", "--epochs", "1", "--train-limit", "32"),
    *("--set", "init_channels=2", "--set", "cells=3", "--set", "batch_size=32"),
)
RACE = (
    *("run", "demo", *SHORT, "--topologies", "0,1,2,179", "--seeds", "0-1"),
    *("--adaptive", "best", "--delta", "0.5", "--budget", "11", "--executor", "inline"),
)
"""Three classes: two first seeds, another round, and the most doubtful of the next."""


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Return the folder of a race at its end, what it printed and what it said."""
    folder = tmp_path_factory.mktemp("race")
    ended = done(folder, *RACE)
    return folder, ended.output, ended.errors


def test_a_race_runs_in_rounds_and_prints_its_statement_and_what_it_spent(
    raced: tuple[Path, str, str],
) -> None:
    folder, output, errors = raced
    assert "round 1: the first seeds of every class, 6 runs\n" in errors
    assert "round 2: " in errors
    assert errors.count("data: digits") == 1
    assert output.startswith("WHAT THE RACE CAME TO\nThe budget is spent before the race is over: ")
    assert "what was spent:\nruns a class  classes  chosen  runs\n" in output
    assert set(comparable(folder / "results")["topology"]) == {0, 1, 179}, "one of each class"
    assert len(comparable(folder / "results")) == 11


def test_the_same_command_again_trains_nothing_and_says_the_same(
    raced: tuple[Path, str, str],
) -> None:
    folder, output, _ = raced
    before = comparable(folder / "results")
    again = done(folder, *RACE)
    assert again.output == output
    assert again.errors.startswith("nothing to do: all 11 trials are in results/demo-digits-")
    pd.testing.assert_frame_equal(comparable(folder / "results"), before)


@pytest.mark.parametrize("after", [4, 8])
def test_a_race_that_is_stopped_in_its_first_or_second_round_ends_with_the_same_rows(
    after: int, raced: tuple[Path, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        epochs_taken(patched, interrupt_after=after)
        stopped = program(tmp_path, *RACE)
    assert (stopped.code, stopped.output) == (130, "")
    assert "go on with\n" in stopped.errors
    ended = done(tmp_path, *RACE)

    folder, output, _ = raced
    assert ended.output == output
    pd.testing.assert_frame_equal(
        comparable(tmp_path / "results"), comparable(folder / "results"), check_exact=True
    )


def test_its_store_is_known_as_adaptive(raced: tuple[Path, str, str]) -> None:
    folder, _, _ = raced
    (manifest,) = folder.glob("results/*/sweep.json")
    (request,) = json.loads(manifest.read_text())["requests"]
    assert request["spec"]["adaptive"]["top"] == 1
    assert request["spec"]["adaptive"]["delta_points"] == 0.5
    assert "Seeds went where they told most (an adaptive sweep)" in done(folder, "rank").output
    assert done(folder, "status").output.split("\n")[1].split()[:2] == ["11", "11"]


def test_a_dry_run_tells_of_the_round_to_come(raced: tuple[Path, str, str]) -> None:
    folder, _, _ = raced
    text = done(folder, *RACE, "--budget", "100", "--dry-run", "--no-measure").output
    assert "in a race for the best class" in text
    assert "race      round " in text
    assert text.endswith("; what follows depends on their results\n")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("run demo --adaptive top=0", "--adaptive top=0: write top=20"),
        ("run demo --adaptive top=79", "a race for the 79 best classes needs more classes"),
        ("run demo --adaptive best --confidence 1.5", "--confidence 1.5: must be less than 1"),
        ("run demo --adaptive best --delta -1", "--delta -1.0: must be greater than or equal to 0"),
        ("run demo --adaptive best --batch 0", "--batch 0: must be greater than or equal to 1"),
        ("run demo --adaptive best --budget 5", "the first seeds of all classes alone are 237"),
        ("run demo --delta 0.3", "--delta 0.3: this is no adaptive sweep: add --adaptive top=20"),
        ("run demo --budget 500", "--budget 500: this is no adaptive sweep"),
        ("run search_demo --topology 1 --adaptive best", "belongs to kind: topologies"),
        ("run known_cells --adaptive best", "belongs to kind: topologies"),
    ],
)
def test_what_cannot_be_raced_is_refused_before_anything_is_written(
    request_: str, said: str, tmp_path: Path
) -> None:
    assert said in refused(tmp_path, *request_.split())


def test_a_race_goes_on_where_a_run_fails_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("topo_sweep.runs.runner.Training", Unlucky)
    ended = program(tmp_path, *RACE, "--budget", "6", "--retries", "0")

    assert ended.code == 1
    assert "failed: topology 0, seed 1: RuntimeError: out of luck" in ended.errors
    assert "round 2: 3 of 3 classes still race; 3 runs\n" in ended.errors
    assert "It took 6 runs in 2 rounds" in ended.output


@pytest.mark.long
def test_a_race_runs_on_ray_in_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "init", partial(ray.init, num_cpus=1))  # a worker is enough
    there = [option for option in RACE if option not in ("--executor", "inline")]
    ended = done(tmp_path, *there, "--pack", "2", "--batch", "6", "--budget", "12")
    assert "round 2: 3 of 3 classes still race" in ended.errors
    rows = comparable(tmp_path / "results")
    assert len(rows) == 12
    assert rows["execution"].str.contains('"pack_size": 2').any()
