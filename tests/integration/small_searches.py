"""A sweep of four small searches and their eight evaluations, and what must be left of it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from tests.conftest import comparable
from tests.program import comparable_alphas, comparable_searches
from topo_sweep.store.opened import open_sweep

SPEC = """
name: small
kind: search
methods: [search_subspace]
spaces: [SS3, SS4]
cells: [5]
search: {init_channels: 2, epochs: 2, images: 32, batch_size: 32, alpha_order: 1}
seeds: 20-21
protocol: {preset: demo, cells: 3, init_channels: 2, epochs: 1}
evaluation_seeds: 0-1
data: {dataset: digits, train_limit: 64}
"""
SEARCHES, EVALUATIONS = 4, 8
SWEEP = ("run", "./small.yaml")


def stored(results: Path, table: str) -> int:
    """Count the rows of 'searches' or 'trials' as they lie in the files, repeated ones too."""
    parts = results.glob(f"*/{table}/part-*.parquet")
    return sum(pq.read_metadata(part).num_rows for part in parts)


def assert_same_rows(results: Path, whole: Path, seeds: tuple[int, ...] = (20, 21)) -> None:
    """Expect the rows and alphas of the undisturbed run's searches, none lost, none twice."""
    searches = open_sweep(whole).searches()
    asked = searches.loc[searches["seed"].isin(seeds), "search_id"]
    for frame in (comparable_searches, comparable_alphas, comparable):
        expected = frame(whole)
        expected = expected[expected["search_id"].isin(asked)].reset_index(drop=True)
        pd.testing.assert_frame_equal(frame(results), expected, check_exact=True)
    assert stored(results, "searches") == len(asked)
    assert stored(results, "trials") == 2 * len(asked)
