"""What Ray and the driver cost over thousands of trials that train nothing.

Run: python benchmarks/ray_overhead.py [--trials 2000] [--json FILE]

The trials go through the real driver, queue, worker, recorder, progress and Parquet store, on as
many workers as this machine has cores; only the runner differs: it reports the epochs of the demo
at once. The same trials are also recorded without Ray. Workers start before the clock does.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from topo_sweep.bench.ray_cost import check_all_are_there, plan_of, with_ray, without_ray
from topo_sweep.bench.record import keep, record, typed
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.on_ray import cluster
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.plan import Plan
from topo_sweep.runs.progress import Progress, reported
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Report, Together
from topo_sweep.spec.trials import Runnable

MANY = 1000
"""Trials at the begin and at the end whose cost is compared, or a third of fewer than three times
as many."""

Execute = Callable[[Agenda, Recorder], None]


class Timeline(Recorder):
    """Notes when trials begin and end, and of the driver the processor's seconds until then."""

    def __init__(self, plan: Plan, agenda: Agenda) -> None:
        self.running = Progress.of(plan, images=1)
        super().__init__(plan, agenda, self.running, fingerprint="none")
        self.starts: list[tuple[float, int]] = []
        """When a trial began, and how many ran then."""
        self.ends: list[tuple[float, float]] = []
        """When a trial or pack ended, and the seconds of the driver's processor until then."""

    def start(self, trial: Runnable | Pack) -> None:
        """Note that a worker has the trial."""
        super().start(trial)
        self.starts.append((time.perf_counter(), len(self.running.running)))

    def take(self, trial: Runnable | Pack, report: Report | Together) -> bool:
        """Take a report; note where it is the last."""
        has_ended = super().take(trial, report)
        if has_ended:
            self.ends.append((time.perf_counter(), time.process_time()))
        return has_ended


def measured(execute: Execute, trials: int) -> dict[str, float]:
    """Return what so many trials cost: seconds, memory, files."""
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        plan = plan_of(trials, Path(folder))
        agenda = Agenda(plan.left, plan.cells_found)
        timeline = Timeline(plan, agenda)
        memory = megabytes()
        with reported(timeline.running, plan.store.paths.progress, nowhere):
            execute(agenda, timeline)
        timeline.close()
        ended = time.perf_counter()
        growth = megabytes() - memory
        check_all_are_there(plan.store, trials)
        files = sum(1 for _ in plan.store.paths.folder.rglob("*.parquet"))
    many = min(MANY, trials // 3)
    (first, first_cpu), (middle, middle_cpu) = timeline.ends[0], timeline.ends[many]
    (late, late_cpu), (last, last_cpu) = timeline.ends[-many - 1], timeline.ends[-1]
    return {
        "minutes": (ended - timeline.starts[0][0]) / 60,
        "seconds_a_trial": (last - first) / (trials - 1),
        "driver_cpu_seconds_a_trial": (last_cpu - first_cpu) / (trials - 1),
        "last_to_first": (last - late) / (middle - first),
        "last_to_first_in_driver_cpu": (last_cpu - late_cpu) / (middle_cpu - first_cpu),
        "seconds_from_last_row_to_end": ended - last,
        "megabytes_grown": growth,
        "files": files,
    }


def megabytes() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def kept(path: Path | None, figures: dict[str, Any], n: int) -> None:
    """Print figures, and keep them where a file is given."""
    for name, figure in figures.items():
        print(f"{name:<36}{figure:.4g}")
    if path is not None:
        keep(path, record(typed(), figures, n=n))


def main() -> None:
    """Measure with Ray and without."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    alone = measured(without_ray, options.trials)["seconds_a_trial"]
    with cluster.connected(cluster=False, address=None, verbose=False) as where:
        figures = measured(with_ray, options.trials)
        shutting_down = time.perf_counter()
    figures |= {
        "seconds_to_shut_ray_down": time.perf_counter() - shutting_down,
        "seconds_a_trial_without_ray": alone,
    }
    print(f"{where}, n = {options.trials} trials of 5 epochs, nothing trained")
    kept(options.json, figures, options.trials)


if __name__ == "__main__":
    main()
