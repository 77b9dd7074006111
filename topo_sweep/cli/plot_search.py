"""`topo-sweep plot ...` of searches and cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas_core.errors import InputError
from topo_sweep.cli.common import Command, results_argument, say_which, several_results_argument
from topo_sweep.cli.genotypes import is_folder, read_genotype

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from topo_sweep.store.opened import OpenedSweep

_SUFFIXES = "PNG, SVG or PDF by suffix."


def output_option(default: str) -> Callable[[Command], Command]:
    """Add `-o FILE` as the parameter `output`; `default` says where the picture goes else."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help=f"{_SUFFIXES}  [default: {default}]",
    )


metric_option = click.option(
    "--metric", type=click.Choice(["val", "test"]), help="Accuracy to draw."
)
method_option = click.option("--method", help="Draw the searches of this method alone.")
attention_option = click.option(
    "--attention", help="Draw those with this operation attention alone: none, once or per_update."
)


def save(figure: Figure, sweep: OpenedSweep, results: Path, output: Path | None, name: str) -> None:
    """Write a picture, by default among the sweep's figures, and print where it is."""
    from topo_sweep.plots.surface import write_figure

    target = output or sweep.store.paths.figures / f"{name}.png"
    if output is None:
        target.parent.mkdir(exist_ok=True)
    write_figure(figure, target)
    say_which(sweep, results)
    click.echo(target)


def open_searches(results: Path, command: str) -> OpenedSweep:
    """Open a sweep of searches.

    Raises:
        InputError: nothing there, or a sweep of another kind.

    """
    from topo_sweep.store.opened import open_sweep

    sweep = open_sweep(results)
    if sweep.manifest.kind != "search":
        raise InputError(
            f"plot {command} draws a sweep of searches, and {sweep.folder} is one of "
            f"{sweep.manifest.kind}: name another folder, or use `topo-sweep plot surface`"
        )
    return sweep


@click.command()
@results_argument
@output_option("figures/subspaces.png in the sweep's folder")
@metric_option
@method_option
@attention_option
def subspaces(
    results: Path,
    *,
    output: Path | None,
    metric: str | None,
    method: str | None,
    attention: str | None,
) -> None:
    """Draw the accuracy of found cells by search space and depth, the paper's figure 2.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot subspaces -o figure2.pdf
    """
    from topo_sweep.plots import grids as search_plots

    sweep = open_searches(results, "subspaces")
    figure = search_plots.subspaces(
        sweep.searches(), sweep.trials(), metric=metric, method=method, attention=attention
    )
    save(figure, sweep, results, output, "subspaces")


@click.command()
@results_argument
@output_option("figures/depth.png in the sweep's folder")
@metric_option
@method_option
@attention_option
@click.option("--space", help="Draw this search space alone; needed where there are several.")
def depth(
    results: Path,
    *,
    output: Path | None,
    metric: str | None,
    method: str | None,
    attention: str | None,
    space: str | None,
) -> None:
    """Draw accuracy and skips of found cells against the cells of the search network.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep plot depth --space SS1 -o depth.pdf
    """
    from topo_sweep.plots import grids as search_plots

    sweep = open_searches(results, "depth")
    figure = search_plots.depth(
        sweep.searches(),
        sweep.trials(),
        metric=metric,
        method=method,
        attention=attention,
        space=space,
    )
    save(figure, sweep, results, output, "depth")


@click.command()
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
    from topo_sweep.plots import skips as skip_plots
    from topo_sweep.store.statuses import merged

    sweeps = [open_searches(folder, "skips") for folder in results]
    searches = [rows for sweep in sweeps if len(rows := sweep.searches())]
    save(skip_plots.skips(merged(searches, "search_id")), sweeps[0], results[0], output, "skips")
    for sweep, folder in zip(sweeps[1:], results[1:], strict=True):
        say_which(sweep, folder)


@click.command()
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
    from topo_sweep.plots import alphas as alpha_plots

    sweep = open_searches(results, "alphas")
    search = alpha_plots.chosen_search(sweep.searches(), search_id=search_id, seed=seed)
    save(alpha_plots.alphas(search, sweep.search_epochs()), sweep, results, output, "alphas")


@click.command()
@click.argument("genotype")
@output_option("cell.png")
def cell(genotype: str, output: Path | None) -> None:
    """Draw both cells of a genotype, with the operation on every edge.

    GENOTYPE is a known name (DARTS_V1, DARTS_V2, PDARTS, PC_DARTS), JSON or DARTS notation, a
    file that holds such, or a folder of results, then what its best search found.

    \b
    Examples:
      topo-sweep plot cell DARTS_V2 -o darts.pdf
      topo-sweep plot cell results
    """
    from topo_sweep.plots import cells as cell_plots
    from topo_sweep.plots.surface import write_figure

    found, name = read_genotype(genotype)
    target = output or _cell_target(Path(genotype))
    write_figure(cell_plots.cell(found, name=name), target)
    click.echo(target)


def _cell_target(genotype: Path) -> Path:
    """Return the sweep's figures folder where a folder of results was given, else this folder."""
    from topo_sweep.store.opened import open_sweep

    if not is_folder(genotype):
        return Path("cell.png")
    target = open_sweep(genotype).store.paths.figures / "cell.png"
    target.parent.mkdir(exist_ok=True)
    return target


@click.command()
@click.option(
    "--topology",
    type=click.IntRange(0, 179),
    help="The wiring that stays.  [default: 1, that of DARTS, unless operations are given]",
)
@click.option("--operations", help="The candidate operations that stay, separated by commas.")
@click.option("--space", help="A search space instead of operations: SS1 to SS8, or all.")
@output_option("supernet.png")
def supernet(
    topology: int | None, operations: str | None, space: str | None, output: Path | None
) -> None:
    """Draw the search cell before and after its wiring or its operations are fixed.

    \b
    Example:
      topo-sweep plot supernet --topology 93 --space SS3 -o supernet.pdf
    """
    from nas_core.cells.spaces import canonical_operations, space_operations
    from nas_core.cells.topology import Topology
    from topo_sweep.plots import cells as cell_plots
    from topo_sweep.plots.surface import write_figure

    if operations is not None and space is not None:
        raise InputError("give --operations or --space, not both")
    if topology is None and operations is None and space is None:
        topology = 1
    figure = cell_plots.supernet(
        topology=None if topology is None else Topology.from_index(topology),
        operations=canonical_operations(name.strip() for name in operations.split(","))
        if operations is not None
        else space_operations(space or "all"),
    )
    target = output or Path("supernet.png")
    write_figure(figure, target)
    click.echo(target)
