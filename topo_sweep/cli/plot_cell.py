"""`topo-sweep plot ...` of cells: pictures that need no sweep."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas_core.errors import InputError, unwritable
from topo_sweep.cli.shared.common import OUTPUT, STDOUT, TEXT, Command
from topo_sweep.cli.shared.genotypes import is_folder, read_genotype

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from topo_sweep.store.opened import OpenedSweep


def output_option(default: str) -> Callable[[Command], Command]:
    """Add `-o FILE` as the parameter `output`; `default` says where the picture goes else."""
    return click.option(
        "-o",
        "--output",
        type=OUTPUT,
        help=(
            "PNG, SVG or PDF by suffix; - is a PNG on stdout, and devices and pipes get one.  "
            f"[default: {default}]"
        ),
    )


def in_figures(sweep: OpenedSweep, name: str) -> Path:
    """Return the place of a picture among the sweep's figures, whose folder is made.

    Raises:
        InputError: it cannot be made.

    """
    folder = sweep.store.paths.figures
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot make {folder}: {reason}; -o names another place") from None
    return folder / f"{name}.png"


@click.command()
@click.argument("genotype", type=TEXT)
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
    from topo_sweep.plots import cells
    from topo_sweep.store.opened import open_sweep

    network, name = read_genotype(genotype)
    figure = cells.cell(network, name=name)
    if output is None and is_folder(Path(genotype)):
        output = in_figures(open_sweep(Path(genotype)), "cell")
    write_picture(figure, output or Path("cell.png"))


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
    from nas_core.cells.topology import Topology
    from topo_sweep.plots import cells

    names = _operations(operations, space)
    if topology is None and operations is None and space is None:
        topology = 1
    wiring = None if topology is None else Topology.from_index(topology)
    figure = cells.supernet(topology=wiring, operations=names)
    write_picture(figure, output or Path("supernet.png"))


def _operations(operations: str | None, space: str | None) -> tuple[str, ...]:
    """Return the operations that are listed, or those of a space, which is by default all."""
    from nas_core.cells.spaces import canonical_operations, space_operations

    if operations is None:
        return space_operations(space or "all")
    if space is not None:
        raise InputError("give --operations or --space, not both")
    return canonical_operations(name.strip() for name in operations.split(","))


def write_picture(figure: Figure, target: Path) -> None:
    """Write a picture and print in which file it is, or print the picture itself.

    Raises:
        InputError: it cannot be written there.
        TopoSweepError: writing it failed.

    """
    from topo_sweep.plots.parts import encoded, write_figure
    from topo_sweep.store.files import is_elsewhere, write_durably

    if target == STDOUT:
        sys.stdout.buffer.write(encoded(figure, Path("stdout.png")))
        sys.stdout.buffer.flush()
    else:
        write_figure(figure, target)
        if is_elsewhere(target):
            try:
                write_durably(target, target.read_bytes())
            except OSError as error:
                raise unwritable(target, error, "; -o names another place") from None
        if target.is_file():  # a device or a pipe may be where this goes itself
            click.echo(target)
