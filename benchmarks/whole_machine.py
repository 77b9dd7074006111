"""Images a second of a whole machine: a pack in one process a core, beside plain networks.

The authors' network trains once with all cores as threads of one process, and once with one thread
in a process a core; packs train as the workers of a sweep do, one thread in a process a core. All
three take turns; processes of a side step at the same time. Images count once for each model.
Claims and numbers are in docs/performance.md.

Run: python benchmarks/whole_machine.py [--size digits|cifar10] [--pack 30] [--repeats 7]
    [--precision float32|bfloat16] [--cores 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch
from packs import SIZES, packed_step, plain_step

from topo_sweep.bench.record import keep, record, typed
from topo_sweep.bench.turns import ratio, timed

THREADS: Final = "plain, all cores as threads"
PROCESSES: Final = "plain, a process a core"
PACKS: Final = "packs, a process a core"


def stepping(size: str, models: int, precision: str) -> dict[str, Callable[[], None]]:
    """Return a step of a pack, and as many steps of a plain network as the pack has models."""
    shape = SIZES[size]
    images = torch.randn(shape["batch"], 3, shape["side"], shape["side"])
    labels = torch.randint(10, (shape["batch"],))
    plain = plain_step(images, labels, shape["init_channels"])

    def plain_steps() -> None:
        for _ in range(models):
            plain()

    packed = packed_step(images, labels, shape["init_channels"], models, precision)
    return {PROCESSES: plain_steps, PACKS: packed}


def work(parent: Connection, begin: Barrier, size: str, models: int, precision: str) -> None:
    """Take the steps that the parent names, when all processes have begun."""
    torch.set_num_threads(1)
    steps = stepping(size, models, precision)
    for step in steps.values():
        step()  # memory is claimed first
    parent.send(None)
    while name := parent.recv():
        begin.wait()
        parent.send(timed(steps[name]))


def measured(size: str, models: int, repeats: int, precision: str, cores: int) -> dict[str, Any]:
    """Return images a second of each side in every repeat, and the medians of their ratios."""
    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(cores)
    pipes = [context.Pipe() for _ in range(cores)]
    processes = [
        context.Process(target=work, args=(child, begin, size, models, precision), daemon=True)
        for _, child in pipes
    ]
    for process in processes:
        process.start()
    workers = [own for own, _ in pipes]
    for worker in workers:
        worker.recv()
    torch.set_num_threads(cores)
    threaded = stepping(size, models, "float32")[PROCESSES]
    threaded()
    images = models * SIZES[size]["batch"]
    rates: dict[str, list[float]] = {THREADS: [], PROCESSES: [], PACKS: []}
    for _ in range(repeats):
        rates[THREADS].append(images / timed(threaded))
        for name in (PROCESSES, PACKS):
            for worker in workers:
                worker.send(name)
            rates[name].append(sum(images / worker.recv() for worker in workers))
    for worker, process in zip(workers, processes, strict=True):
        worker.send(None)
        process.join()
    return {
        "size": size,
        "pack": models,
        "precision": precision,
        "cores": cores,
        "rows": [
            {"name": name, "images_per_second": median(own), "of_every_repeat": own}
            for name, own in rates.items()
        ],
        "ratios": {name: ratio(rates[PACKS], rates[name]) for name in (THREADS, PROCESSES)},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="digits")
    parser.add_argument("--pack", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the result")
    arguments = parser.parse_args()
    result = measured(
        arguments.size, arguments.pack, arguments.repeats, arguments.precision, arguments.cores
    )
    print(f"{result['size']}, packs of {result['pack']} in {result['precision']}, "
          f"{result['cores']} cores, torch {torch.__version__}, "
          f"n = {arguments.repeats}, in turn")  # fmt: skip
    for row in result["rows"]:
        print(f"{row['name']:28s} {row['images_per_second']:8,.0f} images/s")
    for name, times in result["ratios"].items():
        print(f"packs are {times:.2f} times as fast as {name}")
    if arguments.json:
        keep(arguments.json, record(typed(), result, n=arguments.repeats))


if __name__ == "__main__":
    main()
