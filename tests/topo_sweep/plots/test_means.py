"""What the picture of means with and without their luck promises."""

from __future__ import annotations

import numpy as np
import pytest

from nas_core.errors import InputError
from tests.topo_sweep.analysis.ranking_rows import frame, row
from tests.topo_sweep.plots.figure_checks import unreadable, words
from topo_sweep.analysis.design import Design, design_of
from topo_sweep.plots.means import means

CLASSES = (0, 1, 4, 7, 11, 12, 13, 14)


def design(seeds: int = 4) -> Design:
    accuracies = np.random.default_rng(0).normal(0.9, 0.002, size=(len(CLASSES), seeds))
    return design_of(
        frame(
            [
                row(topology, seed, accuracies[number, seed])
                for number, topology in enumerate(CLASSES)
                for seed in range(seeds)
            ]
        )
    )


def test_the_best_first_and_every_shrunken_mean_between_raw_and_common_mean() -> None:
    figure = means(design())

    [axes] = figure.axes
    _, shrunken, raw = axes.lines
    measured, drawn = (np.asarray(line.get_ydata(), dtype=float) for line in (raw, shrunken))
    assert measured.tolist() == sorted(measured, reverse=True)
    assert measured.max() == pytest.approx(100 * design().table.mean().max())
    centre = float(np.asarray(axes.lines[0].get_ydata(), dtype=float)[0])
    assert (np.abs(drawn - centre) <= np.abs(measured - centre) + 1e-9).all()
    assert "n = 4" in words(figure)
    assert unreadable(figure) == []


def test_one_seed_is_refused_for_its_luck_is_unknown() -> None:
    with pytest.raises(InputError, match=r"8 classes \(n = 1\): run more seeds"):
        means(design(seeds=1))
