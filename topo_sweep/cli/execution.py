"""What commands share that run trials: options, the run itself, and how its end is told."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_core.errors import InputError
from topo_sweep.cli.common import Command, say
from topo_sweep.store.paths import RESULTS

if TYPE_CHECKING:
    from topo_sweep.runs.plan import Plan
    from topo_sweep.runs.sweep import RunResult
    from topo_sweep.spec.networks import GenotypeSweep, TopologySweep
    from topo_sweep.spec.searches import SearchSweep

MANY_TRIALS = 10_000
_INTERRUPTED = 130


def _execution(executor: str) -> list[Any]:
    return [
        click.option("--cluster", is_flag=True, help="Join a running Ray cluster."),
        click.option(
            "--address",
            metavar="HOST:PORT",
            help="Where it is.  [default: $RAY_ADDRESS, else here]",
        ),
        click.option(
            "--executor",
            type=click.Choice(["ray", "inline"]),
            default=executor,
            show_default=True,
            help="Ray workers, or this process alone.",
        ),
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path),
            help="Folder of the data set.  [default: $TOPO_SWEEP_DATA, else data]",
        ),
        click.option("--download", is_flag=True, help="Fetch the data set if it is not there."),
        click.option(
            "--cpus-per-pack",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Threads of a trial.",
        ),
        click.option(
            "--gpus-per-pack",
            type=click.FloatRange(min=0),
            help="May be a fraction.  [default: 1 where there are GPUs, else 0]",
        ),
        click.option(
            "--results",
            type=click.Path(path_type=Path),
            default=RESULTS,
            show_default=True,
            help="Folder in which the sweep's own folder is made.",
        ),
        click.option("--dry-run", is_flag=True, help="Say what would run, and stop."),
        click.option("--retry-failed", is_flag=True, help="Run failed trials again."),
        click.option("--yes", is_flag=True, help=f"Allow more than {MANY_TRIALS:,} trials."),
        click.option("-v", "--verbose", is_flag=True, help="Let Ray talk."),
    ]


def execution_options(executor: str = "ray") -> Callable[[Command], Command]:
    """Return what adds the options of how trials run; `executor` is the default one."""
    return options(_execution(executor))


def options(added: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Return what adds these options to a command, the first one first in its help."""

    def decorate(command: Command) -> Command:
        for option in reversed(added):
            command = option(command)
        return command

    return decorate


def execute(spec: TopologySweep | GenotypeSweep | SearchSweep, given: dict[str, Any]) -> int:
    """Run what is left of a sweep, say how it went, and return the exit code."""
    from topo_sweep.runs.plan import make_plan

    if spec.trial_count > MANY_TRIALS and not given["yes"]:
        raise InputError(f"this asks for {spec.trial_count:,} trials: add --yes if that is meant")
    plan = make_plan(spec, given["results"], retry_failed=given["retry_failed"])
    if given["dry_run"]:
        click.echo(_described(plan, given))
        return 0
    if plan.blocked:
        say(f"evaluations that wait for a failed search (--retry-failed): {len(plan.blocked)}")
    if not plan.left:
        count = len(plan.trials)
        which = f"all {count} trials are" if count != 1 else "the one trial is"
        say(f"nothing to do: {which} in {plan.store.paths.folder}")
        return _failures_said(plan.count("failed"), ())
    return _report(plan, _run(plan, given))


def settings(given: dict[str, Any]) -> dict[str, str]:
    """Return the texts of `--set KEY=VALUE` by key.

    Raises:
        InputError: one without a value.

    """
    pairs = [setting.partition("=") for setting in given["settings"]]
    if bad := [key for key, equals, _ in pairs if not equals]:
        raise InputError(f"--set {bad[0]} has no value: write --set {bad[0]}=VALUE")
    return {key: value for key, _, value in pairs}


def setting_values(given: dict[str, Any]) -> dict[str, Any]:
    """Return the values of `--set KEY=VALUE` by key, read as a file's are."""
    from topo_sweep.spec.strict_yaml import parse_scalar

    texts = settings(given)
    return {key: parse_scalar(text, f"--set {key}={text}") for key, text in texts.items()}


def _run(plan: Plan, options: dict[str, Any]) -> RunResult:
    from topo_sweep.runs import sweep
    from topo_sweep.runs.execution import Execution

    execution = Execution(
        executor=options["executor"],
        cluster=options["cluster"] or options["address"] is not None,
        address=options["address"],
        data_dir=options["data_dir"],
        download=options["download"],
        cpus=options["cpus_per_pack"],
        gpus=options["gpus_per_pack"],
        verbose=options["verbose"],
    )
    return sweep.run(plan, execution, say)


def _report(plan: Plan, result: RunResult) -> int:
    """Say how the run ended; return the exit code."""
    progress, folder = result.progress, plan.store.paths.folder
    kept = f"{progress.done} of {progress.planned} trials are kept in {folder}"
    if result.interrupted:
        again = shlex.join(["topo-sweep", *sys.argv[1:]])
        say(f"stopped: {kept}, unfinished ones go on from their last checkpoint; go on with")
        say(f"  {again}")
        return _INTERRUPTED
    say(f"done: {kept}")
    return _failures_said(progress.failed, result.errors)


def _failures_said(failed: int, errors: Sequence[str]) -> int:
    """Say what failed; return the exit code."""
    for error in errors[:5]:
        say(f"failed: {error}")
    if failed:
        say(f"{failed} failed in all: run again with --retry-failed (errors are in the rows)")
    return 1 if failed else 0


def _described(plan: Plan, options: dict[str, Any]) -> str:
    """Return what a run would do, in a few lines."""
    from nas_core.data.splits import training_images
    from topo_sweep.runs.dry_run import describe

    images = training_images(plan.spec.data.dataset, options["data_dir"])
    return describe(plan, images=images)
