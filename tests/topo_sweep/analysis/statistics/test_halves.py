"""Seeds in two halves."""

from __future__ import annotations

import numpy as np

from topo_sweep.analysis.statistics.halves import halves


def test_all_splits_are_taken_where_they_are_few() -> None:
    splits = halves(5, most=10, drawn=3)

    assert splits.shape == (10, 5)
    assert len(np.unique(splits, axis=0)) == 10
    assert (splits.sum(axis=1) == 2).all()


def test_of_many_splits_some_are_drawn_the_same_each_time() -> None:
    splits = halves(10, most=251, drawn=40)

    assert splits.shape == (40, 10)
    assert (splits.sum(axis=1) == 5).all()
    assert (splits == halves(10, most=251, drawn=40)).all()
    assert (splits != halves(10, most=251, drawn=40, seed=1)).any()
