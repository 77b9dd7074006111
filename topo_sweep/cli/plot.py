"""`topo-sweep plot ...`: pictures of a sweep."""

from __future__ import annotations

from pathlib import Path

import click

from topo_sweep.cli.common import results_argument, say_which


@click.group()
def plot() -> None:
    """Draw pictures of a sweep.

    \b
    Example:
      topo-sweep plot surface -o surface.pdf
    """  # noqa: D301 - \b is click's mark for lines it must not wrap


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
def surface(results: Path, output: Path | None, style: str, metric: str | None) -> None:
    """Draw the accuracy of all 180 topologies, the paper's figure 3.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot surface --style surface3d -o surface.png
    """  # noqa: D301 - \b is click's mark for lines it must not wrap
    from topo_sweep import plots, ranking
    from topo_sweep.results import open_sweep

    sweep = open_sweep(results)
    figure = plots.surface(ranking.rank(sweep.trials(), metric=metric), style=style)
    target = output or sweep.store.paths.figures / "surface.png"
    if output is None:
        target.parent.mkdir(exist_ok=True)
    plots.write_figure(figure, target)
    say_which(sweep, results)
    click.echo(target)
