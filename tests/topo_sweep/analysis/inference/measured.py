"""Made-up sweeps of classes whose true values and noise are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nas_core.cells.topology import isomorphism_classes
from tests.topo_sweep.analysis.ranking_rows import frame, row

REPRESENTATIVES = [members[0].index for members in isomorphism_classes()]


def measured(
    true: Sequence[float],
    *,
    seeds: int = 4,
    noise: float = 0.0,
    topologies: Sequence[int] = REPRESENTATIVES,
    seed: int = 0,
    **values: Any,
) -> pd.DataFrame:
    """Return trials of these topologies; each seed has an offset, each training noise."""
    random = np.random.default_rng(seed)
    return frame(
        [
            row(topology, number, 0.5 + value + 0.01 * number + random.normal(0, noise), **values)
            for topology, value in zip(topologies, true, strict=False)
            for number in range(seeds)
        ]
    )


def curves_of(trials: pd.DataFrame, rising: Sequence[float]) -> pd.DataFrame:
    """Return learning curves that end at the accuracy of each training."""
    return pd.DataFrame(
        [
            {"trial_id": trial, "epoch": epoch, "test_accuracy": share * accuracy}
            for trial, accuracy in zip(trials["trial_id"], trials["test_accuracy"], strict=True)
            for epoch, share in enumerate(rising)
        ]
    )
