"""What commands share that run trials: the run itself, and how its end is told."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from nas_core.errors import InputError
from topo_sweep.cli.shared.adaptive import parse_budget
from topo_sweep.cli.shared.common import INTERRUPTED, say
from topo_sweep.cli.shared.options import MANY_TRIALS, CellTraining, RunOptions
from topo_sweep.store.paths import RESULTS

if TYPE_CHECKING:
    from topo_sweep.runs.execution import Execution
    from topo_sweep.runs.plan import Plan
    from topo_sweep.runs.sweep import RunResult
    from topo_sweep.spec.load import SweepSpec
    from topo_sweep.spec.networks import TopologySweep


def execute(
    spec: SweepSpec,
    options: RunOptions,
    cells: CellTraining | None = None,
    *,
    budget: str | None = None,
) -> int:
    """Run what is left of a sweep, say how it went, and return the exit code.

    `cells` are the options of a command that trains some, `budget` is that of an adaptive sweep.
    """
    from topo_sweep.runs import images, sweep
    from topo_sweep.runs.plan import make_plan
    from topo_sweep.spec.networks import TopologySweep

    if spec.trial_count > MANY_TRIALS and not options.yes:
        raise InputError(f"this asks for {spec.trial_count:,} trials: add --yes if that is meant")
    if not options.measure and not options.dry_run:
        raise InputError("--no-measure is about what a dry run times: add --dry-run to it")
    if isinstance(spec, TopologySweep) and spec.adaptive:
        return _race(spec, options, cells, budget)
    if budget is not None:
        raise InputError(f"--budget {budget}: this is no adaptive sweep: add --adaptive top=20")
    if options.dry_run:
        click.echo(_described(spec, options, cells))
        return 0
    plan = make_plan(spec, options.results or RESULTS, retry_failed=options.retry_failed)
    if plan.left and plan.blocked:
        say(f"evaluations that wait for a failed search (--retry-failed): {len(plan.blocked)}")
    execution = _execution(options, cells)
    if not plan.left and plan.manifest is not None:
        images.check_same_images(plan, execution, say)
        say(f"nothing to do: {_what_is_there(plan)}")
        return _failures_said(plan, plan.count("failed"), ())
    result = sweep.run(plan, execution, say)
    _say_cost(result.progress.worker_seconds, options)
    return _report(plan, result, options)


def _race(
    spec: TopologySweep, options: RunOptions, cells: CellTraining | None, budget: str | None
) -> int:
    """Run an adaptive sweep to its end, print what it came to, and return the exit code."""
    from topo_sweep.runs import images
    from topo_sweep.runs.adaptive import next_round, run_adaptive

    limit = parse_budget(budget, first_runs=spec.trial_count, yes=options.yes)
    results, retry_failed = options.results or RESULTS, options.retry_failed
    execution = _execution(options, cells)
    if options.dry_run:
        coming = next_round(spec, results, budget=limit, retry_failed=retry_failed)
        click.echo(_described(coming.plan.spec, options, cells))
        click.echo(f"race      {coming.line}; what follows depends on their results")
        return 0
    ended = run_adaptive(spec, results, execution, say, budget=limit, retry_failed=retry_failed)
    plan = ended.last.plan
    if ended.run is None:
        images.check_same_images(plan, execution, say)
        say(f"nothing to do: {_what_is_there(plan)}")
        code = _failures_said(plan, plan.count("failed"), ())
    else:
        _say_cost(ended.worker_seconds, options)
        code = _report(plan, ended.run, options)
        if ended.run.interrupted:
            return code
    click.echo(ended.last.finding.to_text())
    return code


def _say_cost(worker_seconds: float, options: RunOptions) -> None:
    if options.cost_per_hour is not None:
        from topo_sweep.runs.reports.dry_run import cost

        say(f"cost of this run: {cost(worker_seconds, options.cost_per_hour)}")


def _what_is_there(plan: Plan) -> str:
    """Return in words that each trial of a plan has ended, and how."""
    count, folder = len(plan.trials), plan.store.paths.folder
    done = plan.count("ok") + plan.count("diverged")
    if done == count:
        return f"{'the one trial is' if count == 1 else f'all {count} trials are'} in {folder}"
    waiting = f", {len(plan.blocked)} wait for a failed search" if plan.blocked else ""
    return f"{done} of {count} trials are in {folder}, {plan.count('failed')} failed{waiting}"


def _execution(options: RunOptions, cells: CellTraining | None) -> Execution:
    from topo_sweep.runs.execution import Execution

    return Execution(
        executor=options.executor,
        cluster=options.cluster or options.address is not None,
        address=options.address,
        insecure=options.insecure,
        ship_data=options.ship_data,
        data_dir=options.data_dir,
        download=options.download,
        partial_data=options.partial_data,
        cpus=options.cpus_per_pack,
        gpus=options.gpus_per_pack,
        pack_size=None if cells is None else cells.pack,
        test_every=1 if cells is None else cells.test_every,
        compile="off" if cells is None else cells.compile,
        checkpoint_seconds=options.checkpoint_seconds,
        retries=options.retries,
        fail_fast=options.fail_fast,
        verbose=options.verbose,
    )


def set_texts(settings: Sequence[str]) -> dict[str, str]:
    """Return the texts of `--set KEY=VALUE` by key.

    Raises:
        InputError: one without a value.

    """
    pairs = [setting.partition("=") for setting in settings]
    if bad := [key for key, equals, _ in pairs if not equals]:
        raise InputError(f"--set {bad[0]} has no value: write --set {bad[0]}=VALUE")
    return {key: value for key, _, value in pairs}


def set_values(settings: Sequence[str]) -> dict[str, Any]:
    """Return the values of `--set KEY=VALUE` by key, read as a file's are."""
    from topo_sweep.spec.strict_yaml import parse_scalar

    texts = set_texts(settings)
    return {key: parse_scalar(text, f"--set {key}={text}") for key, text in texts.items()}


