"""A sweep as a lookup benchmark: seconds to load it, and queries a second of each kind.

Run: python benchmarks/lookup.py [--wirings 180] [--seeds 10] [--epochs 100] [--queries 20000]
    [--repeats 5] [--json FILE]

The store is made up with a fixed seed, see benchmarks/store.py: each of the first wirings as a
normal cell, one reduction wiring, all seeds. Loading is that of a process in which pandas and
pyarrow were imported before. First queries are those that nobody asked before, a training each;
the others ask again, in random order. Queries by class are of wirings of which another member was
trained: for them the store has one wiring a class. All sides are measured in turn. Results are in
docs/performance.md and benchmarks/results/lookup.json.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from store import make_store

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology, enumerate_topologies
from nas_core.protocols.training import DataOptions, Protocol
from topo_sweep.analysis.lookup import Benchmark, Network, Which
from topo_sweep.bench.record import keep, record, typed
from topo_sweep.bench.turns import in_turn, spread, timed
from topo_sweep.spec.networks import GenotypeSweep

OTHER = CellEdges.uniform(Topology.from_index(0), "max_pool_3x3")


def swept(topologies: Sequence[Topology], *, seeds: int, epochs: int) -> GenotypeSweep:
    """Return the sweep of these wirings, each with one and the same reduction cell."""
    cells = (CellEdges.uniform(topology, "sep_conv_3x3") for topology in topologies)
    return GenotypeSweep(
        name="looked-up",
        protocol=Protocol(epochs=epochs),
        data=DataOptions(),
        genotypes=tuple(str(Genotype(cell, OTHER)) for cell in cells),
        seeds=tuple(range(seeds)),
    )


def queries_of(
    benchmark: Benchmark,
    networks: Sequence[Network],
    count: int,
    *,
    epoch: int | None = None,
    seed: Which = None,
) -> Callable[[], float]:
    """Return what asks so many times for random networks and returns the seconds."""
    asked = random.Random(0).choices(networks, k=count)  # noqa: S311 - no secret

    def ask() -> None:
        for network in asked:
            benchmark.query(network, epoch=epoch, seed=seed)

    return lambda: timed(ask)


def first_queries(folder: Path, epochs: int) -> Callable[[], float]:
    """Return what asks a new benchmark for every training once, and returns seconds a query."""

    def ask() -> float:
        benchmark = Benchmark.load(folder)
        genotypes = list(benchmark)
        benchmark.query(genotypes[0], epoch=0)  # reads the curves
        questions = [(genotype, epoch) for genotype in genotypes for epoch in range(1, epochs)]
        started = time.perf_counter()
        for genotype, epoch in questions:
            benchmark.query(genotype, epoch=epoch, seed=0)
        return (time.perf_counter() - started) / len(questions)

    return ask


def figures(
    folder: Path, by_class: Path, *, epochs: int, queries: int, repeats: int
) -> dict[str, dict[str, float]]:
    """Return the spread of seconds of loading and of a query of each kind, by name."""
    benchmark, classes = Benchmark.load(folder), Benchmark.load(by_class)
    genotypes = list(benchmark)
    topologies = [genotype.normal.topology for genotype in genotypes]
    texts = [str(genotype) for genotype in genotypes]
    asking = {
        "genotype, mean": queries_of(benchmark, genotypes, queries),
        "its text, mean": queries_of(benchmark, texts, queries),
        "topology, mean": queries_of(benchmark, topologies, queries),
        "topology, one seed": queries_of(benchmark, topologies, queries, seed=0),
        "topology, sample": queries_of(benchmark, topologies, queries, seed="sample"),
        "topology, sample, epoch": queries_of(
            benchmark, topologies, queries, seed="sample", epoch=epochs // 2
        ),
        "topology by class, mean": queries_of(classes, topologies, queries),
    }
    loading = {"load": lambda: timed(lambda: Benchmark.load(folder))}
    first = {"first query, one seed, epoch": first_queries(folder, epochs)}
    seconds = in_turn(loading | first | asking, repeats, lambda _: None)
    table = {name: spread(times) for name, times in seconds.items()}
    for name in asking:
        table[name] = {key: value / queries for key, value in table[name].items()}
    return table


def main() -> None:
    """Make the stores; print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wirings", type=int, default=180)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    wirings = enumerate_topologies()[: options.wirings]
    smallest = list({topology.class_id: topology for topology in reversed(wirings)}.values())
    with tempfile.TemporaryDirectory() as temporary:
        folders = []
        for name, topologies in (("all", wirings), ("classes", smallest)):
            spec = swept(topologies, seeds=options.seeds, epochs=options.epochs)
            folders.append(make_store(Path(temporary) / name, spec).paths.folder)
        table = figures(
            folders[0],
            folders[1],
            epochs=options.epochs,
            queries=options.queries,
            repeats=options.repeats,
        )
    print(f"n = {options.repeats} turns")
    for name, figure in table.items():
        seconds, least = figure["seconds"], figure["least_seconds"]
        a_second = "" if name == "load" else f", {1 / seconds:,.0f} a second"
        print(f"{name:30} {seconds:.3g} s (least {least:.3g}){a_second}")
    if options.json:
        keep(options.json, record(typed(), table, n=options.repeats))


if __name__ == "__main__":
    main()
