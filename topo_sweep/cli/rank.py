"""`topo-sweep rank`: the table of topologies, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from topo_sweep.cli.shared.common import (
    FORMAT,
    evaluated,
    print_records,
    results_argument,
    say_which,
)
from topo_sweep.cli.shared.options import FROM_ONE, option, takes

if TYPE_CHECKING:
    from topo_sweep.analysis.ranking import Ranking


@dataclass(frozen=True, kw_only=True)
class RankRequest:
    """What is ranked, by what, and how it is printed."""

    top: int = option(type=FROM_ONE, default=20, show_default=True, help="Rows.")
    by: str | None = option(
        type=click.Choice(["topology", "class"]),
        help="Pool the members of a class, which are the same network up to renamed nodes, or not."
        "  [default: class in a sweep of topologies]",
    )
    metric: str | None = option(
        type=click.Choice(["val", "test"]),
        help="Accuracy to rank by.  [default: val where there is a hold-out, else test]",
    )
    min_seeds: int = option(
        type=FROM_ONE, default=1, show_default=True, help="Leave out what has fewer seeds."
    )
    output_format: str = option("--format", "output_format", **FORMAT)


@click.command()
@results_argument
@takes(RankRequest)
def rank(request: RankRequest, results: Path) -> None:
    """Print the best classes of topologies with 95% intervals over training seeds.

    Beside each mean stand what it shrinks to without the luck of seeds, which ranks are possible,
    and whether the group is in the set that holds the best with 95% confidence.

    RESULTS is a sweep's folder, or a folder of sweeps (then the one with the newest row).

    \b
    Example:
      topo-sweep rank --by topology --min-seeds 3
    """
    from topo_sweep.analysis import ranking
    from topo_sweep.analysis.comparable import precision_remarks
    from topo_sweep.analysis.design import NEEDED
    from topo_sweep.analysis.selection import chosen_on_test_images
    from topo_sweep.analysis.text import counted
    from topo_sweep.store.opened import open_sweep

    sweep = open_sweep(results)
    trials = evaluated(sweep, NEEDED)
    ranked = ranking.rank(
        trials,
        by=request.by,
        metric=request.metric,
        min_seeds=request.min_seeds,
        adaptive=sweep.manifest.adaptive is not None,
    )
    say_which(sweep, results)
    remarks = chosen_on_test_images(sweep.manifest.origins)
    remarks += precision_remarks(sweep.manifest.protocol.precision)
    if sweep.holds_searches and (cells := sum(map(len, sweep.populations().values()))):
        remarks.append(f"Left out: {counted(cells, 'random cell')} beside what was found.")
    print_ranking(ranked, request.output_format, request.top, remarks=remarks)


def print_ranking(
    ranked: Ranking, output_format: str, top: int | None = None, *, remarks: Sequence[str] = ()
) -> None:
    """Print the first `top` rows of a ranking, and what a reader of the numbers must know."""
    from topo_sweep.analysis import ranking

    records, text = ranking.to_records(ranked, top), ranking.format_table(ranked, top)
    text = "\n".join([text, *remarks])
    print_records(records, output_format, text, remarks=[ranked.header, *remarks])