def _report(plan: Plan, result: RunResult, options: RunOptions) -> int:
    """Say how the run ended; return the exit code."""
    progress, folder = result.progress, plan.store.paths.folder
    kept = f"{progress.done} of {progress.planned} trials are kept in {folder}"
    if result.interrupted:
        again = shlex.join(["topo-sweep", *sys.argv[1:]])
        say(f"stopped: {kept}")
        for trial in result.unfinished:
            say(f"unfinished: {trial}")
        if options.fail_fast and result.errors:
            return _failures_said(plan, progress.failed, result.errors)
        say("go on with")
        say(f"  {again}")
        return INTERRUPTED
    say(f"done: {kept}")
    return _failures_said(plan, progress.failed, result.errors)


def _failures_said(plan: Plan, failed: int, errors: Sequence[str]) -> int:
    """Say what failed; return the exit code."""
    say(*(f"failed: {error}" for error in errors[:5]))
    if failed:
        again = f"see topo-sweep status --failed {plan.store.paths.folder}"
        say(f"{failed} failed in all: {again}, and run again with --retry-failed")
    return 1 if failed else 0


def _described(spec: SweepSpec, options: RunOptions, cells: CellTraining | None) -> str:
    """Return what a run would do, in a few lines, after the checks that a run makes."""
    from nas_core.data.splits import blank_dataset
    from topo_sweep.runs.images import checked_images
    from topo_sweep.runs.reports.dry_run import describe, outline
    from topo_sweep.runs.timing.forecast import forecast

    outlined = outline(spec, options.results or RESULTS, retry_failed=options.retry_failed)
    dataset = blank_dataset(spec.data.dataset, options.data_dir)
    for plan, _ in outlined.parts:
        left = list(plan.left.values())
        images = checked_images(spec.data, left, dataset, partial_data=options.partial_data)
    expected = forecast(outlined.parts, images, _execution(options, cells), measure=options.measure)
    return describe(
        outlined,
        images=len(dataset.train),
        forecast=expected,
        cost_per_hour=options.cost_per_hour,
    )
