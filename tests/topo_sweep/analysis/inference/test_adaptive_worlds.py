"""A race against equal seeds for all: a short version of what benchmarks repeat."""

from __future__ import annotations

import numpy as np
import pytest

from topo_sweep.analysis.inference.adaptive_worlds import (
    NOISE,
    SEED_EFFECT,
    SETTINGS,
    WORLDS,
    World,
    saving,
    spent,
)

BEST = SETTINGS.model_copy(update={"top": 1})


@pytest.mark.parametrize("name", ["reliability 0.9", "unbalanced", "one winner", "null"])
def test_the_best_takes_fewer_runs_than_with_equal_seeds_and_errs_as_seldom(name: str) -> None:
    found = saving(WORLDS[name], BEST, repeats=2, seeds=150)

    assert (found.repeats, found.undecided) == (2, 0)
    assert found.ratio > 1.25
    assert found.adaptive_errors == found.uniform_errors == 0.0


def test_the_same_seed_gives_the_same_numbers() -> None:
    first, again, other = (
        saving(World(reliability=0.9), BEST, repeats=2, seed=seed, classes=12) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_a_world_is_what_it_says() -> None:
    rng = np.random.default_rng(0)
    truth, table = World(reliability=0.8, missing=0.2).draw(rng, classes=200, seeds=300)
    noise = table - np.nanmean(table, axis=1, keepdims=True)

    assert np.isnan(table).mean() == pytest.approx(0.2, abs=0.01)
    assert truth.std() == pytest.approx(2 * NOISE, rel=0.15)
    assert np.nanstd(noise, axis=0).mean() == pytest.approx(NOISE, rel=0.05)
    assert np.nanmean(table, axis=1).std() == pytest.approx(SEED_EFFECT, rel=0.15)
    lead, _ = World(lead=0.01).draw(rng, classes=5, seeds=1)
    assert sorted(lead) == [0, 0, 0, 0, 0.01]
    _, heavy = World(tails=4.0).draw(rng, classes=50, seeds=400)
    own = heavy - heavy.mean(axis=1, keepdims=True)
    assert own.std() == pytest.approx(NOISE, rel=0.1)
    assert (np.abs(own) > 4 * NOISE).mean() > 1e-3


def test_without_enough_seeds_a_race_stays_undecided() -> None:
    truth, table = World().draw(np.random.default_rng(1), classes=6, seeds=5)
    ended = spent(
        truth, table, SETTINGS.model_copy(update={"top": 2, "delta_points": 0.0}), adaptive=True
    )
    assert not ended.is_decided
    assert ended.most_seeds == 5
