"""Our sweeps beside the paper: opens them, fills the tables that they can, names the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nas_core.errors import InputError
from nas_core.protocols.training import PRESETS
from topo_sweep.paper.ablations import ablations
from topo_sweep.paper.cells import table_3, table_4
from topo_sweep.paper.claims import figure_2
from topo_sweep.paper.evidence import Evidence, Source, gather
from topo_sweep.paper.phases import phases
from topo_sweep.paper.records import Comparison, format_comparison
from topo_sweep.paper.table_2 import table_2
from topo_sweep.store.opened import OpenedSweep, open_sweep
from topo_sweep.store.paths import StorePaths

if TYPE_CHECKING:
    from nas_core.protocols.training import Protocol


@dataclass(frozen=True, kw_only=True)
class _Table:
    """A table of the paper: its name in a sentence, commands that fill it, what compares it."""

    name: str
    filled_by: tuple[str, ...]
    compare: Callable[[Evidence], list[Comparison]]

    @property
    def how(self) -> str:
        """Its name, and in brackets the commands."""
        return f"{self.name} ({' or '.join(f'`{command}`' for command in self.filled_by)})"


_TABLES: Final[Mapping[str, _Table]] = {
    "2": _Table(name="table 2", filled_by=("topo-sweep run table2",), compare=table_2),
    "3": _Table(name="table 3", filled_by=("topo-sweep run known_cells",), compare=table_3),
    "4": _Table(name="table 4", filled_by=("topo-sweep run table4",), compare=table_4),
    "fig2": _Table(name="figure 2", filled_by=("topo-sweep run subspaces",), compare=figure_2),
    "phases": _Table(name="the phases", filled_by=("topo-sweep run topologies",), compare=phases),
    "ablations": _Table(
        name="the ablations",
        filled_by=(
            "topo-sweep run ablation_deep",
            "topo-sweep run ablation_equal --topology N",
        ),
        compare=ablations,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The comparisons that there are rows for; `missing` names the other tables, '' for none."""

    comparisons: tuple[Comparison, ...]
    missing: str

    @property
    def text(self) -> str:
        """Everything for people."""
        parts = [format_comparison(own) for own in self.comparisons]
        return "\n\n\n".join([*parts, self.missing] if self.missing else parts)


def open_sources(folders: Sequence[Path]) -> list[Source]:
    """Read sweeps, each once; of a folder of sweeps all.

    Raises:
        InputError: nothing there, or not a sweep.

    """
    found = {}
    for folder in folders:
        children = sorted(folder.iterdir()) if folder.is_dir() and not _is_sweep(folder) else []
        for sweep in [child for child in children if _is_sweep(child)] or [folder]:
            found[sweep.resolve()] = sweep
    return [_source(open_sweep(sweep)) for sweep in found.values()]


def compare(sources: Sequence[Source], table: str | None = None) -> Compared:
    """Compare with one table of the paper, or with all that the rows can fill.

    Args:
        sources: the sweeps.
        table: '2', '3', '4', 'fig2', 'phases' or 'ablations'.

    Raises:
        InputError: nothing fits; says what would.

    """
    evidence = gather(sources)
    chosen = {name: own for name, own in _TABLES.items() if table in {None, name}}
    found = {name: own.compare(evidence) for name, own in chosen.items()}
    comparisons = tuple(own for name in found for own in found[name])
    ways = ", ".join(own.how for name, own in chosen.items() if not found[name])
    if not comparisons:
        names = ", ".join(source.name for source in sources)
        raise InputError(f"{names}: no rows for {ways}")
    return Compared(
        comparisons=comparisons, missing=f"No rows for: {ways}." if ways and not table else ""
    )


def _is_sweep(folder: Path) -> bool:
    return StorePaths(folder).manifest.exists()


def _source(sweep: OpenedSweep) -> Source:
    manifest = sweep.manifest
    protocols: dict[str, Protocol] = {own.protocol_hash: own for own in PRESETS.values()}
    return Source(
        name=sweep.folder.name,
        trials=sweep.trials(),
        searches=sweep.searches(),
        protocols=protocols | {manifest.protocol_hash: manifest.protocol},
        layout=manifest.layout,
        search_protocols=sweep.search_protocols(),
    )
