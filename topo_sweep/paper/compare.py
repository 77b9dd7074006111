"""Our sweeps beside the paper: opens them, fills the tables that they can, names the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nas_core.errors import InputError
from topo_sweep.paper.ablations import ablations
from topo_sweep.paper.depth import depth
from topo_sweep.paper.evidence import Evidence, Source, gather
from topo_sweep.paper.figure_2 import figure_2
from topo_sweep.paper.phases import phases
from topo_sweep.paper.records import ComparedTable
from topo_sweep.paper.table_2 import table_2
from topo_sweep.paper.table_3 import table_3
from topo_sweep.paper.table_4 import table_4
from topo_sweep.store.opened import OpenedSweep, is_sweep, open_sweep, sweeps_in

_Comparison = Callable[[Evidence], list[ComparedTable]]

_TABLES: Final[Mapping[str, tuple[_Comparison, str]]] = {
    "2": (table_2, "table 2 (`topo-sweep run table2`)"),
    "3": (table_3, "table 3 (`topo-sweep run known_cells`)"),
    "4": (table_4, "table 4 (`topo-sweep run table4`)"),
    "fig2": (figure_2, "figure 2 (`topo-sweep run subspaces`)"),
    "depth": (depth, "the depth in SS1 (`topo-sweep run depth`)"),
    "phases": (phases, "the phases (`topo-sweep run topologies`)"),
    "ablations": (
        ablations,
        (
            "the ablations (`topo-sweep run ablation_deep` or "
            "`topo-sweep run ablation_equal --topology N`)"
        ),
    ),
}
"""What compares with a table of the paper, and its name with the commands that fill it."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The tables that there are rows for; `missing` names the others, '' for none."""

    tables: tuple[ComparedTable, ...]
    missing: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """Everything for programs: a flat record for each number."""
        return [record for table in self.tables for record in table.records]

    @property
    def text(self) -> str:
        """Everything for people."""
        parts = [table.text for table in self.tables]
        return "\n\n\n".join([*parts, self.missing] if self.missing else parts)


def open_sources(folders: Sequence[Path]) -> list[Source]:
    """Read sweeps, each once; of a folder of sweeps all.

    Raises:
        InputError: nothing there, or not a sweep.

    """
    sweeps: dict[Path, OpenedSweep] = {}
    for folder in folders:
        inside = [] if is_sweep(folder) else sweeps_in(folder)
        sweeps |= {sweep.folder.resolve(): sweep for sweep in inside or [open_sweep(folder)]}
    return [_source(sweep) for sweep in sweeps.values()]


def compare(sources: Sequence[Source], table: str | None = None) -> Compared:
    """Compare with one table of the paper, or with all that the rows can fill.

    Args:
        sources: the sweeps.
        table: '2', '3', '4', 'fig2', 'depth', 'phases' or 'ablations'.

    Raises:
        InputError: nothing fits; says what would.

    """
    evidence = gather(sources)
    filled = {
        how: comparison(evidence)
        for name, (comparison, how) in _TABLES.items()
        if table in {None, name}
    }
    tables = tuple(ours for compared in filled.values() for ours in compared)
    ways = ", ".join(how for how, compared in filled.items() if not compared)
    if not tables:
        names = ", ".join(source.name for source in sources)
        raise InputError(f"{names}: no rows for {ways}")
    return Compared(tables=tables, missing=f"No rows for: {ways}." if ways and not table else "")


def _source(sweep: OpenedSweep) -> Source:
    manifest = sweep.manifest
    return Source(
        name=sweep.folder.name,
        trials=sweep.trials(random_cells=False),
        searches=sweep.searches(),
        protocols={manifest.protocol_hash: manifest.protocol},
        search_protocols=sweep.search_protocols(),
        layout=manifest.layout,
        origins=manifest.origins,
        seeds_beforehand=manifest.seeds_beforehand if manifest.race else None,
    )
