"""All intervals of an analysis are of the confidence that was asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.topo_sweep.analysis.choice_rows import topologies
from tests.topo_sweep.analysis.inference.random_beside import searched_with_random_cells
from tests.topo_sweep.analysis.inference.run_rows import with_members
from topo_sweep.analysis.findings import Finding
from topo_sweep.analysis.inference.sections import analyze
from topo_sweep.store.opened import OpenedSweep, open_sweep

RACE = "what a race would do next"
"""This section says what `run --adaptive` would do, with the confidence of races."""

COUNTED = ("rank_low", "seeds_low")
"""Whole numbers, which a narrower interval need not move."""


def test_less_confidence_narrows_every_interval_of_topologies(tmp_path: Path) -> None:
    # Topologies 7 and 8, 13 and 18, and some others are of one class.
    members = (0, 1, 2, 3, 4, 5, 7, 8, 13, 14, 17, 18, 20, 21, 24, 25)
    runs = with_members(np.linspace(0, 3, 16).tolist(), [1] * 16, 5, np.random.default_rng(0))
    table = 0.6 + runs.pivot_table(index="group", columns="seed", values="accuracy") / 100
    sweep = topologies(tmp_path, dict(zip(members, table.round(4).to_numpy(), strict=True)))

    assert narrower(sweep) >= {
        "does topology matter: omega_low",
        "how much: components low",
        "how much: reliability low",
        "how well each mean is known: means ci_low",
        "how well each mean is known: means all_low",
        "which differ: pairs low",
        "what the winner is worth: low",
        "means without their luck: means low",
        "what goes with the ranking: features low",
        "what goes with the ranking: features partial_low",
        "what stands for what: ceiling_low",
        "what stands for what: comparisons across_low",
    }
    assert "what the winner is worth: others_low" in narrower(sweep, select_seeds=[0, 1])


def test_less_confidence_narrows_every_interval_of_searches(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sweep = open_sweep(
        searched_with_random_cells(
            tmp_path,
            random_accuracies=random.normal(0.6, 0.05, 8).round(3).tolist(),
            measured=random.normal(0.3, 0.05, (2, 8)).round(3).tolist(),
        )
    )

    assert narrower(sweep) >= {
        "does a search do better than chance: comparisons ci_low",
        "does a search do better than chance: comparisons predicted_low",
        "does the supernet know: searches low",
        "does the supernet know: settings low",
    }


def narrower(sweep: OpenedSweep, select_seeds: Collection[int] | None = None) -> set[str]:
    """Check that all intervals with 80% are narrower than with 95%, and return their names."""
    wide, narrow = (
        [each for _, each in analyze(sweep, select_seeds=select_seeds, confidence=confidence)]
        for confidence in (0.95, 0.8)
    )
    intervals = [
        [interval for finding in findings for interval in widths(finding)]
        for findings in (wide, narrow)
    ]
    for (name, before), (again, after) in zip(*intervals, strict=True):
        assert (name, after < before) == (again, True)
    text = "\n".join(each.to_text() for each in narrow if each.title != RACE)
    assert "80%" in text
    assert "95%" not in text
    return {name for name, _ in intervals[0]}


def widths(finding: Finding) -> Iterator[tuple[str, float]]:
    """Yield the name and the width of each interval that there is."""
    rows: list[tuple[str, dict[Any, Any]]] = [("", dict(finding.numbers))]
    rows += [
        (f"{name} ", row)
        for name, table in finding.tables.items()
        for row in table.to_dict("records")
    ]
    for where, row in rows:
        for name in row:
            if name.endswith("low") and name not in COUNTED:
                low, high = row[name], row[f"{name.removesuffix('low')}high"]
                if low is not None and high is not None and np.isfinite(high - low):
                    yield f"{finding.title}: {where}{name}", high - low
