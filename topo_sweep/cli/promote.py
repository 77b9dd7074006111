"""`topo-sweep promote`: the best of a sweep go on, as a sweep of their own."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas_core.errors import InputError
from topo_sweep.cli.shared.common import PATH, beside, say, say_which
from topo_sweep.cli.shared.execution import execute, set_values
from topo_sweep.cli.shared.options import (
    FROM_ONE,
    CellTraining,
    RunOptions,
    option,
    results_option,
    set_option,
    takes,
)
from topo_sweep.store.paths import RESULTS

if TYPE_CHECKING:
    from topo_sweep.analysis.selection import Choice
    from topo_sweep.spec.load import SweepSpec
    from topo_sweep.store.opened import OpenedSweep


@dataclass(frozen=True, kw_only=True)
class BesideSource(RunOptions):
    """How trials run, beside the sweep from which they come."""

    results: Path | None = results_option("beside the sweep")


@dataclass(frozen=True, kw_only=True)
class PromoteRequest:
    """What goes on, how it is trained, and how it runs."""

    top: int | None = option(type=FROM_ONE, help="How many go on.  [default: 20]")
    by: str | None = option(
        type=click.Choice(["class", "topology"]),
        help="Count the members of a class as one, or each as the paper does.  [default: class]",
    )
    final: bool = option(is_flag=True, help="The final evaluation instead of phase 2, see --above.")
    above: float | None = option(
        type=click.FloatRange(0, 1),
        help="With --final: networks above this go on.  [default: 0.93 on cifar10, the paper's]",
    )
    dataset: str | None = option(
        metavar="NAME", help="Train on another one.  [default: the sweep's]"
    )
    seeds: str | None = option(
        metavar="SET", help="Such as 0-4.  [default: others than those that selected]"
    )
    settings: tuple[str, ...] = set_option("Any key of the protocol.")
    cells: CellTraining
    run: BesideSource


@click.command()
@click.argument(  # not `results`, which is where the new sweep goes
    "source", type=PATH, default=RESULTS, metavar="[RESULTS]"
)
@takes(PromoteRequest)
def promote(request: PromoteRequest, source: Path) -> None:
    """Train the best topologies of a sweep with the same wiring in both cells (phase 2).

    Of a class, whose members are one network up to renamed nodes, the smallest goes on. With
    --final, what is above --above in a sweep of any kind gets the paper's final evaluation. Where
    images were held out, validation accuracy selects. The new sweep goes beside the old one.

    \b
    Examples:
      topo-sweep promote results/topologies-cifar10-12345678 --top 20 --seeds 100-104
      topo-sweep promote results/edarts-cifar10-12345678 --final --above 0.93 --cluster
    """
    from topo_sweep.store.opened import open_sweep

    if request.final and request.top is not None:
        raise InputError("--final takes all above --above, so leave out --top")
    if request.final and request.by is not None:
        raise InputError("--final takes all above --above, so leave out --by")
    if request.above is not None and not request.final:
        raise InputError("--above belongs to --final; phase 2 takes --top")
    sweep = open_sweep(source)
    choice, spec = _promoted(sweep, request)
    say_which(sweep, source)  # only now: what is refused gets one line
    say(*choice.remarks, f"{spec.name}: {choice.origin}")
    if choice.first_seeds and request.seeds is None:
        say(f"{spec.name}: as many fresh seeds as each class began its race with, see --seeds")
    results = request.run.results or beside(sweep)
    sys.exit(execute(spec, replace(request.run, results=results), request.cells))


def _promoted(sweep: OpenedSweep, request: PromoteRequest) -> tuple[Choice, SweepSpec]:
    """Return what goes on, and the sweep of it."""
    from topo_sweep.analysis import promotion, selection
    from topo_sweep.spec.int_sets import parse_int_set

    seeds = None if request.seeds is None else parse_int_set(request.seeds, what="--seeds")
    values = set_values(request.settings)
    manifest = promotion.on_dataset(sweep.manifest, request.dataset)
    if request.final:
        measured_on = sweep.manifest.data.dataset
        if request.above is None and measured_on != "cifar10":
            raise InputError(
                f"the paper's 93% is of CIFAR-10 and does not apply to {measured_on}: give --above"
            )
        choice = selection.above(sweep, 0.93 if request.above is None else request.above)
        return choice, promotion.final_evaluation(manifest, choice, seeds, values)
    top = 20 if request.top is None else request.top
    choice = selection.best_topologies(sweep, top, by=request.by or "class")
    return choice, promotion.phase_two(manifest, choice, seeds, values)
