"""Groups and seeds that add up: least squares on the cells that there are.

Not here: tests of whether groups differ, which need more than the fit (`two_way.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from topo_sweep.analysis.accuracy import Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class Additive:
    """A table as the sum of a part of each group, a part of each seed, and what is left.

    Args:
        means: of each group as if all had the same seeds, (groups,); NaN where it has none.
        of_seed: what each seed adds, (seeds,); 0 on average over seeds that can be compared, and
            for one without a cell.
        left: what is left, (seeds, groups), NaN where the table is.
        freedom: degrees of freedom of what is left, 1 or more.

    """

    means: Floats
    of_seed: Floats
    left: Floats
    freedom: int


def additive(table: pd.DataFrame | Floats) -> Additive:
    """Fit groups and seeds together.

    Groups that share no seed with others, not by way of third ones either, keep their plain means.

    Args:
        table: a row a seed, a column a group, NaN where nothing was trained.

    """
    values = np.asarray(table, dtype=float)
    there = np.isfinite(values)
    cells, n = there.astype(float), there.sum(axis=0)
    share = cells / np.maximum(n, 1)
    plain = (np.where(there, values, 0.0) * share).sum(axis=0)
    left = np.where(there, values - plain, 0.0)
    # Seeds are few, so groups are eliminated; a seed without a cell stays at 0.
    information = np.diag(cells.sum(axis=1)) - share @ cells.T
    sizes, vectors = np.linalg.eigh(information)
    known = sizes > 1e-9 * sizes.max(initial=0.0)
    vectors, sizes = vectors[:, known], sizes[known]
    of_seed = vectors @ (vectors.T @ left.sum(axis=1) / sizes)
    of_group = of_seed @ share
    return Additive(
        means=np.where(n > 0, plain - of_group, np.nan),
        of_seed=of_seed,
        left=np.where(there, left - of_seed[:, None] + of_group, np.nan),
        freedom=max(int(n.sum()) - int((n > 0).sum()) - len(sizes), 1),
    )


def adjusted_means(table: pd.DataFrame, lost: pd.DataFrame | None = None) -> pd.Series[float]:
    """Return the mean of each group as `additive` has it: none is praised for having lucky seeds.

    Args:
        table: a row a seed, a column a group.
        lost: likewise, whether a training diverged. That says nothing of its seed: it counts in the
            mean of its group and not in what seeds do.

    """
    fitted = table if lost is None else table.mask(lost)
    of_seed = pd.Series(additive(fitted).of_seed, table.index)
    means: pd.Series[float] = table.sub(of_seed, axis="index").mean()
    return means


def apart(table: pd.DataFrame) -> pd.Index[int]:
    """Return the groups that share no seed with most others, not by way of third ones either.

    What seeds do cannot be told from what such groups are.
    """
    there = table.notna().to_numpy().astype(float)
    part: Any = np.zeros(table.shape[1], dtype=int)
    if not there.all():
        from scipy.sparse.csgraph import connected_components

        _, part_of_seed = connected_components(there @ there.T)
        part = part_of_seed[there.argmax(axis=0)]
    return table.columns[part != np.bincount(part).argmax()]
