"""What was measured: groups, seeds and which accuracy counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.errors import InputError
from tests.topo_sweep.analysis.ranking_rows import frame, row, uniform
from topo_sweep.analysis.design import design_of, fewest_seeds

# Topologies 1 and 3 are members of one class: renaming nodes 2 and 3 exchanges them.
MEMBERS = [
    index for index in range(180) if uniform(index).normal.topology.class_id == 1
][:2]  # fmt: skip


def test_members_of_a_class_are_averaged_within_a_seed_first() -> None:
    first, second = MEMBERS
    trials = frame([row(first, 0, 0.5), row(second, 0, 0.7), row(first, 1, 0.9), row(0, 0, 0.1)])

    design = design_of(trials)

    assert (design.by, design.unit) == ("class", "class")
    assert design.table.to_numpy().tolist() == [
        pytest.approx([0.1, 0.6]),
        pytest.approx([np.nan, 0.9], nan_ok=True),
    ]
    assert design.complete.index.tolist() == [0]
    assert [design.name_of(group) for group in design.groups.index] == ["class 0", "class 1"]
    assert design.groups["topology"].tolist() == [0, min(MEMBERS)]
    assert design.seed_words == "n = 1 to 2"


def test_networks_of_mixed_operations_are_groups_by_themselves() -> None:
    trials = frame([row(KNOWN_CELLS["DARTS_V2"], 0, 0.5), row(0, 0, 0.7)]).assign(kind="genotypes")

    design = design_of(trials)

    assert (design.by, design.unit, len(design.groups)) == ("topology", "genotype", 2)
    with pytest.raises(InputError, match="mix operations"):
        design_of(trials, by="class")


def test_failed_trials_are_counted_and_diverged_ones_stay() -> None:
    trials = frame(
        [
            row(0, 0, 0.5),
            row(0, 1, 0.0, status="failed", test_accuracy=None, error="lost"),
            row(0, 2, 0.1, status="diverged", test_accuracy=None),
        ]
    )

    design = design_of(trials)

    assert design.failed == 1
    assert design.points["value"].tolist() == [0.5, 0.0]
    assert design.points["lost"].tolist() == [False, True]


@pytest.mark.parametrize(("top", "expected"), [(1, 3), (2, 2), (3, 1)])
def test_to_be_chosen_takes_half_the_seeds_of_those_with_most(top: int, expected: int) -> None:
    assert fewest_seeds(pd.Series([1, 5, 4, 1]), top) == expected
