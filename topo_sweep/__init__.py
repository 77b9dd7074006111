"""The instrument: enumerate topologies, run sweeps on Ray, rank and plot what was measured.

Public names are imported on first use, so that `topo-sweep --help` loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas_core.lazy import lazy_names

if TYPE_CHECKING:
    from topo_sweep.analysis.curves import mean_curve
    from topo_sweep.analysis.lookup import Benchmark
    from topo_sweep.analysis.ranking import rank
    from topo_sweep.runs.plan import make_plan
    from topo_sweep.runs.sweep import run
    from topo_sweep.spec.load import load_spec
    from topo_sweep.store.opened import load_curves, load_results

__all__ = [
    "Benchmark",
    "load_curves",
    "load_results",
    "load_spec",
    "make_plan",
    "mean_curve",
    "rank",
    "run",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "analysis.curves": ("mean_curve",),
        "analysis.lookup": ("Benchmark",),
        "analysis.ranking": ("rank",),
        "runs.plan": ("make_plan",),
        "runs.sweep": ("run",),
        "spec.load": ("load_spec",),
        "store.opened": ("load_curves", "load_results"),
    },
)
