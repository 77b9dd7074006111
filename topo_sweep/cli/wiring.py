"""The fixed wiring of a search, as commands take it: an index, or the best of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nas_core.errors import InputError
from topo_sweep.cli.common import say

TOPOLOGY_OPTIONS = [
    click.option(
        "--topology", type=click.IntRange(min=0), help="Search along this fixed wiring, such as 17."
    ),
    click.option(
        "--topology-from",
        type=click.Path(path_type=Path),
        metavar="RESULTS",
        help="Search along the best wiring of this topology sweep.",
    ),
]


def chosen_topology(given: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return the search settings that the two options ask for, and where the choice came from.

    Says how sure the choice is.

    Raises:
        InputError: both options, or a sweep that ranks no topologies.

    """
    index, folder = given["topology"], given["topology_from"]
    if folder is None:
        return ({} if index is None else {"topology": index}), None
    if index is not None:
        raise InputError("--topology and --topology-from both name a wiring: give one")
    from topo_sweep.results import open_sweep
    from topo_sweep.selection import best_topologies

    choice = best_topologies(open_sweep(folder))
    best = choice.genotypes[0].normal.topology.index
    for remark in choice.remarks:
        say(remark)
    say(f"topology {best}: {choice.origin}")
    return {"topology": best}, choice.origin
