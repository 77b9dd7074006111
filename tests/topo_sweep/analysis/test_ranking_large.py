"""Large sweeps are ranked without Python a row: what is looped over is as long as the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from tests.topo_sweep.analysis.ranking_rows import frame, row
from topo_sweep.analysis.ranking import format_table, rank

NETWORKS, SEEDS = 5, 12


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect the lengths of all columns that Python goes through value by value."""
    lengths: list[int] = [0]
    through = pd.Series.__iter__

    def noted(column: pd.Series[Any]) -> Iterator[Any]:
        lengths.append(len(column))
        return through(column)

    monkeypatch.setattr(pd.Series, "__iter__", noted)
    return lengths


@pytest.mark.parametrize("by", ["topology", "class"])
def test_no_column_of_all_trials_is_gone_through_in_python(by: str, longest: list[int]) -> None:
    trials = frame(
        [row(index, seed, 0.9 - index / 100) for index in range(NETWORKS) for seed in range(SEEDS)]
    )

    text = format_table(rank(trials, by=by))

    assert "n = 12" in text
    assert max(longest) <= NETWORKS
