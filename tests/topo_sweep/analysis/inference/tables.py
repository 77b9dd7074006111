"""Made-up tables of accuracies, a row a seed and a column a group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tests.topo_sweep.analysis.ranking_rows import frame, row
from topo_sweep.analysis.design import Design, design_of

SD = 0.003


def table(
    groups: int,
    seeds: int,
    *,
    random: np.random.Generator,
    means: Any = 0.0,
    noise: Any = None,
    missing: float = 0.0,
) -> pd.DataFrame:
    """Accuracies near 0.9 with effects of the seeds; `means` and `noise` are in units of `SD`."""
    errors = random.standard_normal((seeds, groups)) if noise is None else noise
    values = 0.9 + SD * (means + errors + random.standard_normal((seeds, 1)))
    values = np.where(random.random((seeds, groups)) < missing, np.nan, values)
    return pd.DataFrame(values)


def design(accuracies: dict[int, list[float]], **options: Any) -> Design:
    """The design of topologies by index, each with an accuracy a seed."""
    rows = [
        row(topology, seed, value)
        for topology, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return design_of(frame(rows), **options)
