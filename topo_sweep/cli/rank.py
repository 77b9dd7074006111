"""`topo-sweep rank`: the table of topologies, best first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from topo_sweep.cli.common import format_option, print_records, results_argument, say_which

if TYPE_CHECKING:
    from topo_sweep.analysis.ranking import Ranking


@click.command()
@results_argument
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="Rows.")
@click.option(
    "--by",
    type=click.Choice(["topology", "class"]),
    default="topology",
    show_default=True,
    help="Pool the members of a class, which are the same network up to renamed nodes.",
)
@click.option(
    "--metric",
    type=click.Choice(["val", "test"]),
    help="Accuracy to rank by.  [default: val where there is a hold-out, else test]",
)
@click.option(
    "--min-seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Leave out what has fewer seeds.",
)
@format_option
def rank(
    results: Path, *, top: int, by: str, metric: str | None, min_seeds: int, output_format: str
) -> None:
    """Print the best topologies with 95% intervals over training seeds.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep rank --by class --min-seeds 3
    """
    from topo_sweep.analysis import ranking
    from topo_sweep.store.opened import open_sweep

    sweep = open_sweep(results)
    ranked = ranking.rank(sweep.trials(), by=by, metric=metric, min_seeds=min_seeds)
    say_which(sweep, results)
    print_ranking(ranked, output_format, top)


def print_ranking(ranked: Ranking, output_format: str, top: int | None = None) -> None:
    """Print the first `top` rows of a ranking, and what a reader of the numbers must know."""
    from topo_sweep.analysis import ranking

    records, text = ranking.to_records(ranked, top), ranking.format_table(ranked, top)
    print_records(records, output_format, text, remarks=[ranked.header])
