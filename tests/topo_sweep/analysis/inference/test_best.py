"""Which groups may be the best, and which ranks each may have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.topo_sweep.analysis.inference.tables import design, table
from topo_sweep.analysis.inference import best
from topo_sweep.analysis.inference.best import dunnett_quantile, places, places_finding
from topo_sweep.analysis.inference.pairs import all_pairs

NOISE = np.array([0.0, 0.002, -0.002, 0.001, -0.001])


@pytest.mark.parametrize(
    ("comparisons", "df", "printed"),
    [(1, 20, 1.72), (4, 20, 2.30), (9, 20, 2.60), (2, 5, 2.44), (9, 5, 3.30), (3, 10, 2.34)],
)
def test_the_critical_value_is_the_one_of_dunnetts_table(
    comparisons: int, df: float, printed: float
) -> None:
    # Dunnett (1955), table 1a: one-sided, 95%.
    assert dunnett_quantile(comparisons, df) == pytest.approx(printed, abs=0.006)


def test_in_a_balanced_design_the_best_set_is_hsus() -> None:
    random = np.random.default_rng(5)
    tables = [table(9, 5, random=random, means=np.linspace(0, 3, 9)) for _ in range(30)]
    alike = [wide for wide in tables if all_pairs(wide).alike]
    assert len(alike) > 9
    for wide in alike:
        left = wide.sub(wide.mean(), axis=1).sub(wide.mean(axis=1), axis=0) + wide.mean(axis=None)
        mean_square = float((left.to_numpy() ** 2).sum()) / 32
        # Hsu (1981): what is within d * s * sqrt(2 / n) of the best mean stays.
        margin = dunnett_quantile(8, 32) * np.sqrt(mean_square * 2 / 5)
        expected = wide.mean() > wide.mean().max() - margin
        assert places(wide)["in_best_set"].tolist() == expected.tolist()


def test_what_is_clear_of_noise_has_its_own_rank_and_what_is_not_shares_an_interval() -> None:
    shifts = [np.roll(NOISE, shift) for shift in range(4)]
    means = (0.95, 0.9, 0.9, 0.5)
    found = places(
        pd.DataFrame({n: m + e for n, (m, e) in enumerate(zip(means, shifts, strict=True))})
    )

    assert found["rank_low"].tolist() == [1, 2, 2, 4]
    assert found["rank_high"].tolist() == [1, 3, 3, 4]
    assert found["in_best_set"].tolist() == [True, False, False, False]


def test_a_group_with_one_seed_gets_no_place_and_may_stand_anywhere_among_the_others() -> None:
    wide = pd.DataFrame({0: 0.95 + NOISE, 1: 0.9 + np.roll(NOISE, 1), 2: 0.9 + np.roll(NOISE, 2)})
    wide[3] = [0.99, *[np.nan] * 4]

    found = places(wide)

    assert found.loc[3].isna().all()
    assert found.T[0].tolist() == [1, 2, True]
    assert found["rank_high"].dropna().tolist() == [2, 4, 4]


@pytest.mark.parametrize("seeds", [1, 3])
def test_without_spread_nothing_is_claimed(seeds: int) -> None:
    found = places(pd.DataFrame([[0.9, 0.8, 0.7]] * seeds))

    if seeds == 1:
        assert found.isna().all(axis=None)
    else:
        assert found["rank_low"].tolist() == [1, 1, 1]
        assert found["rank_high"].tolist() == [3, 3, 3]
        assert found["in_best_set"].all()


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_many_groups_are_judged_by_intervals_that_claim_less(
    missing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    wide = table(30, 6, random=random, means=random.normal(0, 6, 30), missing=missing)
    by_pairs = places(wide)
    monkeypatch.setattr(best, "MOST_PAIRED", 20)
    by_intervals = places(wide)

    assert (by_intervals["rank_low"] <= by_pairs["rank_low"]).all()
    assert (by_intervals["rank_high"] >= by_pairs["rank_high"]).all()
    assert by_intervals["in_best_set"][by_pairs["in_best_set"]].all()
    assert (by_intervals["rank_low"] > 1).any()


@pytest.mark.parametrize("world", ["normal", "heavy tails", "unequal", "missing"])
def test_the_best_set_holds_the_best_and_ranks_lie_in_their_intervals(world: str) -> None:
    random = np.random.default_rng(1)
    held = ranked = 0
    missing = 0.15 if world == "missing" else 0.0
    for _ in range(40):
        means = random.normal(0, 1.5, 12)
        noise = random.standard_normal((5, 12))
        if world == "heavy tails":
            noise = random.standard_t(3, (5, 12))
        if world == "unequal":
            noise *= np.where(np.arange(12) % 4, 1.0, 3.0)
        wide = table(12, 5, random=random, means=means, noise=noise, missing=missing)
        found = places(wide)
        rank = 1 + (means[None] > means[:, None]).sum(axis=1)
        inside = (found["rank_low"] <= rank) & (rank <= found["rank_high"])
        held += bool(found["in_best_set"].fillna(True)[means.argmax()])
        ranked += bool(inside.fillna(True).all())
    assert min(held, ranked) >= 38


def test_the_finding_lists_the_best_set_best_first_and_claims_nothing_of_noise() -> None:
    noise = {0: 0.95 + NOISE, 1: 0.9505 + np.roll(NOISE, 1), 4: 0.9 + np.roll(NOISE, 2)}
    finding = places_finding(design({t: list(values) for t, values in noise.items()}))

    assert finding.sentence == (
        "With 95% confidence the best of 3 classes is one of 2: classes 1 and 0 (n = 5). "
        "3 of 3 ranks are narrower than 1 to 3, all at once."
    )
    assert finding.numbers["in_best_set"] == 2
    behind = finding.tables["behind_by_seed"]
    assert behind["class 0"].tolist() == pytest.approx(
        (0.0005 + np.roll(NOISE, 1) - NOISE).tolist()
    )

    alike = places_finding(design({0: [0.9, 0.8, 0.85], 1: [0.8, 0.9, 0.87]}))
    assert alike.sentence.startswith("Each of 2 classes may be the best (n = 3): none is surely ")
    one = places_finding(design({0: [0.9], 1: [0.8]}))
    assert one.sentence.startswith("None of 2 classes is known to be among the best (n = 1)")
    assert not one.numbers
