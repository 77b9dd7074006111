"""`topo-sweep search`: which search is asked for, and what is said of one that found nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.topo_sweep.analysis.choice_rows import topologies
from tests.topo_sweep.cli.program import Program
from topo_sweep.store.opened import open_sweep

SMALL = (
    *("search", "--dataset", "digits", "--train-limit", "64", "--topology", "17"),
    *("--set", "cells=3", "--set", "init_channels=2", "--set", "images=32"),
    *("--set", "epochs=1", "--set", "alpha_order=1"),
)


def test_one_search_is_asked_for_and_nothing_is_evaluated(program: Program) -> None:
    text = program(*SMALL, "--preset", "search_darts_1st", "--space", "SS3", "--dry-run")

    assert "1: 0 done, 0 failed, 1 to run" in text
    assert "results/search-digits-" in text
    assert program.errors == ""
    assert not Path("results").exists()


def test_the_best_wiring_of_a_sweep_is_said_with_how_sure_that_is(
    program: Program, tmp_path: Path
) -> None:
    topologies(tmp_path / "source", {3: [0.5, 0.6], 17: [0.9, 0.8]})

    program("search", "--dataset", "digits", "--topology-from", "source", "--dry-run")

    warning, sure, best, margin, choice = program.errors.splitlines()
    assert warning.startswith("warning: no images were held out")
    assert sure.startswith("of the 1 chosen 1 may be no better than the first left out, class")
    assert best == "the best of 2 classes is among 2 of them with 95% confidence"
    assert margin.startswith("topology 17 is ahead of topology 3")
    assert choice.startswith("topology 17: the best of 2 classes of small-digits-")


@pytest.mark.slow
def test_a_search_that_found_nothing_is_a_failure_that_says_why(program: Program) -> None:
    lost = (*SMALL, "--set", "learning_rate=1e30", "--set", "batch_size=8")

    assert program(*lost, code=1) == ""
    assert "topo-sweep: the search found nothing: the loss was nan in epoch 0" in program.errors
    assert list(open_sweep(Path("results")).searches()["status"]) == ["diverged"]
    assert program(*lost, code=1) == "", "nor is it run again"
    assert program.errors.startswith("nothing to do: the one trial is in results/search-digits-")
