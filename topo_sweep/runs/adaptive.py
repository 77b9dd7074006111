"""An adaptive sweep: rounds of runs, each decided from what the store holds.

Who gets the next seed is decided in `analysis/adaptive/rule.py`. A round is a plan like any
other, so it is packed, runs on a cluster and survives what every run survives; nothing but rows is
remembered between rounds.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from topo_sweep.analysis.adaptive.report import race_finding, race_line
from topo_sweep.analysis.adaptive.rule import Race, race_of
from topo_sweep.analysis.findings import Finding
from topo_sweep.runs import sweep
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import Plan, make_plan, store_of
from topo_sweep.spec.networks import TopologySweep

SECONDS_AN_HOUR: Final = 3600


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a race may take in all, earlier runs of it included; None is no limit.

    Args:
        runs: trainings with a result.
        hours: that workers train, all of them together. The first seeds are run whatever they
            take; later rounds are cut to what the mean training so far leaves room for.

    """

    runs: int | None = None
    hours: float | None = None


NO_LIMIT: Final = Budget()


@dataclass(frozen=True)
class Round:
    """What a store says of a race, the request for all that was decided, and the plan of it."""

    race: Race
    spec: TopologySweep
    plan: Plan

    @property
    def line(self) -> str:
        """Which round it is and who still races, in one line."""
        return race_line(self.race)

    @property
    def finding(self) -> Finding:
        """What the race came to so far."""
        return race_finding(self.race, self.spec)


def next_round(
    spec: TopologySweep,
    results: Path,
    *,
    budget: Budget = NO_LIMIT,
    retry_failed: bool = False,
) -> Round:
    """Return how far an adaptive sweep is, from its store alone, and what would run next.

    Args:
        spec: the request, with its `adaptive` settings; see `TopologySweep.racing`.
        results: the folder of sweeps.
        budget: what the race may take in all.
        retry_failed: ask for failed runs again.

    Raises:
        InputError: the store was made by a newer version or is damaged.

    """
    rows = store_of(spec, results).trials()

    def decided(runs: int | None) -> Round:
        now = race_of(spec, rows, budget=runs, retry_failed=retry_failed)
        given = _with_given(spec, now)
        return Round(now, given, make_plan(given, results, retry_failed=retry_failed))

    coming = decided(budget.runs)
    if budget.hours is not None and coming.race.standing is not None:
        seconds = rows.loc[rows["trial_id"].isin(coming.plan.trials), "train_seconds"]
        room = (budget.hours * SECONDS_AN_HOUR - seconds.sum()) / max(seconds.mean(), 1e-9)
        runs = coming.race.spent + max(int(room), 0)
        coming = decided(runs if budget.runs is None else min(runs, budget.runs))
    return coming


@dataclass(frozen=True)
class RaceResult:
    """What a run of an adaptive sweep left behind.

    Args:
        last: the race at its end, or where it was interrupted.
        run: the last round that ran, with the errors of all of them; None where nothing was left
            to run.
        worker_seconds: that workers took, all of them and all rounds together.

    """

    last: Round
    run: sweep.RunResult | None
    worker_seconds: float


def run_adaptive(
    spec: TopologySweep,
    results: Path,
    execution: Execution,
    say: sweep.Say,
    *,
    budget: Budget = NO_LIMIT,
    retry_failed: bool = False,
) -> RaceResult:
    """Run round after round until the best are told from the rest, or the budget is spent.

    Images are loaded, and Ray is started or joined, once for all rounds.

    Args:
        spec: as in `next_round`.
        results: the folder of sweeps.
        execution: workers, resources and the folder of the data.
        say: is told of each round, and once of what `sweep.run` says.
        budget: what the race may take in all.
        retry_failed: first run again what failed in earlier runs.

    Raises:
        InputError, StoreError: as `sweep.run`.

    """
    said: set[str] = set()

    def say_once(line: str) -> None:
        if line not in said:
            say(line)
        said.add(line)

    run: sweep.RunResult | None = None
    errors: tuple[str, ...] = ()
    seconds = 0.0
    with contextlib.ExitStack() as left:
        train: sweep.Train | None = None
        while True:
            current = next_round(spec, results, budget=budget, retry_failed=retry_failed)
            if not current.race.wanted or (run is not None and run.interrupted):
                return RaceResult(current, run and replace(run, errors=errors), seconds)
            say(current.line)
            train = train or left.enter_context(sweep.begun(current.plan, execution))
            run = train(current.plan, say_once)
            errors, seconds = (*errors, *run.errors), seconds + run.progress.worker_seconds
            retry_failed = False


def _with_given(spec: TopologySweep, now: Race) -> TopologySweep:
    """Return the request for the first seeds, and for all that was decided after them."""
    more: dict[int, list[int]] = {}
    for topology, seeds in zip(spec.topologies, now.given, strict=True):
        for seed in set(seeds).difference(spec.seeds):
            more.setdefault(seed, []).append(topology)
    return spec.with_more(tuple((seed, tuple(more[seed])) for seed in sorted(more)))
