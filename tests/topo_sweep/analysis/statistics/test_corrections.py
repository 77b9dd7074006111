"""Adjusted p-values against statsmodels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from topo_sweep.analysis.accuracy import Floats
from topo_sweep.analysis.statistics.corrections import benjamini_hochberg, holm


@pytest.mark.parametrize(("ours", "method"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_adjusted_values_are_those_of_statsmodels_and_nan_is_not_counted(
    ours: Callable[[Floats], Floats], method: str
) -> None:
    p = np.random.default_rng(0).random(40) ** 3
    p[7] = p[8]
    with_gaps = np.insert(p, [0, 20, 40], np.nan)

    assert ours(p) == pytest.approx(multipletests(p, method=method)[1])
    assert ours(with_gaps) == pytest.approx(np.insert(ours(p), [0, 20, 40], np.nan), nan_ok=True)
    assert np.isnan(ours(np.full(2, np.nan))).all()


def test_holm_multiplies_the_least_p_most_and_keeps_the_order() -> None:
    # Sorted: 0.01 x 3, 0.02 x 2, 0.9 x 1.
    assert holm([0.02, 0.9, 0.01]).tolist() == pytest.approx([0.04, 0.9, 0.03])
    # 0.03 x 2 = 0.06, and 0.04 x 1 is raised to it.
    assert holm([0.03, 0.04]).tolist() == pytest.approx([0.06, 0.06])
    assert holm([0.6, 0.7]).tolist() == [1, 1]
    assert holm([]).tolist() == []
