"""Images a second of a whole machine: a pack in one process a core, beside plain networks.

The authors' network trains once with all cores as threads of one process, and once with one thread
in a process a core; packs train as the workers of a sweep do, one thread in a process a core. All
three take turns, in steps as `packs.py` has them; processes of a side step at the same time. Images
count once for each model. Claims and numbers are in docs/performance.md.

Run: python benchmarks/whole_machine.py [--size digits|cifar10] [--pack 30] [--repeats 7]
    [--precision float32|bfloat16] [--cores 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch
from packs import PRESETS, steps_of

from topo_sweep.bench.record import keep, record, typed
from topo_sweep.bench.turns import Side, ratio
from topo_sweep.runs.timing.step_time import TrainingSteps

THREADS: Final = "plain, all cores as threads"
PROCESSES: Final = "plain, a process a core"
PACKS: Final = "packs, a process a core"


def taking(steps: TrainingSteps, count: int = 1) -> Side:
    """Return what takes so many steps."""
    return lambda: sum(next(steps)[0] for _ in range(count))


def work(parent: Connection, begin: Barrier, size: str, models: int, precision: str) -> None:
    """Take the steps that the parent names, when all processes have begun."""
    torch.set_num_threads(1)
    sides = {
        PROCESSES: taking(steps_of(size, None), models),
        PACKS: taking(steps_of(size, models, precision)),
    }
    for side in sides.values():
        side()  # memory is claimed first
    parent.send(None)
    while name := parent.recv():
        begin.wait()
        parent.send(sides[name]())


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
    plain = steps_of(size, None)
    threaded = taking(plain, models)
    threaded()
    images = models * plain.loop.protocol.batch_size
    rates: dict[str, list[float]] = {THREADS: [], PROCESSES: [], PACKS: []}
    for _ in range(repeats):
        rates[THREADS].append(images / threaded())
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
    parser.add_argument("--size", choices=PRESETS, default="digits")
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
