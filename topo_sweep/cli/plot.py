"""`topo-sweep plot ...`: pictures of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas_core.errors import InputError
from topo_sweep.cli.common import Command, results_argument, say_which, several_results_argument
from topo_sweep.cli.plot_cell import cell, output_option, supernet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from topo_sweep.analysis.searches import SearchQuery
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


def query_options(command: Command) -> Command:
    """Add the options of a `SearchQuery`, but for the space, as parameters of its names."""
    added: tuple[Callable[[Command], Command], ...] = (
        click.option("--metric", type=click.Choice(["val", "test"]), help="Accuracy to draw."),
        click.option("--method", help="Draw the searches of this method alone."),
        click.option(
            "--attention",
            help="Draw those with this operation attention alone: none, once or per_update.",
        ),
    )
    for option in reversed(added):
        command = option(command)
    return command


@plot.command()
@results_argument
@output_option("figures/surface.png in the sweep's folder")
@click.option(
    "--style",
    type=click.Choice(["map", "surface3d"]),
    default="map",
    show_default=True,
    help="A map to read values from, or a 3-D surface like the paper's figure 3.",
)
@query_options
def surface(results: Path, *, output: Path | None, style: str, **query: str | None) -> None:
    """Draw the accuracy of all 180 topologies, the paper's figure 3, or of a grid of searches.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot surface --style surface3d -o surface.png
    """
    from topo_sweep.analysis.searches import SearchQuery
    from topo_sweep.store.opened import open_sweep

    sweep = open_sweep(results)
    figure = _surface(sweep, style, SearchQuery(**query))
    _save(figure, sweep, results, output, "surface")


def _surface(sweep: OpenedSweep, style: str, query: SearchQuery) -> Figure:
    from topo_sweep.analysis.ranking import rank
    from topo_sweep.plots import grids
    from topo_sweep.plots import surface as surfaces

    if sweep.holds_searches:
        if style != "map":
            raise InputError(f"a grid of searches is drawn as a map, got --style {style}")
        return grids.grid_map(sweep.searches(), sweep.trials(), query)
    if query.method or query.attention:
        raise InputError(
            f"--method and --attention choose among searches, and {sweep.folder} is a sweep of "
            f"{sweep.manifest.kind}: leave them out"
        )
    return surfaces.surface(rank(sweep.trials(), metric=query.metric), style=style)


@plot.command()
@results_argument
@output_option("figures/subspaces.png in the sweep's folder")
@query_options
def subspaces(results: Path, *, output: Path | None, **query: str | None) -> None:
    """Draw the accuracy of found cells by search space and depth, the paper's figure 2.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot subspaces -o figure2.pdf
    """
    from topo_sweep.analysis.searches import SearchQuery
    from topo_sweep.plots import grids

    sweep = _open_searches(results, "subspaces")
    figure = grids.subspaces(sweep.searches(), sweep.trials(), SearchQuery(**query))
    _save(figure, sweep, results, output, "subspaces")


@plot.command()
@results_argument
@output_option("figures/depth.png in the sweep's folder")
@query_options
@click.option("--space", help="Draw this search space alone; needed where there are several.")
def depth(results: Path, *, output: Path | None, **query: str | None) -> None:
    """Draw accuracy and skips of found cells against the cells of the search network.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot depth --space SS1 -o depth.pdf
    """
    from topo_sweep.analysis.searches import SearchQuery
    from topo_sweep.plots import grids

    sweep = _open_searches(results, "depth")
    figure = grids.depth(sweep.searches(), sweep.trials(), SearchQuery(**query))
    _save(figure, sweep, results, output, "depth")


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
    from topo_sweep.store.precedence import merged

    sweeps = [_open_searches(folder, "skips") for folder in results]
    searches = [rows for sweep in sweeps if len(rows := sweep.searches())]
    rows = merged(searches, "search_id")
    figure = draw_skips(rows, table_2.METHODS, table_2.published_skips())
    _save(figure, sweeps[0], results[0], output, "skips")
    for sweep, folder in zip(sweeps[1:], results[1:], strict=True):
        say_which(sweep, folder)


@plot.command()
@results_argument
@output_option("figures/alphas.png in the sweep's folder")
@click.option("--search", "search_id", metavar="ID", help="Beginning of a search's id.")
@click.option("--seed", type=int, help="Draw the newest search with this seed.")
def alphas(results: Path, output: Path | None, search_id: str | None, seed: int | None) -> None:
    """Draw the weights of all operations over the epochs of one search, by default the newest.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot alphas --seed 20 -o alphas.pdf
    """
    from topo_sweep.analysis.searches import chosen_search
    from topo_sweep.plots.alphas import alphas as draw_alphas

    sweep = _open_searches(results, "alphas")
    search = chosen_search(sweep.searches(), search_id=search_id, seed=seed)
    _save(draw_alphas(search, sweep.search_epochs()), sweep, results, output, "alphas")


def _open_searches(results: Path, command: str) -> OpenedSweep:
    """Open a sweep of searches.

    Raises:
        InputError: nothing there, or a sweep of another kind.

    """
    from topo_sweep.store.opened import open_sweep

    sweep = open_sweep(results)
    if not sweep.holds_searches:
        raise InputError(
            f"plot {command} draws a sweep of searches, and {sweep.folder} is one of "
            f"{sweep.manifest.kind}: name another folder, or use `topo-sweep plot surface`"
        )
    return sweep


def _save(
    figure: Figure, sweep: OpenedSweep, results: Path, output: Path | None, name: str
) -> None:
    """Write a picture, by default among the sweep's figures, and print where it is."""
    from topo_sweep.plots.parts import write_figure

    target = output or sweep.store.paths.figures / f"{name}.png"
    if output is None:
        target.parent.mkdir(exist_ok=True)
    write_figure(figure, target)
    say_which(sweep, results)
    click.echo(target)
