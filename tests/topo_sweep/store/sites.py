"""Sweeps of one protocol as several sites have them, and all that stands in their files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.topo_sweep.conftest import make_sweep, small_spec
from tests.topo_sweep.runs.search_run import (
    FOUND,
    OTHER,
    search_curve_of,
    search_spec,
    stored_search,
)
from tests.topo_sweep.store.store_rows import T0, append, trial_row
from topo_sweep.spec.load import SweepSpec
from topo_sweep.spec.trials import Trial
from topo_sweep.store.opened import OpenedSweep, open_sweep
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.tables import SEARCHES, TABLES


def trained(spec: SweepSpec, *, minute: int = 0, **values: Any) -> list[dict[str, Any]]:
    """Return a row of each training that is asked for; they end a minute apart.

    Equal trainings have equal numbers; `values` replace some columns.
    """
    rows = []
    for number, trial in enumerate(spec.trials().values()):
        assert isinstance(trial, Trial)
        topology = trial.identity()["topology"]
        numbers = {
            "train_loss": 0.1 + topology / 1000,
            "test_accuracy": (100 + topology + trial.seed) / 1000,
            "finished_at": T0 + timedelta(minutes=minute + number),
        }
        rows.append(trial_row(**(trial.identity() | {"kind": spec.kind} | numbers | values)))
    return rows


def site(
    results: Path, *, rows: Sequence[dict[str, Any]] | None = None, **values: Any
) -> OpenedSweep:
    """Return a sweep of a site, of `small_spec` with these values; by default it is trained."""
    spec = small_spec(**values)
    append(store := make_sweep(results, spec), trained(spec) if rows is None else rows)
    return open_sweep(store.paths.folder)


def searched_differently(folder: Path) -> list[OpenedSweep]:
    """Return two sites whose search of one seed found another cell; the second trained its own."""
    spec, sweeps = search_spec(), []
    search, training, *_ = spec.trials().values()
    for number, (name, cell) in enumerate({"a": FOUND, "b": OTHER}.items()):
        store = make_sweep(folder / name, spec)
        at = T0 + timedelta(hours=number)
        row = stored_search(search.trial_id, genotype=str(cell), finished_at=at)
        store.append([row], search_curve_of(row), table=SEARCHES)
        sweeps.append(open_sweep(store.paths.folder))
    trained_there = trial_row(
        training.trial_id,
        genotype=str(OTHER),
        search_id=search.trial_id,
        protocol_hash=spec.protocol.protocol_hash,
    )
    append(sweeps[1].store, [trained_there])
    return sweeps


def everything(store: ResultStore) -> dict[str, list[str]]:
    """Return every row and epoch that stands in the files, whether it counts or not, as texts."""
    return {
        name: sorted(map(str, store.read(name, schema).to_pylist()))
        for table in TABLES.values()
        for name, schema in table.parts
    }
