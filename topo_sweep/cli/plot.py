"""`topo-sweep plot ...`: pictures of a sweep."""

from __future__ import annotations

from pathlib import Path

import click

from nas_core.errors import InputError
from topo_sweep.cli.common import results_argument
from topo_sweep.cli.plot_search import (
    alphas,
    attention_option,
    cell,
    depth,
    method_option,
    save,
    skips,
    subspaces,
    supernet,
)


@click.group()
def plot() -> None:
    """Draw pictures of a sweep.

    \b
    Example:
      topo-sweep plot surface -o surface.pdf
    """


@plot.command()
@results_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="PNG, SVG or PDF by suffix.  [default: figures/surface.png in the sweep's folder]",
)
@click.option(
    "--style",
    type=click.Choice(["map", "surface3d"]),
    default="map",
    show_default=True,
    help="A map to read values from, or a 3-D surface like the paper's figure 3.",
)
@click.option("--metric", type=click.Choice(["val", "test"]), help="Accuracy to draw.")
@method_option
@attention_option
def surface(
    results: Path,
    *,
    output: Path | None,
    style: str,
    metric: str | None,
    method: str | None,
    attention: str | None,
) -> None:
    """Draw the accuracy of all 180 topologies, the paper's figure 3, or of a grid of searches.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot surface --style surface3d -o surface.png
    """
    from topo_sweep.analysis import ranking
    from topo_sweep.plots import grids as search_plots
    from topo_sweep.plots import surface as plots
    from topo_sweep.store.opened import open_sweep

    sweep = open_sweep(results)
    if sweep.manifest.kind != "search":
        if method or attention:
            raise InputError(
                f"--method and --attention choose among searches, and {sweep.folder} is a sweep of "
                f"{sweep.manifest.kind}: leave them out"
            )
        figure = plots.surface(ranking.rank(sweep.trials(), metric=metric), style=style)
    elif style == "map":
        figure = search_plots.grid_map(
            sweep.searches(), sweep.trials(), metric=metric, method=method, attention=attention
        )
    else:
        raise InputError(f"a grid of searches is drawn as a map, got --style {style}")
    save(figure, sweep, results, output, "surface")


for command in (subspaces, depth, skips, alphas, cell, supernet):
    plot.add_command(command)
