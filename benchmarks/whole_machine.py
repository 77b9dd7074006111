"""Images a second of a whole machine: a pack in one process a core, beside plain networks.

The authors' network trains once with all cores as threads of one process, and once with one thread
in a process a core; packs train as the workers of a sweep do, one thread in a process a core. Each
side has processes of its own; all three take turns, in steps as `packs.py` has them, and processes
of a side step at the same time. Images count once for each model. Claims and numbers are in
docs/performance.md.

Run: python benchmarks/whole_machine.py [--size digits|cifar10] [--pack 30] [--repeats 7]
    [--precision float32|bfloat16] [--cores 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
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
from topo_sweep.runs.device import become_worker
from topo_sweep.runs.timing.step_time import TrainingSteps

THREADS: Final = "plain, all cores as threads"
PROCESSES: Final = "plain, a process a core"
PACKS: Final = "packs, a process a core"


def taking(steps: TrainingSteps, count: int = 1) -> Side:
    """Return what takes so many steps."""
    return lambda: sum(next(steps)[0] for _ in range(count))


def work(parent: Connection, begin: Barrier, size: str, models: int, precision: str | None) -> None:
    """Take steps whenever the parent asks, once all processes of a side begin.

    Without a precision they are those of plain networks.
    """
    if precision is None:
        torch.set_num_threads(1)
        side = taking(steps_of(size, None), models)
    else:
        become_worker(threads=1)
        side = taking(steps_of(size, models, precision))
    side()  # memory is claimed first
    parent.send(None)
    while parent.recv():
        begin.wait()
        parent.send(side())


def measured(size: str, models: int, repeats: int, precision: str, cores: int) -> dict[str, Any]:
    """Return images a second of each side in every repeat, and the medians of their ratios."""
    context = multiprocessing.get_context("spawn")
    workers: dict[str, list[Connection]] = {PROCESSES: [], PACKS: []}
    for name, own_precision in ((PROCESSES, None), (PACKS, precision)):
        begin = context.Barrier(cores)
        for _ in range(cores):
            own, child = context.Pipe()
            arguments = (child, begin, size, models, own_precision)
            context.Process(target=work, args=arguments, daemon=True).start()
            workers[name].append(own)
        for worker in workers[name]:
            worker.recv()
    torch.set_num_threads(cores)
    plain = steps_of(size, None)
    threaded = taking(plain, models)
    threaded()
    images = models * plain.loop.protocol.batch_size
    rates: dict[str, list[float]] = {THREADS: [], PROCESSES: [], PACKS: []}
    for _ in range(repeats):
        rates[THREADS].append(images / threaded())
        for name, own_workers in workers.items():
            for worker in own_workers:
                worker.send(True)
            rates[name].append(sum(images / worker.recv() for worker in own_workers))
    for worker in itertools.chain.from_iterable(workers.values()):
        worker.send(False)
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
