"""The fixed wiring of a search, as commands take it: an index, or the best of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas_core.errors import InputError
from topo_sweep.cli.shared.options import WiringChoice


@dataclass(frozen=True)
class Wiring:
    """The search settings that the two options ask for, and where the choice came from.

    `remarks` say how sure the choice is. A command prints them only after it has checked the whole
    request, so that a refused one gets a single line.
    """

    settings: dict[str, int]
    origin: str | None = None
    remarks: tuple[str, ...] = ()


def chosen_wiring(choice: WiringChoice, settings: Sequence[str]) -> Wiring:
    """Return what `--topology` and `--topology-from` ask for.

    Args:
        choice: the two options.
        settings: the texts of `--set`, which may name a wiring too.

    Raises:
        InputError: several of them, or a sweep that ranks no topologies.

    """
    index, folder = choice.topology, choice.topology_from
    typed = [text for text in settings if text.startswith(("topology=", "search.topology="))]
    if typed and (index is not None or folder is not None):
        raise InputError(f"--set {typed[0]} and --topology or --topology-from differ: give one")
    if folder is None:
        return Wiring({} if index is None else {"topology": index})
    if index is not None:
        raise InputError("--topology and --topology-from both name a wiring: give one")
    from topo_sweep.analysis.selection import best_topologies
    from topo_sweep.store.opened import open_sweep

    best = best_topologies(open_sweep(folder))
    best_index = best.genotypes[0].normal.topology.index
    said = (*best.remarks, f"topology {best_index}: {best.origin}")
    return Wiring({"topology": best_index}, best.origin, said)
