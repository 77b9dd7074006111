"""Sweeps of made-up searches, for the tests of what is drawn of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.topo_sweep.analysis.search_rows import search_epochs
from tests.topo_sweep.conftest import make_sweep
from tests.topo_sweep.runs.search_run import search_curve_of, search_spec
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.store.parquet import Row
from topo_sweep.store.tables import SEARCHES


def searched(results: Path, searches: Sequence[Row], epochs: Sequence[Row] = ()) -> Path:
    """Make a sweep with these searches, the cell of each trained once; return its folder."""
    spec = search_spec()
    store = make_sweep(results, spec)
    store.append(searches, epochs, table=SEARCHES)
    trainings = [
        trial_row(
            f"training of {search['search_id']}",
            kind="search",
            genotype=search["genotype"],
            search_id=search["search_id"],
            protocol_hash=spec.protocol.protocol_hash,
            test_accuracy=0.9 - number / 10,
        )
        for number, search in enumerate(searches)
        if search["genotype"]
    ]
    store.append(trainings, [])
    return store.paths.folder


def curve_with_alphas(search: Row) -> list[dict[str, Any]]:
    """Return the epochs of a search, in which two operations of two edges change their weights."""
    epochs = search_epochs(
        search["search_id"], [("none", "sep_conv_3x3")], [(0, 2), (1, 2)], epochs=search["epochs"]
    )
    pairs = zip(search_curve_of(search), epochs["alphas"], strict=True)
    return [epoch | {"alphas": alphas} for epoch, alphas in pairs]
