"""What a run would do and take, in words: for `--dry-run`."""

from __future__ import annotations

from topo_sweep.analysis.text import duration
from topo_sweep.runs.plan import Plan
from topo_sweep.spec.int_sets import format_int_set
from topo_sweep.store.tables import SEARCHES, TABLES, TRIALS

_BYTES = {TRIALS.name: (900, 80), SEARCHES.name: (1500, 2500)}
"""Compressed Parquet of a row and of an epoch: 906 and 78 measured for trainings on the store that
`make demo` left, in 15 parts; a guess for searches, whose alphas of 28 edges do not compress."""


def describe(plan: Plan, *, images: int) -> str:
    """Return lines on trials, data, disk and time.

    Args:
        plan: the request and what its store holds.
        images: training images of the data set, before hold-out and limit.

    """
    spec = plan.spec
    left = len(plan.left)
    available = images - spec.data.holdout
    trained_on = min(available, spec.data.train_limit or available)
    protocol = spec.protocol
    shape = f"{protocol.cells} cells, {protocol.init_channels} channels"
    lines = [
        f"sweep     {spec.name}: {spec.described()}, seeds {format_int_set(spec.seeds)}",
        (
            f"trials    {len(plan.trials)}: {plan.count('ok') + plan.count('diverged')} done, "
            f"{plan.count('failed')} failed, {left} to run"
        ),
        f"epochs    {_epochs(plan)}",
        f"images    {spec.data.dataset}: {trained_on:,} to train on of {images:,}"
        + (f", {spec.data.holdout:,} held out" if spec.data.holdout else ""),
        *([f"protocol  {protocol.protocol_hash}: {shape}"] if spec.trains_cells else []),
        f"disk      about {_size(_bytes(plan))} of rows (estimate)",
        f"time      {_time(plan)}",
        f"results   {plan.store.paths.folder}",
    ]
    return "\n".join(lines)


def _epochs(plan: Plan) -> str:
    epochs = dict.fromkeys(TABLES, 0)
    for trial in plan.left.values():
        epochs[trial.table] += trial.epochs
    to_train, to_search = epochs[TRIALS.name], epochs[SEARCHES.name]
    parts = []
    if plan.spec.trains_cells:
        parts.append(f"{plan.spec.protocol.epochs} a trial, {to_train} to train")
    if to_search:
        parts.append(f"{to_search} to search")
    return ", ".join(parts) or "0 to search"


def _bytes(plan: Plan) -> int:
    total = 0
    for trial in plan.left.values():
        of_row, of_epoch = _BYTES[trial.table]
        total += of_row + of_epoch * trial.epochs
    return total


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _time(plan: Plan) -> str:
    """Estimate from measured seconds; where the store has none, say so rather than guess."""
    total = plan.seconds_left
    measured = [
        f"{duration(seconds)} a {noun}"
        for noun, table in (("search", SEARCHES), ("trial", TRIALS))
        if (seconds := plan.pace.seconds_a_trial(table.name)) is not None
    ]
    if total is None or not measured:
        kinds = {trial.table for trial in plan.trials.values()}
        unmeasured = "trial of each kind" if SEARCHES.name in kinds else "trial"
        return f"no estimate: the store has no measured {unmeasured} yet"
    return (
        f"about {duration(total)} of training on one worker (estimate: {' and '.join(measured)} "
        "measured in this store), divided by your workers"
    )
