"""The instrument: enumerate topologies, run sweeps on Ray, rank and plot what was measured.

Public names are imported on first use, so that `topo-sweep --help` loads nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from topo_sweep.analysis.ranking import rank
    from topo_sweep.runs.plan import make_plan
    from topo_sweep.runs.sweep import run
    from topo_sweep.spec.load import load_spec
    from topo_sweep.store.opened import load_results

__all__ = ["load_results", "load_spec", "make_plan", "rank", "run"]

_HOMES: Final = {
    "load_results": "topo_sweep.store.opened",
    "load_spec": "topo_sweep.spec.load",
    "make_plan": "topo_sweep.runs.plan",
    "rank": "topo_sweep.analysis.ranking",
    "run": "topo_sweep.runs.sweep",
}


def __getattr__(name: str) -> object:
    """Import a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names too, though they are not imported yet."""
    return sorted({*globals(), *__all__})
