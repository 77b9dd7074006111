"""How sure a choice of topologies is, as it says itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.topo_sweep.analysis.choice_rows import topologies
from tests.topo_sweep.analysis.ranking_rows import frame, row, seeds
from topo_sweep.analysis.ranking import rank
from topo_sweep.analysis.selection import best_topologies
from topo_sweep.analysis.sureness import margin, sureness

NOISE = np.array([0.0, 0.002, -0.002, 0.001, -0.001])
OTHER = NOISE[[3, 4, 0, 2, 1]]
CLASSES = {0: 0, 2: 1, 4: 2, 7: 3}
"""Topologies of four classes."""


def said(means: dict[int, list[float]], top: int, by: str) -> list[str]:
    trials = frame([trial for index, values in means.items() for trial in seeds(index, *values)])
    ranking = rank(trials, by=by)
    return sureness(ranking, ranking.table["genotype"].head(top))


@pytest.mark.parametrize("by", ["topology", "class"])
def test_the_chosen_that_may_be_no_better_than_the_first_left_out_are_named(by: str) -> None:
    # Topology 2 is above 4 by less than the noise.
    means = {0: 0.95 + NOISE, 2: 0.9005 + OTHER, 4: 0.9 + NOISE, 7: 0.5 + 0 * NOISE}
    second, left = (index if by == "topology" else CLASSES[index] for index in (2, 4))

    beside, best = said({index: list(values) for index, values in means.items()}, 2, by)

    assert beside == (
        f"of the 2 chosen 1 may be no better than the first left out, {by} {left} (paired by "
        f"seed): {by} {second}"
    )
    units = {"topology": "topologies", "class": "classes"}[by]
    assert best == f"the best of 4 {units} is among 1 of them with 95% confidence"


def test_a_choice_that_is_surely_better_than_what_is_left_is_called_so() -> None:
    means = {0: list(0.95 + NOISE), 2: list(0.9 + OTHER)}

    better = "each of the 1 chosen is surely better than the first left out, topology 2"
    assert said(means, 1, "topology")[0] == better


def test_who_is_first_by_adjusted_means_may_be_behind_on_common_seeds() -> None:
    accuracies = {
        (0, 0): 0.90,
        (0, 1): 0.90,
        (2, 0): 0.91,
        (2, 2): 0.90,
        (4, 1): 0.80,
        (4, 2): 0.85,
    }
    trials = frame([row(index, seed, value) for (index, seed), value in accuracies.items()])
    order = rank(trials).table["genotype"].tolist()

    assert margin(trials, "test", order) == (
        "topology 0 is first by adjusted means, though behind topology 2 by 1.00 points on one "
        "seed: without an interval that is no evidence"
    )


def test_one_seed_or_nothing_left_out_says_nothing_of_it() -> None:
    assert said({0: [0.9], 2: [0.5]}, 1, "topology") == []
    (best,) = said({0: [0.9, 0.91], 2: [0.5, 0.52]}, 2, "class")
    assert best.startswith("the best of 2 classes is among ")


def test_what_goes_on_to_the_next_sweep_says_it(tmp_path: Path) -> None:
    sweep = topologies(tmp_path, {0: list(0.95 + NOISE), 2: list(0.9 + OTHER)})

    remarks = " ".join(best_topologies(sweep).remarks)
    assert "each of the 1 chosen is surely better than the first left out" in remarks
    assert "is among 1 of them with 95% confidence" in remarks
