"""The best topologies are counted by class: members are one network up to renamed nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_core.cells.genotype import Genotype
from nas_core.errors import InputError
from tests.topo_sweep.analysis.choice_rows import finished, topologies
from tests.topo_sweep.conftest import small_spec
from topo_sweep.analysis.selection import Choice, best_topologies, winner

# Topologies 12 and 21 are one class, 0 and 17 are others.
REPEATED = {21: [0.9, 0.8], 12: [0.7, 0.8], 0: [0.75, 0.7], 17: [0.5, 0.5]}


def indices(choice: Choice) -> list[int]:
    return [genotype.normal.topology.index for genotype in choice.genotypes]


def test_a_class_is_chosen_once_by_all_its_trainings_and_its_smallest_goes_on(
    tmp_path: Path,
) -> None:
    sweep = topologies(tmp_path, REPEATED)
    choice = best_topologies(sweep, 2)

    assert indices(choice) == [12, 0]
    assert choice.origin.startswith(f"the best 2 of 3 classes of {sweep.folder.name} by ")
    assert (
        "members of a class count as one, and its smallest goes on: 3 stand for 4 topologies"
    ) in choice.remarks
    assert "by 7.50 points" in choice.remarks[-1]
    assert winner(sweep).genotypes == choice.genotypes[:1]


def test_the_papers_way_counts_each_topology(tmp_path: Path) -> None:
    sweep = topologies(tmp_path, REPEATED)
    choice = best_topologies(sweep, 2, by="topology")

    assert indices(choice) == [21, 12]
    assert choice.origin.startswith(f"the best 2 of 4 topologies of {sweep.folder.name} by ")
    assert not any("class" in remark for remark in choice.remarks)


def test_more_than_there_are_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 3 finished classes, and the best 4 were asked for"):
        best_topologies(topologies(tmp_path, REPEATED), 4)


def test_a_class_is_lost_where_all_its_members_are_and_else_named_with_what_diverged(
    tmp_path: Path,
) -> None:
    some = [(21, 0), (21, 1), (17, 0), (17, 1)]
    networks: dict[int | Genotype, list[float]] = dict(REPEATED.items())
    choice = best_topologies(finished(tmp_path, small_spec(), networks, diverged=some), 2)

    assert indices(choice) == [12, 0]
    assert "left out since every trial of theirs diverged: 1" in choice.remarks
    assert "chosen with diverged trials: topology 12 (2 of 4 trials)" in choice.remarks


def test_seeds_of_all_members_count_for_the_class(tmp_path: Path) -> None:
    finished(tmp_path, small_spec(), {12: [0.9], 0: [0.6, 0.6]})
    sweep = finished(tmp_path, small_spec(), {21: [0.9]}, seed=1)

    assert indices(best_topologies(sweep)) == [12]
    assert not any("fewer than" in remark for remark in best_topologies(sweep).remarks)
    assert indices(best_topologies(sweep, by="topology")) == [12]
