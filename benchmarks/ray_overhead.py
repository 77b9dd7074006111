"""Seconds a trial that Ray adds beyond training: trials that train nothing, with Ray and without.

The measurement is that of `topo-sweep bench --kind overhead`; this keeps it.

Run: python benchmarks/ray_overhead.py [TRIALS]
"""

from __future__ import annotations

import sys
from pathlib import Path

from topo_sweep.bench.ray_cost import ray_figures, ray_text
from topo_sweep.bench.record import keep, record

RESULT = Path(__file__).parent / "results" / "ray_overhead.json"
REPEATS = 3


def main() -> None:
    """Measure, print and keep."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    figures = ray_figures(trials=trials, repeats=REPEATS, tell=lambda _: None)
    print(f"{trials} trials that train nothing, n = {REPEATS} each, in turn\n\n{ray_text(figures)}")
    keep(RESULT, record(f"python benchmarks/ray_overhead.py {trials}", figures, n=REPEATS))


if __name__ == "__main__":
    main()
