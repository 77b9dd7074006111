"""What a run would do and take, in words: for `--dry-run`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from topo_sweep.analysis.text import duration
from topo_sweep.runs.plan import Plan, make_plan, store_of
from topo_sweep.spec.int_sets import format_int_set
from topo_sweep.spec.load import SweepSpec
from topo_sweep.store.tables import SEARCHES, TRIALS, Table

_BYTES = {TRIALS.name: (900, 80), SEARCHES.name: (1500, 2500)}
"""Compressed Parquet of a row and of an epoch: 906 and 78 measured for trainings on the store that
`make demo` left, in 15 parts; a guess for searches, whose alphas of 28 edges do not compress."""


@dataclass(frozen=True)
class Outline:
    """What a run would do, without the plan of every single trial.

    What runs for one seed that the store has never seen runs for each such seed, so one plan
    stands for all of them.

    Args:
        spec: the request.
        parts: plans of some of its seeds, and for how many times as many seeds each stands.

    """

    spec: SweepSpec
    parts: tuple[tuple[Plan, int], ...]

    def total(self, count: Callable[[Plan], int]) -> int:
        """Return the sum of a count over all seeds."""
        return sum(times * count(plan) for plan, times in self.parts)

    @property
    def plan(self) -> Plan:
        """Any of the plans, for what they share: the store, and its pace."""
        return self.parts[0][0]

    @property
    def seconds_left(self) -> float | None:
        """Estimate for what is left on one worker; None where nothing like it was measured."""
        seconds = [(plan.seconds_left, times) for plan, times in self.parts]
        if any(each is None for each, _ in seconds):
            return None
        return sum(each * times for each, times in seconds if each is not None)


def outline(spec: SweepSpec, results: Path, *, retry_failed: bool = False) -> Outline:
    """Compare a request with its store, as `make_plan` does, however many seeds are new to it.

    Raises:
        InputError: the store was made by a newer version or is damaged.

    """
    known_seeds = store_of(spec, results).seeds()
    known = tuple(seed for seed in spec.seeds if seed in known_seeds)
    new = tuple(seed for seed in spec.seeds if seed not in known_seeds)
    parts = []
    for seeds, times in ((known, 1), (new[:1], len(new))):
        if seeds:
            some = spec.model_copy(update={"seeds": seeds})
            parts.append((make_plan(some, results, retry_failed=retry_failed), times))
    return Outline(spec, tuple(parts))


def describe(outlined: Outline, *, images: int) -> str:
    """Return lines on trials, data, disk and time.

    Args:
        outlined: the request and what its store holds.
        images: training images of the data set, before hold-out and limit.

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
        f"images    {spec.data.dataset}: {trained_on:,} to train on of {images:,}"
        + (f", {spec.data.holdout:,} held out" if spec.data.holdout else ""),
        *([f"protocol  {protocol.protocol_hash}: {shape}"] if spec.trains_cells else []),
        f"disk      about {_size(total(_bytes))} of rows (estimate)",
        f"time      {_time(outlined)}",
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


def _time(outlined: Outline) -> str:
    """Estimate from measured seconds; where the store has none, say so rather than guess."""
    total = outlined.seconds_left
    measured = [
        f"{duration(seconds)} a {noun}"
        for noun, table in (("search", SEARCHES), ("trial", TRIALS))
        if (seconds := outlined.plan.pace.seconds_a_trial(table.name)) is not None
    ]
    if total is None or not measured:
        kinds = {trial.table for plan, _ in outlined.parts for trial in plan.trials.values()}
        unmeasured = "trial of each kind" if SEARCHES.name in kinds else "trial"
        return f"no estimate: the store has no measured {unmeasured} yet"
    return (
        f"about {duration(total)} of training on one worker (estimate: {' and '.join(measured)} "
        "measured in this store), divided by your workers"
    )
