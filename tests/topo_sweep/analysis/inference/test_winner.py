"""What the winner is worth on seeds that did not select it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from nas_core.errors import InputError
from tests.topo_sweep.analysis.inference.tables import SD, design, table
from topo_sweep.analysis.inference.best import places_finding
from topo_sweep.analysis.inference.intervals import intervals_finding
from topo_sweep.analysis.inference.shrinkage import shrinkage_finding
from topo_sweep.analysis.inference.winner import (
    DRAWN,
    winner_by_halves,
    winner_finding,
    winner_on,
)
from topo_sweep.analysis.statistics.additive import additive

SMALL = pd.DataFrame({0: [0.90, 0.80, 0.70, 0.60], 1: [0.60, 0.70, 0.80, 0.95]})


def test_seeds_that_select_do_not_judge() -> None:
    won = winner_on(SMALL, [0, 1])

    assert (won.group, won.others.n) == (0, 2)
    # Seeds 0-2 have 0.75 on average, seed 3 has 0.775: 0.00625 above the mean and 0.01875 below.
    assert (won.selected, won.others.mean) == pytest.approx((0.85625, 0.64375))
    assert won.others.low is not None


@pytest.mark.parametrize(("seeds", "said"), [([9], "none of"), ([0, 1, 2, 3], "all of")])
def test_seeds_that_are_none_or_all_are_refused(seeds: list[int], said: str) -> None:
    with pytest.raises(InputError, match=f"are {said} seeds 0-3: name some that select"):
        winner_on(SMALL, seeds)


def test_halves_are_averaged_over_all_splits() -> None:
    wide = table(5, 5, random=np.random.default_rng(0), missing=0.1)
    wide = wide.sub(additive(wide).of_seed, axis="index")
    estimates, again = [], []
    best = wide.mean().idxmax()
    for half in combinations(range(5), 2):
        others = wide.drop(index=list(half)).mean()
        winner = int(np.nanargmax(wide.loc[list(half)].mean().where(others.notna())))
        estimates.append(others.to_numpy()[winner])
        again.append(winner == best)

    won = winner_by_halves(wide)

    assert won is not None
    assert (won.group, won.splits) == (best, 10)
    assert won.others.mean == pytest.approx(np.mean(estimates))
    assert won.chosen_again == pytest.approx(np.mean(again))
    assert won.others.low is None


def test_of_many_splits_some_are_drawn_and_always_the_same() -> None:
    wide = table(5, 12, random=np.random.default_rng(0))
    first, again = winner_by_halves(wide), winner_by_halves(wide)

    assert first == again
    assert first is not None
    assert first.splits == DRAWN
    assert first != winner_by_halves(wide, seed=1)


def test_the_luck_of_the_best_of_many_equals_is_gone_on_other_seeds() -> None:
    random = np.random.default_rng(0)
    luck, honest = [], []
    for _ in range(30):
        wide = table(40, 6, random=random)
        won = winner_by_halves(wide.sub(wide.mean(axis=1) - 0.9, axis=0))
        assert won is not None
        luck.append(won.selected - 0.9)
        honest.append(won.others.mean - 0.9)
    assert np.mean(luck) > 0.7 * SD
    assert abs(np.mean(honest)) < 0.1 * SD


def test_one_seed_has_no_other() -> None:
    assert winner_by_halves(SMALL[:1]) is None
    assert winner_by_halves(pd.DataFrame({0: [0.9, np.nan], 1: [np.nan, 0.8]})) is None


BAD_SEED = [0.0, 0.01, 0.0, -0.2, 0.01]
"""What each of five seeds does to all groups."""


def with_a_bad_seed() -> pd.DataFrame:
    """Six groups, of which 0 is the best and 5 the worst; only 5 lacks the bad seed."""
    noise = np.random.default_rng(0).normal(0, 0.001, (5, 6))
    wide = pd.DataFrame(0.9 - 0.005 * np.arange(6) + np.transpose([BAD_SEED]) + noise)
    wide.loc[3, 5] = np.nan
    return wide


def test_a_group_without_the_bad_seed_does_not_win_by_that() -> None:
    wide = with_a_bad_seed()
    assert wide.mean().idxmax() == 5

    halves = winner_by_halves(wide)

    assert halves is not None
    assert (halves.group, halves.chosen_again, halves.in_some) == (0, 1.0, 0)
    for select in ([0, 3], [0, 1, 2]):
        won = winner_on(wide, select)
        assert (won.group, won.left_out) == (0, ())
        assert won.selected - won.others.mean == pytest.approx(0, abs=0.003)
        assert won.selected == pytest.approx(0.9 + np.mean(BAD_SEED), abs=0.003)


def test_nor_does_it_stand_first_in_any_table() -> None:
    wide = with_a_bad_seed().loc[[0, 1, 2, 4, 3]]
    accuracies = {group: wide[group].dropna().tolist() for group in range(6)}
    measured = design(accuracies, by="topology")

    for finding in (places_finding, intervals_finding, shrinkage_finding):
        shown = finding(measured).shown
        (rows,) = [rows for name, rows in shown.items() if name.endswith("best first")]
        assert [row[0] for row in rows[1:]] == list("012345")


def test_a_winner_without_the_bad_seed_is_judged_as_if_it_had_it() -> None:
    wide = with_a_bad_seed()
    wide[5] += 0.1

    won = winner_on(wide, [0, 1])

    assert (won.group, won.others.n) == (5, 2)
    assert won.others.mean == pytest.approx(0.975 + np.mean(BAD_SEED), abs=0.003)


def test_seeds_that_differ_make_no_luck_of_few_equals() -> None:
    random = np.random.default_rng(0)
    honest = []
    for _ in range(200):
        wide = table(3, 6, random=random, missing=0.1)
        won = winner_on(wide, [0, 1, 2])
        honest.append(won.others.mean - wide.mean(axis="columns").mean())
    assert abs(np.mean(honest)) < 0.15 * SD


def test_groups_that_took_no_part_are_counted_and_named() -> None:
    measured = {0: [0.90, 0.91, 0.92, 0.90], 1: [0.80, 0.81, 0.80, 0.82], 4: [0.95], 7: [0.7, 0.8]}

    halves = winner_finding(design(measured))

    assert halves.sentence.startswith("Class 0, the best of 3 classes, has ")
    assert "and so left out: class 2. In some splits only, for want of seeds: 1 class." in (
        halves.sentence
    )
    assert (halves.numbers["left_out"], halves.numbers["in_some_splits"]) == (1, 1)

    named = winner_finding(design(measured), select_seeds=[0, 1])
    assert named.sentence.startswith("Class 0, the best of 2 classes, has ")
    assert "or one that judges, and so left out: classes 2 and 3." in named.sentence


def test_another_group_that_leads_after_shrinking_is_named() -> None:
    measured = {
        0: [0.99, 0.81, 0.98, 0.84],
        1: [0.891, 0.893, 0.891, 0.893],
        4: [0.851, 0.853, 0.853, 0.851],
        7: [0.831, 0.833, 0.833, 0.831],
        11: [0.811, 0.811, 0.813, 0.813],
    }

    found = winner_finding(design(measured, by="topology"))

    assert found.sentence.startswith("Topology 0, the best of 5 topologies, has 90.50%; shrunken ")
    assert ", where topology 1 leads with 89." in found.sentence
    assert found.numbers["shrunken_winner"] == "topology 1"

    measured[0] = [0.911, 0.913, 0.913, 0.911]
    alike = winner_finding(design(measured, by="topology"))
    assert "leads" not in alike.sentence
    assert alike.numbers["shrunken_winner"] == "topology 0"


def test_the_finding_says_what_other_seeds_say_and_what_they_do_not_undo() -> None:
    measured = {t: SMALL[n].tolist() for n, t in enumerate((0, 1))}

    halves = winner_finding(design(measured)).sentence
    assert halves.startswith("Class 1, the best of 2 classes, has 76.25%. Selected on 2 seeds and ")
    assert "mean of 6 splits, without an interval, for they share seeds" in halves
    assert halves.endswith("not a selection made on the same test images.")

    named = winner_finding(design(measured), select_seeds=[0, 1])
    assert "On 2 seeds that did not select it has 64.38%, 95% interval " in named.sentence
    assert (
        "; 21.25 points below that. These means are as if each class had all seeds."
        in named.sentence
    )
    assert named.numbers["selected"] == pytest.approx(0.85625)
    assert named.numbers["splits"] == 0

    one = winner_finding(design({0: [0.9], 1: [0.8]}))
    assert one.sentence.startswith("The best of 2 classes has no honest estimate (n = 1)")
