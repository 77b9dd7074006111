"""`topo-sweep plot ...`: pictures of a sweep."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas_core.errors import InputError
from topo_sweep.cli.plot_cell import cell, in_figures, output_option, supernet, write_picture
from topo_sweep.cli.shared.common import (
    evaluated,
    results_argument,
    say_which,
    several_results_argument,
)
from topo_sweep.cli.shared.options import option, takes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from topo_sweep.store.opened import OpenedSweep


@click.group()
def plot() -> None:
    """Draw pictures of a sweep.

    \b
    Example:
      topo-sweep plot surface -o surface.pdf
    """


for command in (cell, supernet):
    plot.add_command(command)


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which searches are drawn, and by which accuracy; see `SearchQuery`."""

    metric: str | None = option(type=click.Choice(["val", "test"]), help="Accuracy to draw.")
    method: str | None = option(help="Draw the searches of this method alone.")
    attention: str | None = option(
        help="Draw those with this operation attention alone: none, once or per_update."
    )


@dataclass(frozen=True, kw_only=True)
class QueryInSpace(Query):
    """The same in one search space."""

    space: str | None = option(help="Draw this search space alone; needed where there are several.")


def sweep_plot(draw: Callable[..., Figure]) -> click.Command:
    """Make a command of a function that draws a sweep: RESULTS and `-o` in, the path out.

    The picture is by default among the sweep's figures, under the function's name.
    """
    name = draw.__name__

    @plot.command()
    @results_argument
    @output_option(f"figures/{name}.png in the sweep's folder")
    @functools.wraps(draw)
    def command(results: Path, output: Path | None, **options: object) -> None:
        from topo_sweep.store.opened import open_sweep

        sweep = open_sweep(results)
        _save(draw(sweep=sweep, **options), sweep, results, output or in_figures(sweep, name))

    return command


@sweep_plot
@click.option(
    "--style",
    type=click.Choice(["map", "surface3d"]),
    default="map",
    show_default=True,
    help="A map to read values from, or a 3-D surface like the paper's figure 3.",
)
@click.option(
    "--reduction-topology",
    type=click.IntRange(0, 179),
    help="Of a sweep of genotypes, draw those with this reduction wiring.",
)
@takes(Query)
def surface(query: Query, sweep: OpenedSweep, style: str, reduction_topology: int | None) -> Figure:
    """Draw the accuracy of all 180 topologies, the paper's figure 3, or of a grid of searches.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot surface --style surface3d -o surface.png
    """
    from topo_sweep.analysis.comparable import with_reduction
    from topo_sweep.analysis.design import NEEDED
    from topo_sweep.analysis.ranking import rank
    from topo_sweep.analysis.searches import SearchQuery
    from topo_sweep.plots import grids
    from topo_sweep.plots import surface as surfaces

    of_genotypes = not sweep.holds_searches and not sweep.ranks_topologies
    if reduction_topology is not None and not of_genotypes:
        raise InputError(
            f"--reduction-topology chooses in a sweep of genotypes, and {sweep.folder} is one of "
            f"{sweep.manifest.kind}: leave it out"
        )
    if sweep.holds_searches:
        if style != "map":
            raise InputError(
                f"a grid of searches is drawn as a map, got --style {style}: leave it out"
            )
        return grids.grid_map(sweep.searches(), evaluated(sweep), SearchQuery(**vars(query)))
    if of_genotypes and reduction_topology is None:
        raise InputError(
            f"plot surface draws a sweep of topologies or of searches, and {sweep.folder} is one "
            f"of {sweep.manifest.kind}: {_instead(sweep)}"
        )
    if query.method or query.attention:
        raise InputError(
            f"--method and --attention choose among searches, and {sweep.folder} is a sweep of "
            f"{sweep.manifest.kind}: leave them out"
        )
    rows = sweep.trials(NEEDED)
    if reduction_topology is not None:
        rows = with_reduction(rows, reduction_topology)
    return surfaces.surface(rank(rows, by="topology", metric=query.metric), style=style)


@sweep_plot
@click.option(
    "--by",
    type=click.Choice(["topology", "class"]),
    help="What has a mean.  [default: class where all operations are equal]",
)
@click.option("--metric", type=click.Choice(["val", "test"]), help="Accuracy to draw.")
def means(sweep: OpenedSweep, by: str | None, metric: str | None) -> Figure:
    """Draw the mean of each class with and without the luck of its seeds.

    Of an adaptive sweep the seeds count that were asked for before any result chose who got more.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot means -o means.png
    """
    from topo_sweep.analysis.adaptive.beforehand import asked_beforehand
    from topo_sweep.analysis.design import NEEDED, design_of
    from topo_sweep.plots.means import means as drawn

    trials = asked_beforehand(sweep, evaluated(sweep, NEEDED))
    return drawn(design_of(trials, by=by, metric=metric))


