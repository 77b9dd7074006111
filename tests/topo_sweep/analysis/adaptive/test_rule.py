"""A race: what it asks for, when it stops, and that only results decide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from tests.topo_sweep.analysis.adaptive.races import FIRST, results, run_race
from topo_sweep.analysis.adaptive.rule import (
    Run,
    next_groups,
    race,
    race_table,
    standing,
)
from topo_sweep.spec.adaptive import Adaptive

BEST = Adaptive(top=1, delta_points=0.4)
EMPTY = pd.DataFrame(np.nan, index=[], columns=range(6), dtype=float)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Draw results of 3 to 6 groups and up to 8 seeds, some of which are missing."""
    groups, seeds = draw(st.integers(3, 6)), draw(st.integers(0, 8))
    accuracy = st.one_of(st.just(np.nan), st.floats(0.5, 0.51))
    cells = st.lists(accuracy, min_size=groups, max_size=groups)
    rows = draw(st.lists(cells, min_size=seeds, max_size=seeds))
    return pd.DataFrame(np.array(rows).reshape(seeds, groups), columns=range(groups))


SETTINGS = st.builds(
    Adaptive,
    top=st.integers(1, 2),
    confidence=st.sampled_from([0.5, 0.95]),
    delta_points=st.sampled_from([0.0, 0.3, 5.0]),
    batch=st.integers(1, 12),
)
BUDGETS = st.one_of(st.none(), st.integers(0, 60))


@tried(max_examples=25)
@given(tables(), SETTINGS, BUDGETS)
def test_it_asks_once_for_what_is_not_there_next_seeds_first_within_the_budget(
    table: pd.DataFrame, settings: Adaptive, budget: int | None
) -> None:
    now = race(table, settings, seeds=FIRST, budget=budget)

    assert len(set(now.wanted)) == len(now.wanted)
    values = table.to_numpy()
    for group, seed in now.wanted:
        assert seed >= len(values) or np.isnan(values[seed, group])
    for group, seeds in enumerate(now.given):
        assert list(seeds) == sorted(set(seeds))
        if budget is None:
            assert list(seeds) == list(range(len(seeds)))
            assert {seed for one, seed in now.wanted if one == group} <= set(seeds)
    if budget is not None:
        assert not now.wanted or now.spent + len(now.wanted) <= budget
    assert bool(now.wanted) != bool(now.ended)


@tried(max_examples=25)
@given(tables(), SETTINGS, BUDGETS, st.permutations(range(8)))
def test_the_same_results_in_any_order_lead_to_the_same_decision(
    table: pd.DataFrame, settings: Adaptive, budget: int | None, order: list[int]
) -> None:
    shuffled = [seed for seed in order if seed in table.index]
    first = race(table, settings, seeds=FIRST, budget=budget)
    again = race(table.loc[shuffled], settings, seeds=FIRST[::-1], budget=budget)

    assert (first.wanted, first.ended, first.given) == (again.wanted, again.ended, again.given)


@pytest.mark.parametrize("batch", [1, 10])
def test_a_race_that_is_stopped_anywhere_comes_to_the_same_runs(batch: int) -> None:
    settings, rng = BEST.model_copy(update={"batch": batch}), np.random.default_rng(5)

    def some(wanted: Sequence[Run]) -> Sequence[Run]:
        chosen = rng.permutation(len(wanted))[: rng.integers(1, len(wanted) + 1)]
        return [wanted[number] for number in chosen]

    truth = results(groups=5, lead=0.003)
    straight, table = run_race(truth, settings)
    stopped, stopped_table = run_race(truth, settings, finish=some)

    assert straight.ended == "told apart"
    assert (stopped.given, stopped.round) == (straight.given, straight.round)
    pd.testing.assert_frame_equal(stopped_table.sort_index(), table.sort_index())


def test_results_that_no_round_asked_for_are_not_looked_at() -> None:
    truth = results(lead=0.003)
    ended, table = run_race(truth, BEST)
    with_more = race(truth, BEST, seeds=FIRST)

    assert ended.ended == "told apart"
    assert table.isna().all(axis=1).any()
    assert (with_more.given, with_more.spent) == (ended.given, ended.spent)


def test_one_winner_is_found_and_the_others_are_given_less_than_all_would_be() -> None:
    ended, _ = run_race(results(groups=20, lead=0.003), BEST)

    assert ended.ended == "told apart"
    assert ended.standing is not None
    assert ended.standing.top == (19,)
    assert ended.spent < 20 * max(ended.results)
    assert ended.results[19] == max(ended.results)
    assert ended.standing.reach <= BEST.delta


