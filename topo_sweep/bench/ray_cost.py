"""What Ray adds to a trial: trials of the demo that train nothing, with Ray and without.

They go through the real driver, recorder and store; only the trainable differs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_core.data.splits import load_dataset, split
from nas_core.errors import TopoSweepError
from nas_core.protocols.training import DataOptions
from topo_sweep.bench.turns import Tell, in_turn, ratio, sides_table, spread
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.interrupts import Interrupts
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.plan import Plan, make_plan
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Report, Together
from topo_sweep.runs.sweep import new_manifest
from topo_sweep.spec.load import Overrides, load_spec
from topo_sweep.spec.trials import Runnable
from topo_sweep.store.parquet import ResultStore
from topo_sweep.store.paths import StorePaths

if TYPE_CHECKING:
    from topo_sweep.runs.on_ray.worker import TrialTrainable


class _Timed(Recorder):
    """Notes when it hears the first report."""

    first_report_at: float | None = None

    def take(self, trial: Runnable | Pack, report: Report | Together) -> bool:
        """Take a report."""
        self.first_report_at = self.first_report_at or time.perf_counter()
        return super().take(trial, report)


def plan_of(trials: int, folder: Path) -> Plan:
    """Return the plan of so many trainings of the demo, none of which has ended.

    Its store has a `sweep.json`.
    """
    spec = load_spec("demo", Overrides(topologies="0", seeds=f"0-{trials - 1}"))
    plan = make_plan(spec, folder)
    plan.store.create_folders()
    manifest = new_manifest(plan, load_dataset(spec.data.dataset)).with_request(spec)
    manifest.write(plan.store.paths.manifest)
    return replace(plan, manifest=manifest)


def with_ray(
    agenda: Agenda,
    recorder: Recorder,
    trainable: type[TrialTrainable] | None = None,
    *,
    joined: bool = False,
) -> None:
    """Run the agenda through the real driver, on one CPU a worker; None trains nothing.

    Nodes are asked whether they may train where the Ray is a cluster that was `joined`.
    """
    from topo_sweep.runs.on_ray.driver import run_on_ray
    from topo_sweep.runs.on_ray.no_training import NoTraining

    run_on_ray(
        agenda,
        recorder,
        Interrupts(),
        execution=Execution(gpus=0, cluster=joined),
        images=split(load_dataset("digits"), DataOptions(dataset="digits")),
        paths=StorePaths(Path()),
        trainable=trainable or NoTraining,
    )


def without_ray(agenda: Agenda, recorder: Recorder) -> None:
    """Record the same reports in a loop."""
    from topo_sweep.runs.on_ray.no_training import reports_of

    while (trial := agenda.next()) is not None:
        recorder.start(trial)
        for report in reports_of(trial):
            recorder.take(trial, report)
            recorder.tick()


def check_all_are_there(store: ResultStore, trials: int) -> None:
    """Refuse to measure what lost trials.

    Raises:
        TopoSweepError: the store has other than so many rows.

    """
    if len(store.trials()) != trials:
        raise TopoSweepError("trials were lost, so nothing was measured: run it again")


def ray_figures(*, trials: int, repeats: int, tell: Tell) -> dict[str, Any]:
    """Measure in turn, on a Ray of this machine; return `sides`, a list of records a trial.

    The seconds of a trial are from the first report to the last row on disk; until that first
    report, workers start, which `start_seconds` tell.
    """
    from topo_sweep.runs.on_ray import cluster

    ways: dict[str, Callable[[Agenda, Recorder], None]] = {
        "with Ray": with_ray,
        "without Ray": without_ray,
    }
    starts: dict[str, list[float]] = {name: [] for name in ways}

    def run(name: str) -> float:
        start, seconds = _timed(ways[name], trials)
        starts[name].append(start)
        return seconds / trials

    with cluster.connected(cluster=False, address=None, verbose=False):
        seconds = in_turn({name: partial(run, name) for name in ways}, repeats, tell)
    return {
        "trials": trials,
        "sides": [
            {
                "side": name,
                **spread(taken),
                "of_without_ray": 1 / ratio(seconds["without Ray"], taken),
                "start_seconds": spread(starts[name][1:])["seconds"],
            }
            for name, taken in seconds.items()
        ],
    }


def ray_text(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    more = {"of without": "{of_without_ray:.2f}", "s to the first report": "{start_seconds:.1f}"}
    return sides_table("a trial", figures["sides"], more)


def _timed(execute: Callable[[Agenda, Recorder], None], trials: int) -> tuple[float, float]:
    """Return seconds until the first report, and from there until all rows are on disk."""
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_of(trials, Path(folder))
        agenda = Agenda(plan.left, plan.cells_found)
        recorder = _Timed(plan, agenda, Progress.of(plan, images=1), fingerprint="none")
        started = time.perf_counter()
        execute(agenda, recorder)
        recorder.close()
        ended = time.perf_counter()
        check_all_are_there(plan.store, trials)
    first = recorder.first_report_at
    assert first is not None  # noqa: S101 - every trial has reported
    return first - started, ended - first
