"""What a step gains by a compiled form of the network, and what it takes to compile.

Steps are those of real trainings on random images, as `topo-sweep run` takes them, as written and
compiled, in turn in one process. The first step of the compiled form makes the graph, by a cache of
PyTorch's that is empty at first; one process compiles, so that the processor's time is counted,
which a busy machine does not change. Claims and numbers are in docs/performance.md.

Run: python benchmarks/compile_step.py [--size digits|cifar10] [--pack N] [--repeats 9]
    [--threads 1] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from packs import PRESETS, steps_of

from topo_sweep.bench.record import keep, record, typed
from topo_sweep.bench.turns import in_turn, ratio, spread
from topo_sweep.runs.device import as_worker


def measured(size: str, pack: int | None, repeats: int, threads: int) -> dict[str, Any]:
    """Return seconds of a step of both forms, their ratio, and the seconds of the first step."""
    with as_worker(threads):
        written, graph = steps_of(size, pack), steps_of(size, pack, compiled=True)
        before = os.times()
        started = time.perf_counter()
        next(graph)
        first = time.perf_counter() - started
        after = os.times()
        sides = {
            "written": lambda: next(written)[0],
            "compiled": lambda: next(graph)[0],
        }
        seconds = in_turn(sides, repeats, print)
    return {
        "size": size,
        "pack": pack,
        "batch": written.loop.protocol.batch_size,
        "threads": threads,
        "first_step_seconds": first,
        "first_step_processor_seconds": sum(after[:4]) - sum(before[:4]),
        "written": spread(seconds["written"]),
        "compiled": spread(seconds["compiled"]),
        "ratio": ratio(seconds["written"], seconds["compiled"]),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=PRESETS, default="digits")
    parser.add_argument("--pack", type=int, help="trainings as one network; else one, as it is")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the result")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        # Else processes of a pool compile, whose time is not ours.
        os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
        result = measured(arguments.size, arguments.pack, arguments.repeats, arguments.threads)
    print(
        f"{result['size']}, {'one network' if result['pack'] is None else 'a pack'}: "
        f"{result['ratio']:.2f} times as fast, after {result['first_step_seconds']:.0f} s "
        f"({result['first_step_processor_seconds']:.0f} s of processor time)"
    )
    if arguments.json:
        keep(arguments.json, record(typed(), result, n=arguments.repeats))


if __name__ == "__main__":
    main()
