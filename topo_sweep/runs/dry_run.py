"""What a run would do and take, in words: for `--dry-run`."""

from __future__ import annotations

from collections.abc import Collection

from topo_sweep.runs.plan import Plan
from topo_sweep.runs.progress import duration
from topo_sweep.spec.int_sets import format_int_set
from topo_sweep.spec.networks import TopologySweep
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.spec.trials import SearchTrial

_BYTES_A_TRIAL = 900
_BYTES_AN_EPOCH = 80
"""Compressed Parquet; 906 and 78 measured on the store that `make demo` left, in 15 parts."""
_BYTES_A_SEARCH = 1500
_BYTES_A_SEARCH_EPOCH = 2500
"""A guess: alphas of 28 edges are noise, which does not compress."""


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
    lines = [
        f"sweep     {spec.name}: {_networks(plan)}, seeds {format_int_set(spec.seeds)}",
        (
            f"trials    {len(plan.trials)}: {plan.count('ok') + plan.count('diverged')} done, "
            f"{plan.count('failed')} failed, {left} to run"
        ),
        f"epochs    {_epochs(plan)}",
        f"images    {spec.data.dataset}: {trained_on:,} to train on of {images:,}"
        + (f", {spec.data.holdout:,} held out" if spec.data.holdout else ""),
        *_protocol(plan),
        f"disk      about {_size(_bytes(plan))} of rows (estimate)",
        f"time      {_time(plan)}",
        f"results   {plan.store.paths.folder}",
    ]
    return "\n".join(lines)


def _protocol(plan: Plan) -> list[str]:
    """Return the line on how cells are trained; none where a search's are not."""
    spec = plan.spec
    if isinstance(spec, SearchSweep) and not spec.evaluation_seeds:
        return []
    protocol = spec.protocol
    shape = f"{protocol.cells} cells, {protocol.init_channels} channels"
    return [f"protocol  {protocol.protocol_hash}: {shape}"]


def _networks(plan: Plan) -> str:
    spec = plan.spec
    if isinstance(spec, TopologySweep):
        return f"topologies {format_int_set(spec.topologies)}"
    if isinstance(spec, SearchSweep):
        searches = sum(isinstance(trial, SearchTrial) for trial in plan.trials.values())
        evaluated = f"evaluation seeds {format_int_set(spec.evaluation_seeds) or 'none'}"
        count = f"{searches} search{'' if searches == 1 else 'es'}"
        return f"{count} by {', '.join(spec.methods)}, {evaluated}"
    return f"{len(spec.genotypes)} genotypes"


def _epochs(plan: Plan) -> str:
    epochs = {True: 0, False: 0}
    for trial in plan.left.values():
        epochs[isinstance(trial, SearchTrial)] += trial.epochs
    to_search = [f"{epochs[True]} to search"] if epochs[True] else []
    is_trained = not isinstance(plan.spec, SearchSweep) or plan.spec.evaluation_seeds
    to_train = f"{plan.spec.protocol.epochs} a trial, {epochs[False]} to train"
    return ", ".join([*([to_train] if is_trained else []), *to_search]) or "0 to search"


def _bytes(plan: Plan) -> int:
    return sum(
        _BYTES_A_SEARCH + _BYTES_A_SEARCH_EPOCH * trial.epochs
        if isinstance(trial, SearchTrial)
        else _BYTES_A_TRIAL + _BYTES_AN_EPOCH * trial.epochs
        for trial in plan.left.values()
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _time(plan: Plan) -> str:
    """Estimate from measured seconds; where the store has none, say so rather than guess."""
    total = plan.seconds_left
    if total is None or not (plan.durations.training or plan.durations.searches):
        unmeasured = "trial of each kind" if isinstance(plan.spec, SearchSweep) else "trial"
        return f"no estimate: the store has no measured {unmeasured} yet"
    measured = [
        f"{duration(seconds)} a {what}"
        for what, seconds in (
            ("search", _mean(plan.durations.searches.values())),
            ("trial", plan.durations.training),
        )
        if seconds is not None
    ]
    return (
        f"about {duration(total)} of training on one worker (estimate: {' and '.join(measured)} "
        "measured in this store), divided by your workers"
    )


def _mean(values: Collection[float]) -> float | None:
    return sum(values) / len(values) if values else None
