"""`topo-sweep compare`: our figures beside those of the paper."""

from __future__ import annotations

from pathlib import Path

import click

from topo_sweep.cli.shared.common import format_option, print_records, several_results_argument


@click.command()
@several_results_argument
@click.option(
    "--table",
    type=click.Choice(["2", "3", "4", "fig2", "depth", "phases", "ablations"]),
    help="One table of the paper.  [default: all that there are rows for]",
)
@format_option
def compare(results: tuple[Path, ...], table: str | None, output_format: str) -> None:
    """Print our figures beside the published ones, and what differs in protocol and data.

    RESULTS are sweeps' folders, or folders of sweeps (then all of them). Rows of other protocols
    or images are never averaged: each gets a table of its own. Intervals are Student t intervals
    over seeds, cut where no mean can be: at 0 and, for accuracies, at 100%.

    \b
    Example:
      topo-sweep compare results/subspaces-* --table fig2
    """
    from topo_sweep.paper import compare as comparing

    compared = comparing.compare(comparing.open_sources(results), table)
    remarks = [compared.missing] if compared.missing else []
    print_records(compared.records, output_format, compared.text, remarks=remarks)
