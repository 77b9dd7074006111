"""Seeds in two halves: one selects or ranks, and the other judges."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray


def halves(seeds: int, *, most: int, drawn: int, seed: int = 0) -> NDArray[np.bool_]:
    """Return which seeds are in the first half, of an odd number the smaller: (splits, seeds).

    Args:
        seeds: how many there are.
        most: so many splits are all taken.
        drawn: of more, so many are drawn.
        seed: of those that are drawn.

    """
    half = seeds // 2
    if comb(seeds, half) <= most:
        chosen = np.array(list(combinations(range(seeds), half)))
    else:
        random = np.random.default_rng(seed)
        chosen = np.array([random.permutation(seeds)[:half] for _ in range(drawn)])
    first = np.zeros((len(chosen), seeds), dtype=bool)
    np.put_along_axis(first, chosen, values=True, axis=1)
    return first
