"""What is chosen where networks have unlike seeds, and how sure a threshold is passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.cells.topology import isomorphism_classes
from tests.topo_sweep.analysis.choice_rows import finished, topologies
from topo_sweep.analysis.selection import above, best_topologies, winner
from topo_sweep.spec.networks import GenotypeSweep

CLASSES = [members[0].index for members in isomorphism_classes()][:12]
"""Topologies of twelve classes."""


@pytest.mark.parametrize("by", ["class", "topology"])
@pytest.mark.parametrize("level", [0.0, -0.3, 0.3])
def test_a_seed_that_few_have_yet_neither_chooses_nor_shuts_out(
    by: str, level: float, tmp_path: Path
) -> None:
    accuracies = {
        index: [0.5 + 0.02 * place + 0.01 * seed for seed in range(3)]
        for place, index in enumerate(CLASSES)
    }
    for index in CLASSES[:4]:  # the worst have the fourth seed, which may be a good one or a bad
        accuracies[index].append(accuracies[index][0] + level)

    choice = best_topologies(topologies(tmp_path, accuracies), 4, by=by)

    assert [genotype.normal.topology.index for genotype in choice.genotypes] == CLASSES[:-5:-1]


def test_of_what_is_above_a_threshold_it_is_said_how_many_are_surely_so(tmp_path: Path) -> None:
    accuracies = {0: [0.9, 0.901, 0.902], 1: [0.7, 0.95, 0.9], 4: [0.99], 7: [0.5, 0.51, 0.52]}
    accuracies[12] = [0.81, 0.815, 0.82]  # by itself it would be, at 95%
    sweep = topologies(tmp_path, accuracies)

    assert above(sweep, 0.8).remarks[-1] == (
        "surely above 80.00%, allowing for all 5 that were measured: 1 of 4 networks"
    )


def test_of_a_list_of_cells_one_lucky_seed_does_not_beat_five(tmp_path: Path) -> None:
    first, lucky = (KNOWN_CELLS[name] for name in ("DARTS_V1", "DARTS_V2"))
    spec = GenotypeSweep(name="cells", genotypes=("DARTS_V1", "DARTS_V2"))
    sweep = finished(tmp_path, spec, {first: [0.8] * 5, lucky: [0.85]})

    choice = winner(sweep)

    assert choice.genotypes == (first,)
    assert "left out with fewer than 3 seeds: 1" in choice.remarks
    assert choice.origin.endswith(" with enough seeds")
