"""A store of 32.4 million curve rows: seconds and memory of each command and call that reads it.

Run: python benchmarks/store.py [--wirings 180] [--seeds 10] [--epochs 100] [--repeats 5]
    [--folder DIR] [--json FILE]

The store is made up with a fixed seed: every pair of a normal and a reduction wiring, all seeds, in
the order in which packs of 60 on 64 workers would end. It is written in the real schemas, in parts
and with compactions as a sweep writes it; with --folder it stays, and is read there the next time.
Each figure is of a process of its own from its start to its end, in turn with the others; files are
in the system's cache. Peak memory is what the system says of that process alone. Results are in
docs/performance.md and benchmarks/results/store.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import enumerate_topologies
from nas_core.protocols.training import DataOptions, Protocol
from topo_sweep.bench.record import keep, record, typed
from topo_sweep.bench.turns import spread
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.spec.trials import Trial
from topo_sweep.store.curves import groups_of
from topo_sweep.store.manifest import Manifest
from topo_sweep.store.opened import load_results
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.parts import write_part
from topo_sweep.store.paths import StorePaths
from topo_sweep.store.tables import EPOCH_SCHEMA, TRIAL_SCHEMA

Numbers = NDArray[Any]

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
        write_part(store.paths.epochs, curves)
        write_part(store.paths.trials, rows)
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
    trials: Sequence[Trial], ended: Numbers, effect: Numbers, random: np.random.Generator
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


CLASS: Final = 7
"""The largest class: eight topologies."""


def commands(folder: Path) -> dict[str, list[str]]:
    """Return what is measured, by name: the arguments of Python."""
    sweep, picture = str(folder), str(folder / "figures.png")
    opened = f"from pathlib import Path\nfolder = Path({sweep!r})\n"
    package = f"from topo_sweep import load_curves, load_results, mean_curve\nfolder = {sweep!r}\n"
    plan = (
        "from topo_sweep.runs.reports.dry_run import describe, outline\n"
        "from topo_sweep.runs.plan import make_plan\n"
        "from topo_sweep.store.opened import open_sweep\n"
        f"{opened}spec = open_sweep(folder).manifest.specs()[-1]\n"
    )

    mean = (
        f"curves = load_curves(folder, class_id={CLASS}, columns=['test_accuracy'])\n"
        "mean_curve(curves)"
    )
    calls = {
        "python": "pass",
        "import pandas, pyarrow": "import pandas, pyarrow.parquet",
        "open_sweep": f"from topo_sweep.store.opened import open_sweep\n{opened}open_sweep(folder)",
        "load_results": f"{package}load_results(folder)",
        "one topology's curves": f"{package}load_curves(folder, topology=1)",
        "a class's curves": f"{package}load_curves(folder, class_id={CLASS})",
        "a class's mean curve": package + mean,
        "make_plan": f"{plan}make_plan(spec, folder.parent)",
        "dry run": f"{plan}describe(outline(spec, folder.parent), images=50_000)",
    }
    programs = {
        "--help": [],
        "enumerate": [],
        "rank": [sweep],
        "plot surface": [sweep, "--reduction-topology", "3", "-o", picture],
        "status": [sweep],
        "list": [sweep],
    }
    return {name: ["-c", code] for name, code in calls.items()} | {
        f"topo-sweep {name}": ["-m", "topo_sweep", *name.split(), *arguments]
        for name, arguments in programs.items()
    }


_LAUNCHER: Final = """
import os, sys, time
started = time.perf_counter()
nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
process = os.posix_spawn(sys.executable, sys.argv[1:], os.environ, file_actions=nowhere)
_, status, usage = os.wait4(process, 0)
seconds = time.perf_counter() - started
print(status, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""
"""What starts a process counts into its peak memory, so a small process starts it."""


def measured(arguments: Sequence[str]) -> tuple[float, float, float]:
    """Return wall-clock and processor seconds and peak memory in GB of Python with arguments."""
    command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, sys.executable, *arguments]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603
    status, seconds, processor, kilobytes = map(float, said.split())
    assert status == 0, arguments  # noqa: S101 - what fails is no fast one
    return seconds, processor, kilobytes * 1024 / 1e9


def figures(folder: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Return medians over processes, with the least and the most seconds, by name."""
    runs = defaultdict(list)
    for _ in range(repeats):
        for name, arguments in commands(folder).items():
            runs[name].append(measured(arguments))
    table = {}
    for name, several in runs.items():
        wall, processor, memory = zip(*several, strict=True)
        table[name] = {
            **spread(wall),
            "processor_seconds": statistics.median(processor),
            "peak_gb": max(memory),
        }
    return table


def layout(store: ResultStore) -> dict[str, int]:
    """Return what the store is made of, and how much of it a topology and a class need."""
    parts = [pq.read_metadata(part) for part in sorted(store.paths.epochs.glob("*.parquet"))]
    rows = load_results(store.paths.folder)

    def needed(column: str, number: int) -> int:
        times = sorted(rows.loc[rows[column] == number, "finished_at"].dt.to_pydatetime())
        return sum(len(groups_of(part, times)) for part in parts)

    return {
        "curve_rows": sum(part.num_rows for part in parts),
        "trial_rows": len(rows),
        "curve_parts": len(parts),
        "curve_bytes": sum(part.stat().st_size for part in store.paths.epochs.iterdir()),
        "trial_bytes": sum(part.stat().st_size for part in store.paths.trials.iterdir()),
        "sweep_json_bytes": store.paths.manifest.stat().st_size,
        "row_groups": sum(part.num_row_groups for part in parts),
        "row_groups_of_a_topology": needed("topology", 1),
        "row_groups_of_a_class": needed("class_id", CLASS),
    }


def main() -> None:
    """Make the store where there is none yet; print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wirings", type=int, default=180)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        results = options.folder or Path(temporary)
        made = sorted(results.glob("pairs-*/sweep.json"))
        if made:
            store = ResultStore(StorePaths(made[0].parent))
        else:
            spec = pairs(options.wirings, seeds=options.seeds, epochs=options.epochs)
            store = make_store(results, spec)
        table, made_of = figures(store.paths.folder, options.repeats), layout(store)
    print(", ".join(f"{name} {number:,}" for name, number in made_of.items()))
    print(f"n = {options.repeats} processes each, load {os.getloadavg()[0]:.1f} at the end")
    for name, figure in table.items():
        print(
            f"{name:26} {figure['seconds']:6.2f} s ({figure['least_seconds']:.2f} to "
            f"{figure['greatest_seconds']:.2f}), processor {figure['processor_seconds']:5.2f} s, "
            f"{figure['peak_gb']:.2f} GB"
        )
    if options.json:
        result = {"store": made_of, "commands": table}
        keep(options.json, record(typed(), result, n=options.repeats))


if __name__ == "__main__":
    main()
