"""`topo-sweep run`: train what is left of a sweep."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from topo_sweep.cli.shared.adaptive import RaceChoice
from topo_sweep.cli.shared.common import say
from topo_sweep.cli.shared.execution import execute, set_texts
from topo_sweep.cli.shared.options import (
    FROM_ONE,
    FROM_ZERO,
    CellTraining,
    DataChoice,
    RunOptions,
    WiringChoice,
    option,
    set_option,
    takes,
)
from topo_sweep.cli.shared.wiring import chosen_wiring
from topo_sweep.store.paths import RESULTS

if TYPE_CHECKING:
    from topo_sweep.analysis.selection import Choice
    from topo_sweep.spec.load import SweepSpec


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What replaces values of the sweep's file, and how it runs."""

    data: DataChoice
    topologies: str | None = option(metavar="SET", help="Such as 0-3,17.")
    wiring: WiringChoice
    seeds: str | None = option(metavar="SET", help="Such as 0-4.")
    epochs: int | None = option(type=FROM_ONE, help="Passes over the images.")
    random_cells: int | None = option(
        type=FROM_ZERO,
        metavar="N",
        help="So many random cells of each space, trained as found cells are, to judge these by.",
    )
    settings: tuple[str, ...] = set_option("Any key of the protocol, or search.KEY of a search.")
    race: RaceChoice
    cells: CellTraining
    run: RunOptions


@click.command()
@click.argument("spec", default="topologies", metavar="[SPEC]")
@takes(RunRequest)
def run(request: RunRequest, spec: str) -> None:
    """Train what is left of a sweep; what is done is never done again.

    SPEC is a YAML file or the name of a shipped sweep: topologies (the paper's 180, the
    default), classes, classes_small, unified, known_cells, random_cells, demo or digits; of
    searches: subspaces, depth, table2, edarts, edarts_c100, edarts_controls, ablation_deep,
    ablation_equal or search_demo; table4 evaluates cells.

    \b
    Examples:
      topo-sweep run demo
      topo-sweep run --dataset cifar10 --data-dir DIR --holdout 5000 --seeds 0-2
      topo-sweep run unified --topologies 3,17,42 --cluster --address HOST:6379
      topo-sweep run topologies --holdout 5000 --adaptive top=20 --delta 0.3 --budget 2000
    """
    sweep = _sweep(spec, request)
    sys.exit(execute(sweep, request.run, request.cells, budget=request.race.budget))


def _sweep(source: str, request: RunRequest) -> SweepSpec:
    """Return the sweep that is asked for; print where its choices come from."""
    from topo_sweep.spec.load import Overrides, load_spec

    wiring = chosen_wiring(request.wiring, request.settings)
    overrides = Overrides(
        **vars(request.data),
        topologies=request.topologies,
        seeds=request.seeds,
        epochs=request.epochs,
        random_cells=request.random_cells,
        protocol=set_texts(request.settings),
        search=wiring.settings,
        adaptive=request.race.settings,
        origin=wiring.origin,
    )
    choices: dict[str, Choice] = {}

    def best_cell(sweep: str, dataset: str) -> str:
        from topo_sweep.analysis.selection import found_by

        choices[sweep] = found_by(request.run.results or RESULTS, sweep, dataset)
        return str(choices[sweep].genotypes[0])

    spec = load_spec(source, overrides, best_cell=best_cell)
    say(*wiring.remarks)
    for sweep, choice in choices.items():
        say(*choice.remarks, f"found:{sweep} is {choice.origin}")
    if not choices:
        return spec
    origins = (f"found:{sweep}: {choice.origin}" for sweep, choice in choices.items())
    return spec.model_copy(update={"origin": "; ".join(origins)})
