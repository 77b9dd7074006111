"""Made-up rows, what tests use of any store, and processes that use one beside a test."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import pandas as pd
from hypothesis import HealthCheck, settings

from nas_core.cells.genotype import KNOWN_CELLS
from tests.topo_sweep.conftest import small_spec
from topo_sweep.store.parquet import Row

ON_DISK = settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,  # each example makes a store of its own
        HealthCheck.differing_executors,  # each subclass runs the same properties
    ],
)

GENOTYPE = str(KNOWN_CELLS["DARTS_V2"])
T0 = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class Store(Protocol):
    """What the rest of topo-sweep uses of a store."""

    def create_folders(self) -> None: ...
    def append(self, trials: Sequence[Row], epochs: Sequence[Row]) -> None: ...
    def compact(self) -> None: ...
    def trials(self) -> pd.DataFrame: ...
    def epochs(self) -> pd.DataFrame: ...
    def newest_row(self) -> datetime | None: ...
    def lock(self) -> AbstractContextManager[None]: ...
    @property
    def is_locked(self) -> bool: ...


NewStore = Callable[[], Store]


def trial_row(trial_id: str = "trial", **values: Any) -> dict[str, Any]:
    """Return a whole row of a made-up trial of `small_spec`; `values` replace some columns."""
    return {
        "trial_id": trial_id,
        "sweep": "demo",
        "kind": "topology",
        "genotype": GENOTYPE,
        "topology": 17,
        "class_id": 3,
        "reduction_topology": 0,
        "seed": 0,
        "protocol_hash": small_spec().protocol.protocol_hash,
        "dataset": "digits",
        "holdout": 0,
        "train_limit": None,
        "fingerprint": "fedcba9876543210",
        "status": "ok",
        "error": None,
        "attempt": 1,
        "epochs": 2,
        "train_loss": 0.5,
        "train_accuracy": 0.75,
        "val_accuracy": None,
        "test_accuracy": 0.625,
        "best_test_accuracy": 0.625,
        "parameters": 1234,
        "multiply_adds": 56789,
        "train_seconds": 10.0,
        "device": "cpu",
        "node": "node",
        "execution": "{}",
        "search_id": None,
        "finished_at": T0,
    } | values


def curve_of(row: Row) -> list[dict[str, Any]]:
    """Return an epoch row for each epoch of this trial; all carry its loss and accuracy."""
    return [
        {
            "trial_id": row["trial_id"],
            "epoch": epoch,
            "learning_rate": 0.025,
            "train_loss": row["train_loss"],
            "train_accuracy": row["train_accuracy"],
            "val_accuracy": row["val_accuracy"],
            "test_accuracy": row["test_accuracy"],
            "seconds": 5.0,
            "finished_at": row["finished_at"],
        }
        for epoch in range(row["epochs"])
    ]


def append(store: Store, rows: Sequence[Row]) -> None:
    """Append trials with their curves."""
    store.append(rows, [epoch for row in rows for epoch in curve_of(row)])


_PROCESSES = multiprocessing.get_context("forkserver")
# Loaded once, so that a process of a test starts in a few milliseconds.
_PROCESSES.set_forkserver_preload(
    [
        "__main__",
        "hypothesis",
        "pandas",
        "pytest",
        "topo_sweep.runs.reports.check",
        "topo_sweep.store.manifest",
        "topo_sweep.store.parquet",
    ]
)


@contextmanager
def another_process(
    target: Callable[..., None], *arguments: object
) -> Iterator[tuple[BaseProcess, Connection]]:
    """Run `target(*arguments, connection)` beside the block, from its first message on."""
    here, there = _PROCESSES.Pipe()
    process = _PROCESSES.Process(target=target, args=(*arguments, there))
    process.start()
    there.close()  # so that a dead process is the end of the connection
    try:
        here.recv()
        yield process, here
    finally:
        process.kill()
        process.join()
        process.close()
        here.close()
