"""The instrument: enumerate topologies, run sweeps on Ray, rank and plot what was measured.

`load_results(path)` gives a sweep's trials as a DataFrame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from topo_sweep.store.opened import load_results

__all__ = ["load_results"]


def __getattr__(name: str) -> object:
    """Import on first use: `topo-sweep --help` needs neither pandas nor pyarrow."""
    if name == "load_results":
        from topo_sweep.store.opened import load_results

        return load_results
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