def test_equal_groups_stop_at_the_delta_and_without_one_at_the_budget() -> None:
    truth = results(groups=4, seeds=150)
    within, _ = run_race(truth, BEST)
    assert within.ended == "told apart"
    forever, table = run_race(truth, BEST.model_copy(update={"delta_points": 0.0}), budget=77)

    assert (forever.ended, forever.spent) == ("budget", 77)
    assert table.notna().sum().sum() == 77
    assert forever.standing is not None
    assert forever.standing.still_racing > 0


def test_a_larger_budget_goes_on_where_a_smaller_one_stopped() -> None:
    truth = results(groups=5)
    _, table = run_race(truth, BEST, budget=18)
    more = race(table, BEST, seeds=FIRST, budget=1000)
    unlimited, _ = run_race(truth, BEST)

    assert more.wanted
    for seeds, final in zip(more.given, unlimited.given, strict=True):
        assert seeds == final[: len(seeds)]


def test_the_first_seeds_come_first_and_then_the_numbers_after_them() -> None:
    start = race(EMPTY, BEST, seeds=(7, 5))
    assert start.wanted == tuple((group, seed) for seed in (5, 7) for group in range(6))
    assert start.standing is None
    table = results().loc[[5, 7]]
    assert {seed for _, seed in race(table, BEST, seeds=(5, 7)).wanted} == {8}
    far = pd.concat([table, results().loc[[9]].set_axis([10**15])])
    assert {seed for _, seed in race(far, BEST, seeds=(5, 7)).wanted} == {8}


def test_of_a_doubtful_pair_the_one_with_fewer_seeds_goes_on() -> None:
    table = results(groups=3, lead=0.05).to_numpy()[:4].copy()
    table[:, 1] = table[:, 2] + [0.001, -0.001, 0.002, -0.001]
    table[3, 1] = np.nan
    now = standing(table, Adaptive(top=1, delta_points=0.0))

    assert {frozenset(pair) for pair in now.doubtful.tolist()} == {frozenset({1, 2})}
    assert next_groups(now, np.array([4, 3, 4])) == [1]
    assert set(next_groups(now, np.array([4, 4, 4]))) == {1, 2}
    assert sorted(next_groups(now, np.array([4, 4, 4]), batch=7)) == [1, 1, 1, 2, 2, 2]
    assert len(next_groups(now, np.array([4, 4, 4]), batch=500)) == 2 * 4


def test_a_failed_run_is_not_asked_for_again_and_two_put_a_group_out() -> None:
    table = results(groups=3).loc[[0, 1, 2]]
    table.loc[1, 0] = np.nan
    one = race(table, BEST, seeds=FIRST, failed={(0, 1)})
    assert (0, 1) not in one.wanted
    assert (0, 3) in one.wanted
    assert not one.out

    table.loc[2, 0] = np.nan
    two = race(table, BEST, seeds=FIRST, failed={(0, 1), (0, 2)})
    assert two.out == {0}
    assert 0 not in dict(two.wanted)

    table.loc[[1, 2], 1] = np.nan
    none = race(table, BEST, seeds=FIRST, failed={(g, s) for g in (0, 1) for s in (1, 2)})
    assert (none.ended, none.wanted) == ("too few", ())


def test_what_a_seed_adds_to_all_does_not_choose_the_top() -> None:
    """Group 0 has more seeds, and those are better for all."""
    table = np.array([[0.50, 0.51, 0.40], [0.52, 0.53, 0.42], [0.90, np.nan, 0.80]])
    now = standing(table, Adaptive(top=1))
    assert now.top == (1,)
    assert now.means[1] - now.means[0] == pytest.approx(0.01)


def rows(*values: tuple[str, int, str, float]) -> pd.DataFrame:
    columns = ["genotype", "seed", "status", "test_accuracy"]
    return pd.DataFrame(values, columns=columns).assign(trial_id="x")


def test_a_diverged_run_counts_as_the_worst_of_its_seed_and_other_networks_not_at_all() -> None:
    trials = rows(
        *(("a", 0, "ok", 0.9), ("b", 0, "ok", 0.8), ("c", 0, "diverged", 0.1)),
        *(("a", 1, "failed", np.nan), ("c", 1, "diverged", np.nan), ("other", 0, "ok", 0.2)),
    )
    table, failed = race_table(trials, ["a", "b", "c", "d"], "test")

    expected = [[0.9, 0.8, 0.8, np.nan], [np.nan, np.nan, 0.0, np.nan]]
    np.testing.assert_array_equal(table.to_numpy(), expected)
    assert failed == {(0, 1)}
    empty, none = race_table(trials.iloc[:0], ["a", "b"], "test")
    assert (empty.shape, none) == ((0, 2), frozenset())
