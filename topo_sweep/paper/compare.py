"""Our sweeps beside the paper: opens them, fills the tables that they can, names the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nas_core.errors import InputError
from topo_sweep.paper.ablations import ablations
from topo_sweep.paper.evidence import Evidence, Source, gather
from topo_sweep.paper.figure_2 import figure_2
from topo_sweep.paper.phases import phases
from topo_sweep.paper.records import ComparedTable, format_table
from topo_sweep.paper.table_2 import table_2
from topo_sweep.paper.table_3 import table_3
from topo_sweep.paper.table_4 import table_4
from topo_sweep.store.opened import OpenedSweep, is_sweep, open_sweep, sweeps_in


@dataclass(frozen=True)
class _Table:
    """A table of the paper: its name in a sentence, what compares it, commands that fill it."""

    name: str
    compare: Callable[[Evidence], list[ComparedTable]]
    commands: tuple[str, ...]

    @property
    def how(self) -> str:
        """Its name, and in brackets the commands."""
        return f"{self.name} ({' or '.join(f'`topo-sweep run {arg}`' for arg in self.commands)})"


_TABLES: Final[Mapping[str, _Table]] = {
    "2": _Table("table 2", table_2, ("table2",)),
    "3": _Table("table 3", table_3, ("known_cells",)),
    "4": _Table("table 4", table_4, ("table4",)),
    "fig2": _Table("figure 2", figure_2, ("subspaces",)),
    "phases": _Table("the phases", phases, ("topologies",)),
    "ablations": _Table(
        "the ablations", ablations, ("ablation_deep", "ablation_equal --topology N")
    ),
}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The tables that there are rows for; `missing` names the others, '' for none."""

    tables: tuple[ComparedTable, ...]
    missing: str

    @property
    def text(self) -> str:
        """Everything for people."""
        parts = [format_table(table) for table in self.tables]
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
        table: '2', '3', '4', 'fig2', 'phases' or 'ablations'.

    Raises:
        InputError: nothing fits; says what would.

    """
    evidence = gather(sources)
    chosen = [_TABLES[name] for name in _TABLES if table in {None, name}]
    compared = [(paper_table, paper_table.compare(evidence)) for paper_table in chosen]
    tables = tuple(ours for _, filled in compared for ours in filled)
    ways = ", ".join(paper_table.how for paper_table, filled in compared if not filled)
    if not tables:
        names = ", ".join(source.name for source in sources)
        raise InputError(f"{names}: no rows for {ways}")
    return Compared(tables=tables, missing=f"No rows for: {ways}." if ways and not table else "")


def _source(sweep: OpenedSweep) -> Source:
    manifest = sweep.manifest
    return Source(
        name=sweep.folder.name,
        trials=sweep.trials(),
        searches=sweep.searches(),
        protocols={manifest.protocol_hash: manifest.protocol},
        search_protocols=sweep.search_protocols(),
        layout=manifest.layout,
    )
