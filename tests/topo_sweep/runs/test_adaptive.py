"""Rounds of an adaptive sweep: decided from the store alone, within a budget; trainings made up."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nas_core.cells.topology import Topology
from tests.topo_sweep.conftest import new_manifest, small_spec
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.runs import sweep
from topo_sweep.runs.adaptive import Budget, RaceResult, next_round, run_adaptive
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import Plan
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.sweep import RunResult, Say, Train
from topo_sweep.spec.adaptive import Adaptive
from topo_sweep.spec.networks import TopologySweep
from topo_sweep.spec.trials import Planned, Trial
from topo_sweep.store.manifest import read_manifest

SPEC = small_spec(
    topologies=(0, 1, 4, 7), seeds=(0,), adaptive=Adaptive(top=1, delta_points=0.5)
).racing()
LEADER = 7

Status = Callable[[Trial], str]


class Trainings:
    """Stands for `sweep.begun`: rows of made-up accuracies, of which one topology's are best."""

    def __init__(self) -> None:
        self.begun = 0
        self.rounds: list[int] = []
        self.stop_after: int | None = None
        """Runs after which Ctrl-C is pressed, once."""
        self.status: Status = lambda _: "ok"

    @contextlib.contextmanager
    def __call__(self, *_: object) -> Iterator[Train]:
        self.begun += 1
        yield self._trained

    def _trained(self, plan: Plan, say: Say) -> RunResult:
        say("data: made up")
        rows = [self._row(trial) for trial in plan.left.values()]
        interrupted = self.stop_after is not None and len(rows) > self.stop_after
        rows, self.stop_after = rows[: self.stop_after if interrupted else None], None
        self.rounds.append(len(rows))
        plan.store.create_folders()
        manifest = plan.manifest or new_manifest(plan.spec)
        manifest.with_request(plan.spec).write(plan.store.paths.manifest)
        plan.store.append(rows, [])
        progress = replace(Progress.of(plan, images=0), worker_seconds=10.0 * len(rows))
        errors = tuple("no luck" for row in rows if row["status"] == "failed")
        return RunResult(progress, errors, interrupted)

    def _row(self, trial: Planned) -> dict[str, object]:
        assert isinstance(trial, Trial)
        identity = trial.identity()
        rng = np.random.default_rng([trial.seed, int(str(identity["topology"]))])
        common = np.random.default_rng(trial.seed).normal()
        lead = 0.003 * (identity["topology"] == LEADER)
        accuracy = 0.8 + lead + 0.002 * (common + rng.normal())
        status = self.status(trial)
        return trial_row(**identity, status=status, test_accuracy=accuracy)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    made_up = Trainings()
    monkeypatch.setattr(sweep, "begun", made_up)
    return made_up


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of a race that nothing disturbed; only to be looked at."""
    results = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sweep, "begun", Trainings())
        raced(results)
    return results


def raced(results: Path, *, spec: TopologySweep = SPEC, **options: object) -> RaceResult:
    said: list[str] = []
    ended = run_adaptive(spec, results, Execution(executor="inline"), said.append, **options)  # type: ignore[arg-type]
    assert said.count("data: made up") <= 1
    assert len([line for line in said if line.startswith("round ")]) == len(said) - 1 or not said
    return ended


def stored(results: Path) -> pd.DataFrame:
    rows = next_round(SPEC, results).plan.store.trials()
    return rows.sort_values("trial_id", ignore_index=True)


def test_the_best_is_found_in_rounds_and_a_second_run_has_nothing_to_do(
    tmp_path: Path, trainings: Trainings
) -> None:
    ended = raced(tmp_path)
    race = ended.last.race

    assert race.ended == "told apart"
    assert ended.last.finding.sentence.split(": ")[1].startswith(
        f"class {Topology.from_index(LEADER).class_id} (topology {LEADER})."
    )
    assert trainings.rounds[0] == 12
    assert len(trainings.rounds) == race.round > 2
    assert trainings.begun == 1, "Ray is started once for all rounds"
    assert min(trainings.rounds) < 4, "some classes are out of doubt before others"
    assert sum(trainings.rounds) == race.spent == len(stored(tmp_path))
    assert ended.worker_seconds == 10.0 * race.spent
    again = raced(tmp_path)
    assert (again.run, again.last.race.given, trainings.begun) == (None, race.given, 1)


def test_a_race_that_is_stopped_in_every_round_goes_on_to_the_same_runs(
    tmp_path: Path, trainings: Trainings, whole: Path
) -> None:
    trainings.stop_after = 7
    stops = 0
    while (ended := raced(tmp_path)).run is not None and ended.run.interrupted:
        stops += 1
        trainings.stop_after = 1

    assert stops >= 3
    assert ended.last.race.given == next_round(SPEC, whole).race.given
    pd.testing.assert_frame_equal(stored(tmp_path), stored(whole))


def test_the_manifest_holds_one_request_that_says_all_that_was_decided(
    tmp_path: Path, trainings: Trainings
) -> None:
    ended = raced(tmp_path)
    manifest = read_manifest(ended.last.plan.store.paths.manifest)
    (asked,) = manifest.specs()

    assert set(asked.trials()) == set(stored(tmp_path)["trial_id"])
    assert asked.trial_count == sum(trainings.rounds)
    assert manifest.adaptive is not None
    assert manifest.adaptive.settings == SPEC.adaptive.settings  # type: ignore[union-attr]


def test_a_budget_of_runs_is_never_passed_and_a_larger_one_goes_on(
    tmp_path: Path, trainings: Trainings, whole: Path
) -> None:
    ended = raced(tmp_path, budget=Budget(runs=14))
    assert (ended.last.race.ended, len(stored(tmp_path))) == ("budget", 14)
    assert trainings.rounds == [12, 2]

    more = raced(tmp_path)
    assert more.last.race.given == next_round(SPEC, whole).race.given


def test_hours_are_those_of_the_rows_and_leave_room_for_so_many_more_runs(
    tmp_path: Path, trainings: Trainings
) -> None:
    """A training takes 10 s: after the first 15 there is room for two more."""
    ended = raced(tmp_path, budget=Budget(hours=145 / 3600))
    assert (ended.last.race.ended, trainings.rounds) == ("budget", [12, 2])
    assert raced(tmp_path, budget=Budget(hours=145 / 3600)).run is None
    first = raced(tmp_path / "short", budget=Budget(hours=1e-6))
    assert (first.last.race.ended, first.last.race.spent) == ("budget", 12)


def test_what_failed_is_skipped_until_it_is_asked_for(
    tmp_path: Path, trainings: Trainings, whole: Path
) -> None:
    trainings.status = lambda trial: (
        "failed" if (trial.seed, trial.name) == (1, "topology 0") else "ok"
    )
    ended = raced(tmp_path)
    assert ended.run is not None
    assert ended.run.errors == ("no luck",)
    assert ended.last.race.ended == "told apart"

    trainings.status = lambda _: "ok"
    retried = raced(tmp_path, retry_failed=True)
    assert set(stored(tmp_path)["status"]) == {"ok"}
    assert retried.last.race.given == next_round(SPEC, whole).race.given


def test_rows_of_the_same_sweep_with_equal_seeds_are_taken(
    tmp_path: Path, trainings: Trainings
) -> None:
    plain = small_spec(topologies=tuple(range(12)), seeds=(0, 1, 2))
    fixed = next_round(SPEC, tmp_path).plan
    manifest = new_manifest(plain).with_request(plain)
    fixed.store.create_folders()
    manifest.write(fixed.store.paths.manifest)
    fixed.store.append([trainings._row(trial) for trial in plain.trials().values()], [])

    coming = next_round(SPEC, tmp_path)
    assert (coming.race.round, coming.race.spent) == (2, 12)
    raced(tmp_path)
    requests = read_manifest(fixed.store.paths.manifest).requests
    assert [bool(request.spec.get("adaptive")) for request in requests] == [False, True]
