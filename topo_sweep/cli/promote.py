"""`topo-sweep promote`: the best of a sweep go on, as a sweep of their own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas_core.errors import InputError
from topo_sweep.cli.common import say, say_which
from topo_sweep.cli.execution import execute, execution_options, options, setting_values
from topo_sweep.store.paths import RESULTS

if TYPE_CHECKING:
    from topo_sweep.analysis.selection import Choice
    from topo_sweep.spec.networks import GenotypeSweep, TopologySweep
    from topo_sweep.store.opened import OpenedSweep

_REQUEST = [
    click.option("--top", type=click.IntRange(min=1), help="How many go on.  [default: 20]"),
    click.option(
        "--final", is_flag=True, help="The final evaluation instead of phase 2, see --above."
    ),
    click.option(
        "--above",
        type=click.FloatRange(0, 1),
        help="With --final: networks above this accuracy go on.  [default: 0.93, the paper's]",
    ),
    click.option("--dataset", metavar="NAME", help="Train on another one.  [default: the sweep's]"),
    click.option(
        "--seeds", metavar="SET", help="Such as 0-4.  [default: others than those that selected]"
    ),
    click.option(
        "--set", "settings", metavar="KEY=VALUE", multiple=True, help="Any key of the protocol."
    ),
]


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What goes on and to what, as asked for; None leaves the default."""

    top: int | None
    final: bool
    above: float | None
    dataset: str | None

    def __post_init__(self) -> None:
        if self.final and self.top is not None:
            raise InputError("--final takes all above --above, so leave out --top")
        if self.above is not None and not self.final:
            raise InputError("--above belongs to --final; phase 2 takes --top")

    def next_sweep(
        self, sweep: OpenedSweep, seeds: Sequence[int] | None, settings: Mapping[str, Any]
    ) -> tuple[Choice, TopologySweep | GenotypeSweep]:
        """Return what was chosen from a sweep, and the sweep that trains it with some settings."""
        from nas_core.protocols.training import PRESETS
        from topo_sweep.analysis import promotion, selection

        manifest = promotion.on_dataset(sweep.manifest, self.dataset)
        if not self.final:
            choice = selection.best_topologies(sweep, 20 if self.top is None else self.top)
            return choice, promotion.phase_two(manifest, choice, seeds, settings)
        choice = selection.above(sweep, 0.93 if self.above is None else self.above)
        protocol = PRESETS["final"].with_values(settings)
        return choice, promotion.final_evaluation(manifest, choice, seeds, protocol)


@click.command()
@click.argument(  # not `results`, which is where the new sweep goes
    "source", type=click.Path(path_type=Path), default=RESULTS, metavar="[RESULTS]"
)
@options(_REQUEST)
@execution_options()
def promote(source: Path, **given: Any) -> None:  # noqa: ANN401
    """Train the best topologies of a sweep with the same wiring in both cells (phase 2).

    With --final, what is above --above in a sweep of any kind gets the paper's final evaluation.
    Where images were held out, validation accuracy selects.

    \b
    Examples:
      topo-sweep promote results/topologies-cifar10-12345678 --top 20 --seeds 100-104
      topo-sweep promote results/edarts-cifar10-12345678 --final --above 0.93 --cluster
    """
    from topo_sweep.spec.int_sets import parse_int_set
    from topo_sweep.store.opened import open_sweep

    request = _Request(**{field.name: given[field.name] for field in fields(_Request)})
    sweep = open_sweep(source)
    seeds = None if given["seeds"] is None else parse_int_set(given["seeds"], what="--seeds")
    choice, spec = request.next_sweep(sweep, seeds, setting_values(given))
    say_which(sweep, source)  # only now: what is refused gets one line
    for remark in choice.remarks:
        say(remark)
    say(f"{spec.name}: {choice.origin}")
    sys.exit(execute(spec, given))
