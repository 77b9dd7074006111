"""What Ray adds to a trial: trials of the demo that train nothing, with Ray and without.

They go through the real driver, recorder and store; only the trainable differs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas_core.data.splits import load_dataset, split
from nas_core.errors import TopoSweepError
from nas_core.protocols.training import DataOptions
from topo_sweep.analysis.text import plain_table
from topo_sweep.bench.turns import Tell, in_turn, ratio, seconds_text, spread
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.packs import Pack
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Report, Together
from topo_sweep.spec.load import Overrides, load_spec
from topo_sweep.spec.trials import Runnable
from topo_sweep.store.paths import StorePaths

_SIDES = ("with Ray", "without Ray")


class _Timed(Recorder):
    """Notes when it hears the first report."""

    first_report_at: float | None = None

    def take(self, trial: Runnable | Pack, report: Report | Together) -> bool:
        """Take a report."""
        self.first_report_at = self.first_report_at or time.perf_counter()
        return super().take(trial, report)


def ray_figures(*, trials: int, repeats: int, tell: Tell) -> dict[str, Any]:
    """Measure in turn, on a Ray of this machine; return `sides`, a list of records a trial.

    The seconds of a trial are from the first report to the last row on disk; until that first
    report, workers start, which `start_seconds` tell.
    """
    from topo_sweep.runs.on_ray import cluster
    from topo_sweep.runs.on_ray.driver import run_on_ray
    from topo_sweep.runs.on_ray.no_training import NoTraining, reports_of

    images = split(load_dataset("digits"), DataOptions(dataset="digits"))

    def with_ray(agenda: Agenda, recorder: Recorder) -> None:
        run_on_ray(
            agenda,
            recorder,
            Interrupts(),
            execution=Execution(gpus=0),
            images=images,
            paths=StorePaths(Path()),
            trainable=NoTraining,
        )

    def without_ray(agenda: Agenda, recorder: Recorder) -> None:
        while (trial := agenda.next()) is not None:
            recorder.start(trial)
            for report in reports_of(trial):
                recorder.take(trial, report)

    starts: dict[str, list[float]] = {name: [] for name in _SIDES}

    def side(name: str, execute: Callable[[Agenda, Recorder], None]) -> Callable[[], float]:
        def run() -> float:
            start, seconds = _timed(execute, trials)
            starts[name].append(start)
            return seconds / trials

        return run

    with cluster.connected(cluster=False, address=None, verbose=False):
        sides = {
            name: side(name, execute)
            for name, execute in zip(_SIDES, (with_ray, without_ray), strict=True)
        }
        seconds = in_turn(sides, repeats, tell)
    return {
        "trials": trials,
        "sides": [
            {
                "side": name,
                **spread(taken),
                "of_without_ray": 1 / ratio(seconds[_SIDES[1]], taken),
                "start_seconds": spread(starts[name][1:])["seconds"],
            }
            for name, taken in seconds.items()
        ],
    }


def ray_text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    header = ["a trial", "s", "least", "greatest", "of without", "s to the first report"]
    return plain_table(
        header,
        [
            [
                side["side"],
                *(seconds_text(side[f"{part}seconds"]) for part in ("", "least_", "greatest_")),
                f"{side['of_without_ray']:.2f}",
                f"{side['start_seconds']:.1f}",
            ]
            for side in figures["sides"]
        ],
    )


def _timed(execute: Callable[[Agenda, Recorder], None], trials: int) -> tuple[float, float]:
    """Return seconds until the first report, and from there until all rows are on disk."""
    spec = load_spec("demo", Overrides(topologies="0", seeds=f"0-{trials - 1}"))
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(spec, Path(folder))
        plan.store.create_folders()
        agenda = Agenda(plan.left, plan.cells_found)
        recorder = _Timed(plan, agenda, Progress.of(plan, images=1), fingerprint="none")
        started = time.perf_counter()
        execute(agenda, recorder)
        recorder.close()
        ended = time.perf_counter()
        first = recorder.first_report_at
        if first is None or len(plan.store.trials()) != trials:
            raise TopoSweepError("trials were lost, so nothing was measured: run it again")
    return first - started, ended - first
