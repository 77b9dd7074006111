"""What a run would do, take and cost, in words: for `--dry-run`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from topo_sweep.analysis.text import counted, duration, duration_with_range
from topo_sweep.runs.plan import Plan, make_plan, store_of
from topo_sweep.runs.timing.forecast import Forecast
from topo_sweep.spec.int_sets import format_int_set
from topo_sweep.spec.load import SweepSpec
from topo_sweep.store.tables import SEARCHES, TRIALS, Table

_BYTES = {TRIALS.name: (900, 80), SEARCHES.name: (1500, 2500)}
"""Compressed Parquet of a row and of an epoch: 906 and 78 measured for trainings on the store that
`make demo` left, in 15 parts; a guess for searches, whose alphas of 28 edges do not compress."""

_MOST_PLANNED = 20_000
"""Of more trials one seed stands for all that are new: a plan of each takes seconds."""


@dataclass(frozen=True)
class Outline:
    """What a run would do: of very many trials without the plan of every single one.

    What runs for one seed that the store has never seen runs for each such seed, so one plan can
    stand for all of them.

    Args:
        spec: the request.
        parts: the plan of the whole, and 1; of very many trials, plans of some of its seeds, and
            for how many times as many seeds each stands.

    """

    spec: SweepSpec
    parts: tuple[tuple[Plan, int], ...]

    def total(self, count: Callable[[Plan], int]) -> int:
        """Return the sum of a count over all seeds."""
        return sum(times * count(plan) for plan, times in self.parts)

    @property
    def plan(self) -> Plan:
        """Any of the plans, for the store that they share."""
        return self.parts[0][0]


def outline(spec: SweepSpec, results: Path, *, retry_failed: bool = False) -> Outline:
    """Compare a request with its store, as `make_plan` does, however many trials it is of.

    Raises:
        InputError: the store was made by a newer version or is damaged.

    """
    if spec.trial_count <= _MOST_PLANNED:
        return Outline(spec, ((make_plan(spec, results, retry_failed=retry_failed), 1),))
    known_seeds = store_of(spec, results).seeds()
    known = tuple(seed for seed in spec.seeds if seed in known_seeds)
    new = tuple(seed for seed in spec.seeds if seed not in known_seeds)
    parts = []
    for seeds, times in ((known, 1), (new[:1], len(new))):
        if seeds:
            some = spec.model_copy(update={"seeds": seeds})
            parts.append((make_plan(some, results, retry_failed=retry_failed), times))
    return Outline(spec, tuple(parts))


def describe(
    outlined: Outline,
    *,
    images: int,
    forecast: Forecast | None = None,
    cost_per_hour: float | None = None,
) -> str:
    """Return lines on trials, data, disk, time and cost.

    Args:
        outlined: the request and what its store holds.
        images: training images of the data set, before hold-out and limit.
        forecast: of what is left; None where nothing is known of it.
        cost_per_hour: of a worker, in any currency.

    """
    spec = outlined.spec
    total = outlined.total
    available = images - spec.data.holdout
    trained_on = min(available, spec.data.train_limit or available)
    protocol = spec.protocol
    shape = f"{protocol.cells} cells, {protocol.init_channels} channels"
    lines = [
        f"sweep     {spec.name}: {spec.described()}, seeds {format_int_set(spec.seeds)}",
        (
            f"trials    {total(lambda plan: len(plan.trials))}: "
            f"{total(lambda plan: plan.count('ok') + plan.count('diverged'))} done, "
            f"{total(lambda plan: plan.count('failed'))} failed, "
            f"{total(lambda plan: len(plan.left))} to run"
        ),
        f"epochs    {_epochs(outlined)}",
        *_packs(forecast),
        f"images    {spec.data.dataset}: {trained_on:,} to train on of {images:,}"
        + (f", {spec.data.holdout:,} held out" if spec.data.holdout else ""),
        *([f"protocol  {protocol.protocol_hash}: {shape}"] if spec.trains_cells else []),
        f"disk      about {_size(total(_bytes))} of rows (estimate)",
        *_time(outlined, forecast),
        *([] if cost_per_hour is None else _cost(outlined, forecast, cost_per_hour)),
        f"results   {outlined.plan.store.paths.folder}",
    ]
    return "\n".join(lines)


def _epochs(outlined: Outline) -> str:
    to_train = outlined.total(lambda plan: _epochs_left(plan, TRIALS))
    to_search = outlined.total(lambda plan: _epochs_left(plan, SEARCHES))
    parts = []
    if outlined.spec.trains_cells:
        parts.append(f"{outlined.spec.protocol.epochs} a trial, {to_train} to train")
    if to_search:
        parts.append(f"{to_search} to search")
    return ", ".join(parts) or "0 to search"


def _epochs_left(plan: Plan, table: Table) -> int:
    return sum(trial.epochs for trial in plan.left.values() if trial.table == table.name)


def _bytes(plan: Plan) -> int:
    total = 0
    for trial in plan.left.values():
        of_row, of_epoch = _BYTES[trial.table]
        total += of_row + of_epoch * trial.epochs
    return total


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _packs(forecast: Forecast | None) -> list[str]:
    if forecast is None or not forecast.packs:
        return []
    largest = counted(forecast.largest_pack, "training")
    return [f"packs     {forecast.packs:,}, each up to {largest} as one network"]


def _time(outlined: Outline, forecast: Forecast | None) -> list[str]:
    """Say what is left takes, and how that is known; where it is not, say so rather than guess."""
    if not outlined.total(lambda plan: len(plan.left)):
        return ["time      nothing is left to run"]
    if forecast is None:
        unknown = "the store has no trial of each kind made like this, and nothing was timed"
        return [f"time      no estimate: {unknown} (--no-measure)"]
    work = duration_with_range(forecast.work, forecast.error)
    if forecast.workers is None:
        time = f"about {work} of work on one worker, divided by your workers"
    else:
        wall = duration_with_range(forecast.wall, forecast.error)
        where = counted(forecast.workers, "worker")
        time = f"about {wall} on {where}, {duration(forecast.work)} of work in all"
        if forecast.workers == 1:
            time = f"about {wall} on one worker"
    return [f"time      {time}", f"          by {forecast.basis}"]


def _cost(outlined: Outline, forecast: Forecast | None, cost_per_hour: float) -> list[str]:
    if not outlined.total(lambda plan: len(plan.left)):
        return []
    if forecast is None:
        return ["cost      no estimate"]
    return [f"cost      about {cost(forecast.work, cost_per_hour, forecast.error)}"]


def cost(seconds: float, cost_per_hour: float, error: float = 0.0) -> str:
    """Return what seconds of workers cost, and of what that is the product, in words."""
    each = seconds / 3600 * cost_per_hour
    low, middle, high = (f"{each * (1 + part):.2f}" for part in (-error, 0.0, error))
    ends = f" ({low} to {high})" if error else ""
    worked = f"{duration(seconds)} of work, all workers together"
    return f"{middle}{ends}: {worked}, at {cost_per_hour:,.2f} an hour of a worker"
