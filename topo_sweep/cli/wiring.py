"""The fixed wiring of a search, as commands take it: an index, or the best of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from nas_core.errors import InputError
from topo_sweep.cli.common import say

TOPOLOGY_OPTIONS = [
    click.option(
        "--topology",
        type=click.IntRange(0, 179),
        help="Search along this fixed wiring, such as 17.",
    ),
    click.option(
        "--topology-from",
        type=click.Path(path_type=Path),
        metavar="RESULTS",
        help="Search along the best wiring of this topology sweep.",
    ),
]


@dataclass(frozen=True)
class Wiring:
    """The search settings that the two options ask for, and where the choice came from.

    `remarks` say how sure the choice is: for once the whole request is known to be good, so that
    a refused one gets a single line.
    """

    settings: dict[str, Any]
    origin: str | None = None
    remarks: tuple[str, ...] = ()

    def say_remarks(self) -> None:
        """Print them."""
        for remark in self.remarks:
            say(remark)


def chosen_topology(given: dict[str, Any]) -> Wiring:
    """Return what the two options ask for.

    Raises:
        InputError: both options, or a sweep that ranks no topologies.

    """
    index, folder = given["topology"], given["topology_from"]
    keys = ("topology=", "search.topology=")
    typed = [text for text in given["settings"] if text.startswith(keys)]
    if typed and (index is not None or folder is not None):
        raise InputError(f"--set {typed[0]} and --topology or --topology-from differ: give one")
    if folder is None:
        return Wiring({} if index is None else {"topology": index})
    if index is not None:
        raise InputError("--topology and --topology-from both name a wiring: give one")
    from topo_sweep.analysis.selection import best_topologies
    from topo_sweep.store.opened import open_sweep

    choice = best_topologies(open_sweep(folder))
    best = choice.genotypes[0].normal.topology.index
    said = (*choice.remarks, f"topology {best}: {choice.origin}")
    return Wiring({"topology": best}, choice.origin, said)
