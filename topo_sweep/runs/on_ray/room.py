"""How many workers a node holds, and what to know where that is none, or more than fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from topo_sweep.runs.execution import Execution, times_in_one

_WORKER_BYTES: Final = 2**30
"""About what a process takes that has imported PyTorch and Ray and trains small networks."""


def places(execution: Execution, node: Mapping[str, Any]) -> int:
    """Return how many workers of a settled execution one of Ray's nodes can hold."""
    total = node["Resources"]
    return min(_times(each, total.get(name, 0)) for name, each in _wanted(execution).items())


def remarks(execution: Execution, nodes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each node that is alive and lends CPUs but no room for a worker.

    And for each whose memory may not hold all workers that Ray would start there.
    """
    for node in nodes:
        total, count = node["Resources"], places(execution, node)
        memory = total.get("memory", 0.0)
        where = f"node {node['NodeManagerAddress']}"
        if not (node["Alive"] and total.get("CPU")):
            continue
        if not count:
            takes = _words(_wanted(execution))
            yield f"{where} gets no worker: it lends {_words(total)}, and one takes {takes}"
        elif memory < count * _WORKER_BYTES:
            yield (
                f"{where} lends {memory / 2**30:.1f} GiB of memory to {count} workers, of which "
                "each takes about 1 GiB before it trains: start it with fewer CPUs (--num-cpus)"
            )


def _wanted(execution: Execution) -> dict[str, float]:
    wanted = {"CPU": float(execution.cpus), "GPU": execution.gpus_of_each}
    return {name: each for name, each in wanted.items() if each}


def _times(each: float, total: float) -> int:
    """Return how often a node has this of one resource; a part of a GPU is of a single one."""
    return int(total / each) if each >= 1 else int(total) * times_in_one(each)


def _words(resources: Mapping[str, float]) -> str:
    return " and ".join(f"{resources.get(name, 0):g} {name}" for name in ("CPU", "GPU"))
