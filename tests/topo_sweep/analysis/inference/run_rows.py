"""Made-up runs and designs for the tests of inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nas_core.cells.topology import isomorphism_classes
from tests.topo_sweep.analysis.ranking_rows import frame, row
from topo_sweep.analysis.design import Design, design_of

SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]
"""Shrout and Fleiss 1979, table 2: six targets (rows) by four judges."""


def runs_of(groups: ArrayLike) -> pd.DataFrame:
    """Runs of groups (rows) and seeds (columns), one a cell; NaN is a cell without a run."""
    table = np.asarray(groups, dtype=float)
    group, seed = np.indices(table.shape)
    runs = pd.DataFrame({"group": group.ravel(), "member": group.ravel(), "seed": seed.ravel()})
    return runs.assign(accuracy=table.ravel()).dropna()


def with_members(
    effects: Sequence[float],
    members: Sequence[int],
    seeds: int,
    rng: np.random.Generator,
    *,
    interaction: float = 0.0,
    noise: float = 1.0,
) -> pd.DataFrame:
    """Runs of classes with normal noise: of each class and seed its interaction, of each run."""
    rows = []
    of_seed = rng.normal(size=seeds)
    first = np.cumsum([0, *members])
    for group, effect in enumerate(effects):
        for seed in range(seeds):
            cell = effect + of_seed[seed] + interaction * rng.normal()
            rows += [
                (group, first[group] + member, seed, cell + noise * rng.normal())
                for member in range(members[group])
            ]
    return pd.DataFrame(rows, columns=["group", "member", "seed", "accuracy"])


@cache
def _members(class_id: int) -> tuple[int, ...]:
    return tuple(topology.index for topology in isomorphism_classes()[class_id])


def class_design(
    accuracies: Mapping[int, Sequence[Sequence[float | None]]], *, failed: int = 0
) -> Design:
    """A design by class: class -> a row of accuracies over seeds a member; None is not run."""
    rows = [
        row(_members(class_id)[member], seed, value)
        for class_id, table in accuracies.items()
        for member, values in enumerate(table)
        for seed, value in enumerate(values)
        if value is not None
    ]
    lost = [row(179, seed, 0.0, status="failed", test_accuracy=None) for seed in range(failed)]
    return design_of(frame([*rows, *lost]), by="class")
