"""How many of the declared CPUs work: trials that sleep, on a Ray cluster of this machine.

Run: python benchmarks/busy_workers.py [--cpus 8] [--seconds 5] [--pack N] [--minutes 3]
    [--join] [--json FILE]

A worker starts as in a sweep: it is a process that imports torch, so where more CPUs are declared
than there are cores they wait for each other. `busy_from_then_on` counts from when all work,
`busy_after_a_minute` from a minute after the begin, whether all work by then or not. With `--join`
half of the CPUs are there from the begin; the others are a node that joins after a minute.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ray.cluster_utils import Cluster
from ray_overhead import Timeline, kept

from topo_sweep.bench.ray_cost import plan_of, with_ray
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.on_ray import cluster
from topo_sweep.runs.on_ray.no_training import NoTraining
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.plan import Plan
from topo_sweep.spec.trials import Trial

MINUTE = 60.0


class Joined(Timeline):
    """Lets a node join when a minute has gone."""

    def __init__(self, plan: Plan, agenda: Agenda, join: Callable[[], object] | None) -> None:
        super().__init__(plan, agenda)
        self._join = join
        self._began = time.perf_counter()
        self.joined_at: float | None = None

    def tick(self) -> None:
        """Write rows that are due; see to the node."""
        super().tick()
        if self._join and self.joined_at is None and time.perf_counter() - self._began > MINUTE:
            self.joined_at = time.perf_counter()
            self._join()


def run_sleeping(
    folder: Path, trials: int, pack: int | None, seconds: float, join: Callable[[], object] | None
) -> Joined:
    """Run trials that sleep, or packs of them; return when each began and ended."""
    plan = plan_of(trials * (pack or 1), folder)
    members = [trial for trial in plan.left.values() if isinstance(trial, Trial)]
    firsts = range(0, len(members), pack or 1)
    packs = [Pack(tuple(members[first : first + pack])) for first in firsts] if pack else None
    agenda = Agenda(plan.left, plan.cells_found, packs)
    timeline = Joined(plan, agenda, join)
    sleeping = type("Sleeping", (NoTraining,), {"seconds": seconds})
    with_ray(agenda, timeline, sleeping, joined=True)
    timeline.close()
    return timeline


def busy(timeline: Timeline, seconds: float, begin: float, end: float) -> float:
    """Return how many workers slept on average between two instants."""
    slept = (max(min(ended, end) - max(ended - seconds, begin), 0.0) for ended, _ in timeline.ends)
    return sum(slept) / (end - begin)


def measured(
    timeline: Joined,
    *,
    began: float,
    workers: int,
    here: int,
    members: int,
    seconds: float,
) -> dict[str, float]:
    """Return how long workers took to start, and how many were busy from when on.

    Args:
        timeline: when trials or packs began and ended.
        began: when the run did.
        workers: that can work at once, in the end.
        here: those of them that could from the begin.
        members: trainings of a worker.
        seconds: that each trial or pack slept.

    Returns:
        A figure is missing where there was nothing to measure: all never worked at once, the run
        ended within a minute, or no node joined and worked.

    """
    last = timeline.starts[-1][0]
    figures = {"seconds_until_first_works": timeline.starts[0][0] - began}
    full = next((at for at, running in timeline.starts if running == workers * members), None)
    if full is not None and full < last:
        figures["seconds_until_all_work"] = full - began
        figures["busy_from_then_on"] = busy(timeline, seconds, full, last)
    if began + MINUTE < last:
        figures["busy_after_a_minute"] = busy(timeline, seconds, began + MINUTE, last)
    if timeline.joined_at is not None:
        more = (at for at, running in timeline.starts if running > here * members)
        if (works := next(more, None)) is not None:
            figures["seconds_until_the_node_works"] = works - timeline.joined_at
    return figures


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cpus", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--pack", type=int)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--join", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    here = options.cpus // 2 if options.join else options.cpus
    trials = int(options.cpus * options.minutes * MINUTE / options.seconds)
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": here})
    join = partial(nodes.add_node, num_cpus=options.cpus - here) if options.join else None
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            cluster.connected(cluster=True, address=nodes.address, verbose=False) as where,
        ):
            began = time.perf_counter()
            timeline = run_sleeping(
                Path(folder), trials, options.pack, seconds=options.seconds, join=join
            )
    finally:
        nodes.shutdown()
    figures = measured(
        timeline,
        began=began,
        workers=options.cpus,
        here=here,
        members=options.pack or 1,
        seconds=options.seconds,
    )
    print(f"{where}, n = {trials} trials or packs of {options.seconds:g} s")
    kept(options.json, figures, trials)


if __name__ == "__main__":
    main()
