"""What is chosen from a race: by its own standing, since its best have the fewest seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas_core.cells.genotype import Genotype
from nas_core.errors import InputError
from tests.topo_sweep.analysis.adaptive.races import FIRST, RACED, stored_race
from tests.topo_sweep.analysis.choice_rows import finished, topologies
from tests.topo_sweep.conftest import small_spec
from topo_sweep.analysis.adaptive.rule import race_of
from topo_sweep.analysis.ranking import rank
from topo_sweep.analysis.selection import Choice, best_topologies, winner
from topo_sweep.spec.adaptive import Adaptive


def indices(choice: Choice) -> list[int]:
    return [genotype.normal.topology.index for genotype in choice.genotypes]


@pytest.mark.parametrize("by", ["class", "topology"])
def test_the_best_are_those_of_the_race_however_few_seeds_they_have(
    by: str, tmp_path: Path
) -> None:
    sweep = stored_race(tmp_path)
    table = rank(sweep.trials(), adaptive=True).table
    best = table["topology"] == 7
    assert set(table.loc[best, "n"]) == {table["n"].min()} != {table["n"].max()}
    assert table["mean"].idxmax() != table.index[best][0], "by its plain mean it is not the best"

    race = sweep.manifest.race
    assert race is not None
    standing = race_of(race, sweep.trials()).standing
    assert standing is not None
    choice = best_topologies(sweep, 2, by=by)
    assert indices(choice) == [RACED[group] for group in standing.top] == [7, 1]
    assert choice.origin.startswith("the best 2 of 4 ")
    assert choice.first_seeds == len(FIRST) < len(choice.seeds)
    assert indices(winner(sweep)) == [7]


def test_the_statement_of_the_race_stands_in_the_place_of_ordinary_claims(tmp_path: Path) -> None:
    _, statement, flattered = best_topologies(stored_race(tmp_path)).remarks

    assert statement == (
        "of a race for the 2 best classes: With 95% confidence, no other class is better than one "
        "of these by more than 0.25 points in last-epoch test accuracy: class 3 (topology 7), "
        "class 1 (topology 1)."
    )
    assert flattered.endswith("so claims need fresh seeds")


def test_a_race_without_its_first_seeds_and_more_than_race_are_refused(tmp_path: Path) -> None:
    accuracies = {0: [0.9] * 3, 1: [0.8] * 3, 4: [0.7] * 3, 7: [0.6]}
    race: dict[str, Any] = {"topologies": RACED, "seeds": FIRST, "adaptive": Adaptive(top=1)}
    begun = topologies(tmp_path / "begun", accuracies, **race)
    with pytest.raises(InputError, match="tells nothing of its classes yet: run it again first"):
        best_topologies(begun, 2)
    with pytest.raises(InputError, match="has 4 finished classes, and the best 5 were asked for"):
        best_topologies(stored_race(tmp_path / "all"), 5)


def test_what_diverged_each_time_or_did_not_race_is_left_out(tmp_path: Path) -> None:
    spec = small_spec(
        topologies=RACED, seeds=FIRST, adaptive=Adaptive(top=1, delta_points=5), name="left"
    )
    networks: dict[int | Genotype, list[float]] = {
        0: [0.9] * 3,
        1: [0.6, 0.7, 0.8],
        4: [0.5] * 3,
        7: [0.55] * 3,
        17: [0.95] * 3,
    }
    lost: list[tuple[int | Genotype, int]] = [(0, seed) for seed in FIRST]
    choice = best_topologies(finished(tmp_path, spec, networks, diverged=lost), 2)

    assert indices(choice) == [1, 7]
    assert "left out since every trial of theirs diverged: 1" in choice.remarks
    assert "left out since they are not in the race: 1 topology" in choice.remarks
