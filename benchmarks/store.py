"""Reading a store of 32.4 million curve rows: seconds and memory of each command and call.

Run: python benchmarks/store.py [--wirings 180] [--seeds 10] [--epochs 100] [--repeats 5]
    [--folder DIR] [--json FILE]

The store is made up with a fixed seed: every pair of a normal and a reduction wiring, all seeds, in
the order in which a sweep with packs of 60 on 64 workers would end them. It is written in the real
schemas, in parts and with compactions as a sweep writes it. Each figure is that of a process of its
own, from its start to its end; the files are in the system's cache, as just after a sweep.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import enumerate_topologies
from nas_core.protocols.training import DataOptions, Protocol
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.store import parquet
from topo_sweep.store.manifest import Manifest
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import EPOCH_SCHEMA, TRIAL_SCHEMA

PACK: Final = 60
WORKERS: Final = 64
TRIALS_A_PART: Final = 1000
STARTED_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
FINGERPRINT: Final = "fedcba9876543210"


def pairs(wirings: int, *, seeds: int, epochs: int) -> GenotypeSweep:
    """Return the sweep of all pairs of the first `wirings` topologies."""
    cells = [
        [CellEdges.uniform(topology, operation) for topology in enumerate_topologies()[:wirings]]
        for operation in ("sep_conv_3x3", "max_pool_3x3")
    ]
    return GenotypeSweep(
        name="pairs",
        protocol=Protocol(epochs=epochs),
        data=DataOptions(),
        genotypes=tuple(str(Genotype(n, r)) for n in cells[0] for r in cells[1]),
        seeds=tuple(range(seeds)),
    )


def make_store(results: Path, spec: GenotypeSweep) -> ResultStore:
    """Write the store of a sweep in which everything has ended, a few trials diverged."""
    store = ResultStore(
        StorePaths.of(results, sweep=spec.name, protocol=spec.protocol, data=spec.data)
    )
    store.create_folders()
    manifest = Manifest(
        sweep=spec.name,
        kind=spec.kind,
        protocol=spec.protocol,
        protocol_hash=spec.protocol.protocol_hash,
        data=spec.data,
        fingerprint=FINGERPRINT,
        layout="made up",
        train_images=50_000,
        test_images=10_000,
    )
    manifest.with_request(spec).write(store.paths.manifest)
    for number, (rows, curves) in enumerate(_parts(spec)):
        parquet._write_part(store.paths.epochs, curves)  # noqa: SLF001 - as a sweep writes them
        parquet._write_part(store.paths.trials, rows)  # noqa: SLF001
        if number % 32 == 31:
            store.compact()
    store.compact()
    return store


def _parts(spec: GenotypeSweep) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield rows and curves of some trials, in the order in which they end."""
    random = np.random.default_rng(0)
    trials = list(spec.trials().values())
    packs = np.arange(len(trials)) // PACK
    jitter = random.uniform(0, WORKERS, packs[-1] + 1)
    order = np.argsort(packs + jitter[packs], kind="stable")
    effect = random.normal(0, 0.003, 79)
    for start in range(0, len(order), TRIALS_A_PART):
        chosen = order[start : start + TRIALS_A_PART]
        ended = np.datetime64(STARTED_AT.replace(tzinfo=None), "us") + (
            (start + np.arange(len(chosen))) * 4_000_000 + random.integers(0, 999_999, len(chosen))
        )
        yield _tables([trials[number] for number in chosen], ended, effect, random)


def _tables(
    trials: list[Any], ended: np.ndarray[Any, Any], effect: Any, random: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """Return the rows and the curves of these trials."""
    identities = [trial.identity() for trial in trials]
    epochs = trials[0].epochs
    count = len(trials)
    class_ids = np.array([identity["class_id"] for identity in identities])
    final = 0.92 + effect[class_ids] + random.normal(0, 0.002, count)
    rising = 1 - np.exp(-np.arange(1, epochs + 1) / (0.2 * epochs))
    noise = random.normal(0, 0.004, (count, epochs))
    test = np.round((final[:, None] * rising + noise).clip(0, 1), 4)
    train = np.round((test * 1.05).clip(0, 1), 5)
    loss = -np.log(train.clip(0.05)) + random.uniform(0, 0.01, (count, epochs))
    seconds = random.normal(9, 0.3, (count, epochs))
    ended_at = pa.array(ended, pa.timestamp("us", tz="UTC"))
    ids = pa.array([identity["trial_id"] for identity in identities])
    of = np.repeat(np.arange(count), epochs)
    rate = 0.025 * (1 + np.cos(np.pi * np.arange(epochs) / epochs)) / 2
    empty = pa.nulls(count * epochs, pa.float64())
    values = {
        "trial_id": ids.take(pa.array(of)),
        "epoch": np.tile(np.arange(epochs), count),
        "learning_rate": np.tile(rate, count),
        "train_loss": loss.ravel(),
        "train_accuracy": train.ravel(),
        "val_accuracy": empty,
        "test_accuracy": test.ravel(),
        "seconds": seconds.ravel(),
        "finished_at": ended_at.take(pa.array(of)),
    }
    curves = pa.table(values, schema=EPOCH_SCHEMA)
    diverged = random.uniform(size=count) < 0.001
    columns: dict[str, Any] = {
        name: [identity[name] for identity in identities] for name in identities[0]
    }
    columns |= {
        "sweep": ["pairs"] * count,
        "kind": ["genotypes"] * count,
        "fingerprint": [FINGERPRINT] * count,
        "status": np.where(diverged, "diverged", "ok"),
        "error": [None] * count,
        "attempt": np.ones(count, int),
        "epochs": np.full(count, epochs),
        "train_loss": loss[:, -1],
        "train_accuracy": train[:, -1],
        "val_accuracy": pa.nulls(count, pa.float64()),
        "test_accuracy": test[:, -1],
        "best_test_accuracy": test.max(axis=1),
        "parameters": np.full(count, 162_746),
        "multiply_adds": np.full(count, 26_000_000),
        "train_seconds": seconds.sum(axis=1),
        "device": ["NVIDIA H100 80GB HBM3"] * count,
        "node": [f"node-{number % WORKERS:02d}" for number in range(count)],
        "execution": ['{"device": "cuda", "threads": 1, "pack": 60}'] * count,
        "finished_at": ended_at,
    }
    return pa.table({n: columns[n] for n in TRIAL_SCHEMA.names}, schema=TRIAL_SCHEMA), curves