@sweep_plot
@takes(Query)
def subspaces(query: Query, sweep: OpenedSweep) -> Figure:
    """Draw the accuracy of found cells by search space and depth, the paper's figure 2.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot subspaces -o figure2.pdf
    """
    from topo_sweep.analysis.searches import SearchQuery
    from topo_sweep.plots import grids

    _check_searches(sweep, "subspaces")
    return grids.subspaces(sweep.searches(), evaluated(sweep), SearchQuery(**vars(query)))


@sweep_plot
@takes(QueryInSpace)
def depth(query: QueryInSpace, sweep: OpenedSweep) -> Figure:
    """Draw accuracy and skips of found cells against the cells of the search network.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot depth --space SS1 -o depth.pdf
    """
    from topo_sweep.analysis.searches import SearchQuery
    from topo_sweep.plots import grids

    _check_searches(sweep, "depth")
    return grids.depth(sweep.searches(), evaluated(sweep), SearchQuery(**vars(query)))


@sweep_plot
@click.option("--search", "search_id", metavar="ID", help="Beginning of a search's id.")
@click.option("--seed", type=int, help="Draw the newest search with this seed.")
def alphas(sweep: OpenedSweep, search_id: str | None, seed: int | None) -> Figure:
    """Draw the weights of all operations over the epochs of one search.

    By default that is the newest one that got through an epoch.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot alphas --seed 20 -o alphas.pdf
    """
    from topo_sweep.analysis.searches import chosen_search
    from topo_sweep.plots.alphas import alphas as draw_alphas

    _check_searches(sweep, "alphas")
    searches, epochs = sweep.searches(), sweep.search_epochs()
    begun = searches["search_id"].isin(epochs["search_id"])
    if search_id is None and seed is None and begun.any():
        searches = searches[begun]
    return draw_alphas(chosen_search(searches, search_id=search_id, seed=seed), epochs)


@plot.command()
@several_results_argument
@output_option("figures/skips.png in the first sweep's folder")
def skips(results: tuple[Path, ...], output: Path | None) -> None:
    """Draw the skip connections of found cells by method, beside the paper's Table II.

    RESULTS are sweeps' folders, or folders of sweeps (then of each the one with the newest row).

    \b
    Examples:
      topo-sweep plot skips -o skips.pdf
      topo-sweep plot skips results/table2-full-* results/table2-subset-*
    """
    from topo_sweep.paper import table_2
    from topo_sweep.plots.skips import skips as draw_skips
    from topo_sweep.store.opened import open_sweep
    from topo_sweep.store.precedence import merged

    sweeps = []
    for folder in results:
        sweeps.append(open_sweep(folder))
        _check_searches(sweeps[-1], "skips")
    searches = [rows for sweep in sweeps if len(rows := sweep.searches())]
    rows = merged(searches, "search_id")
    figure = draw_skips(rows, table_2.METHODS, table_2.published_skips())
    _save(figure, sweeps[0], results[0], output or in_figures(sweeps[0], "skips"))
    for sweep, folder in zip(sweeps[1:], results[1:], strict=True):
        say_which(sweep, folder)


def _check_searches(sweep: OpenedSweep, command: str) -> None:
    """Refuse a sweep that holds no searches; say what shows it instead."""
    if not sweep.holds_searches:
        raise InputError(
            f"plot {command} draws a sweep of searches, and {sweep.folder} is one of "
            f"{sweep.manifest.kind}: {_instead(sweep)}"
        )


def _instead(sweep: OpenedSweep) -> str:
    """Return the commands that show a sweep of networks."""
    folder = shlex.quote(str(sweep.folder))
    if sweep.ranks_topologies:
        return f"draw it with `topo-sweep plot surface {folder}`"
    return (
        f"print its accuracies with `topo-sweep rank {folder}`, or draw its best cell with "
        f"`topo-sweep plot cell {folder}`"
    )


def _save(figure: Figure, sweep: OpenedSweep, results: Path, target: Path) -> None:
    """Write a picture, name the sweep and print where the picture is."""
    write_picture(figure, target)
    say_which(sweep, results)
