"""What commands share that run trials: the run itself, and how its end is told."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from nas_core.errors import InputError
from topo_sweep.cli.common import INTERRUPTED, say
from topo_sweep.cli.options import MANY_TRIALS, RunOptions

if TYPE_CHECKING:
    from topo_sweep.runs.execution import Execution
    from topo_sweep.runs.plan import Plan
    from topo_sweep.runs.sweep import RunResult
    from topo_sweep.spec.load import SweepSpec


def execute(spec: SweepSpec, options: RunOptions) -> int:
    """Run what is left of a sweep, say how it went, and return the exit code."""
    from topo_sweep.runs import sweep
    from topo_sweep.runs.plan import make_plan

    if spec.trial_count > MANY_TRIALS and not options.yes:
        raise InputError(f"this asks for {spec.trial_count:,} trials: add --yes if that is meant")
    plan = make_plan(spec, options.results, retry_failed=options.retry_failed)
    if options.dry_run:
        click.echo(_described(plan, options))
        return 0
    if plan.blocked:
        say(f"evaluations that wait for a failed search (--retry-failed): {len(plan.blocked)}")
    if not plan.left:
        count = len(plan.trials)
        which = f"all {count} trials are" if count != 1 else "the one trial is"
        say(f"nothing to do: {which} in {plan.store.paths.folder}")
        return _failures_said(plan.count("failed"), ())
    return _report(plan, sweep.run(plan, _execution(options), say))


def _execution(options: RunOptions) -> Execution:
    from topo_sweep.runs.execution import Execution

    return Execution(
        executor=options.executor,
        cluster=options.cluster or options.address is not None,
        address=options.address,
        data_dir=options.data_dir,
        download=options.download,
        cpus=options.cpus_per_pack,
        gpus=options.gpus_per_pack,
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


def _report(plan: Plan, result: RunResult) -> int:
    """Say how the run ended; return the exit code."""
    progress, folder = result.progress, plan.store.paths.folder
    kept = f"{progress.done} of {progress.planned} trials are kept in {folder}"
    if result.interrupted:
        again = shlex.join(["topo-sweep", *sys.argv[1:]])
        say(f"stopped: {kept}, unfinished ones go on from their last checkpoint; go on with")
        say(f"  {again}")
        return INTERRUPTED
    say(f"done: {kept}")
    return _failures_said(progress.failed, result.errors)


def _failures_said(failed: int, errors: Sequence[str]) -> int:
    """Say what failed; return the exit code."""
    say(*(f"failed: {error}" for error in errors[:5]))
    if failed:
        say(f"{failed} failed in all: run again with --retry-failed (errors are in the rows)")
    return 1 if failed else 0


def _described(plan: Plan, options: RunOptions) -> str:
    """Return what a run would do, in a few lines."""
    from nas_core.data.splits import training_images
    from topo_sweep.runs.dry_run import describe

    return describe(plan, images=training_images(plan.spec.data.dataset, options.data_dir))
