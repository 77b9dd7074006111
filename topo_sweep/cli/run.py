"""`topo-sweep run`: train what is left of a sweep."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from nas_core.errors import InputError
from topo_sweep.cli.common import say
from topo_sweep.paths import RESULTS

if TYPE_CHECKING:
    from topo_sweep.plan import Plan
    from topo_sweep.sweep import RunResult

MANY_TRIALS = 10_000
_INTERRUPTED = 130

_REQUEST = [
    click.option("--dataset", metavar="NAME", help="digits, cifar10 or cifar100."),
    click.option("--holdout", type=click.IntRange(min=0), help="Training images for validation."),
    click.option("--train-limit", type=click.IntRange(min=1), help="Train on this many images."),
    click.option("--topologies", metavar="SET", help="Such as 0-3,17."),
    click.option("--seeds", metavar="SET", help="Such as 0-4."),
    click.option("--epochs", type=click.IntRange(min=1), help="Passes over the images."),
    click.option(
        "--set", "settings", metavar="KEY=VALUE", multiple=True, help="Any key of the protocol."
    ),
]
_EXECUTION = [
    click.option("--cluster", is_flag=True, help="Join a running Ray cluster."),
    click.option(
        "--address", metavar="HOST:PORT", help="Where it is.  [default: $RAY_ADDRESS, else here]"
    ),
    click.option(
        "--executor",
        type=click.Choice(["ray", "inline"]),
        default="ray",
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


def _options(command: Any) -> Any:  # noqa: ANN401 - click decorates whatever it is given
    for option in reversed(_REQUEST + _EXECUTION):
        command = option(command)
    return command


@click.command()
@click.argument("spec", default="topologies", metavar="[SPEC]")
@_options
def run(
    spec: str,
    *,
    results: Path,
    dry_run: bool,
    retry_failed: bool,
    yes: bool,
    **options: Any,  # noqa: ANN401 - click's options, taken apart below
) -> None:
    """Train what is left of a sweep; what is done is never done again.

    SPEC is a YAML file or the name of a shipped sweep: topologies (the paper's 180, the
    default), classes, unified, known_cells or demo.

    \b
    Examples:
      topo-sweep run demo
      topo-sweep run --dataset cifar10 --data-dir DIR --seeds 0-2
      topo-sweep run unified --topologies 3,17,42 --cluster --address HOST:6379
    """  # noqa: D301 - \b is click's mark for lines it must not wrap
    from topo_sweep.plan import make_plan

    plan = make_plan(_requested(spec, options, yes=yes), results, retry_failed=retry_failed)
    if dry_run:
        click.echo(_described(plan, options))
        return
    if not plan.left:
        say(f"nothing to do: all {len(plan.trials)} trials are in {plan.store.paths.folder}")
        sys.exit(_failures_said(plan.count("failed"), ()))
    sys.exit(_report(plan, _run(plan, options)))


def _requested(spec: str, options: dict[str, Any], *, yes: bool) -> Any:  # noqa: ANN401
    from topo_sweep.spec import Overrides, load_spec

    pairs = [setting.partition("=") for setting in options["settings"]]
    if bad := [key for key, equals, _ in pairs if not equals]:
        raise InputError(f"--set {bad[0]} has no value: write --set {bad[0]}=VALUE")
    overrides = Overrides(
        **{name: options[name] for name in ("dataset", "holdout", "train_limit", "topologies")},
        **{name: options[name] for name in ("seeds", "epochs")},
        protocol={key: value for key, _, value in pairs},
    )
    request = load_spec(spec, overrides)
    if request.trial_count > MANY_TRIALS and not yes:
        raise InputError(
            f"this asks for {request.trial_count:,} trials: add --yes if that is meant"
        )
    return request


def _run(plan: Plan, options: dict[str, Any]) -> RunResult:
    from topo_sweep import sweep
    from topo_sweep.runner import Resources

    executor: Literal["ray", "inline"] = options["executor"]
    run_options = sweep.RunOptions(
        executor=executor,
        cluster=options["cluster"] or options["address"] is not None,
        address=options["address"],
        data_dir=options["data_dir"],
        download=options["download"],
        resources=Resources(cpus=options["cpus_per_pack"], gpus=options["gpus_per_pack"]),
        verbose=options["verbose"],
    )
    return sweep.run(plan, run_options, say)


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
    from nas_core.data import training_images
    from topo_sweep.forecast import describe

    images = training_images(plan.spec.data.dataset, options["data_dir"])
    return describe(plan, images=images)
