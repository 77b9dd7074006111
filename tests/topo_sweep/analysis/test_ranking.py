"""What a ranking promises: its statistics, what it leaves out, and what it shows."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from nas_core.cells.genotype import KNOWN_CELLS, Genotype
from nas_core.errors import InputError
from tests.topo_sweep.analysis.ranking_rows import frame, row, seeds, uniform
from topo_sweep.analysis.ranking import COLUMNS, format_table, rank, to_records

T_975 = {1: 12.706205, 2: 4.302653, 3: 3.182446}
"""97.5% quantile of Student's t by degrees of freedom, from a printed table."""


def only(trials: pd.DataFrame, **options: Any) -> dict[str, Any]:
    """Rank a frame that holds one group and return its record."""
    (record,) = to_records(rank(trials, **options))
    return record


# Statistics


def test_a_group_has_the_mean_sd_and_t_interval_of_a_calculation_by_hand() -> None:
    record = only(frame(seeds(17, 0.90, 0.92, 0.94)))

    assert (record["n"], record["runs"], record["topology"]) == (3, 3, 17)
    assert record["mean"] == pytest.approx(0.92)
    assert record["sd"] == pytest.approx(0.02)  # ddof 1; ddof 0 would give 0.0163
    half = T_975[2] * 0.02 / 3**0.5
    assert half == pytest.approx(0.0496827, abs=1e-7)
    assert record["ci_low"] == pytest.approx(0.92 - half, abs=1e-7)
    assert record["ci_high"] == pytest.approx(0.92 + half, abs=1e-7)


@pytest.mark.parametrize("n", [2, 4])
def test_the_t_quantile_follows_the_number_of_seeds(n: int) -> None:
    record = only(frame(seeds(0, *([0.50, 0.52] * (n // 2)))))

    half = (record["ci_high"] - record["ci_low"]) / 2
    assert half == pytest.approx(T_975[n - 1] * record["sd"] / n**0.5, rel=1e-6)


def test_one_seed_has_no_spread_and_no_interval() -> None:
    ranking = rank(frame(seeds(0, 0.9) + seeds(1, 0.91)))
    record = to_records(ranking)[0]

    assert [record[key] for key in ("sd", "ci_low", "ci_high")] == [None, None, None]
    assert "n = 1" in ranking.header
    assert "this order is not evidence" in ranking.header
    assert "95%" not in ranking.header


def test_a_class_takes_the_mean_of_its_members_per_seed_first() -> None:
    # Topologies 7 and 50 are in class 3. Pooled rows would give 0.88 over n = 3.
    trials = frame([row(7, 0, 0.90), row(50, 0, 0.94), row(50, 1, 0.80)])
    record = only(trials, by="class")

    assert (record["class_id"], record["n"], record["runs"]) == (3, 2, 3)
    assert record["mean"] == pytest.approx(0.86)
    assert record["sd"] == pytest.approx(0.0848528, abs=1e-7)  # of 0.92 and 0.80
    assert record["ci_low"] == pytest.approx(0.86 - T_975[1] * 0.06, abs=1e-6)


def test_a_class_is_shown_by_its_smallest_member_that_was_trained() -> None:
    # Class 3 holds 7, 8, 9 and 50.
    record = only(frame([row(50, 0, 0.8), row(9, 0, 0.9), row(50, 1, 0.8)]), by="class")

    assert (record["topology"], record["genotype"]) == (9, str(uniform(9)))


def test_members_of_a_class_are_ranked_apart_by_topology() -> None:
    records = to_records(rank(frame([row(7, 0, 0.90), row(50, 0, 0.94)]), by="topology"))

    assert [record["topology"] for record in records] == [50, 7]
    assert {record["class_id"] for record in records} == {3}


def test_genotypes_on_one_wiring_are_ranked_apart() -> None:
    cells = [KNOWN_CELLS["DARTS_V1"], KNOWN_CELLS["DARTS_V2"]]
    trials = frame([row(cell, 0, 0.9 + i / 100, kind="genotypes") for i, cell in enumerate(cells)])
    records = to_records(rank(trials))

    assert [record["genotype"] for record in records] == [str(cells[1]), str(cells[0])]
    assert [record["topology"] for record in records] == [None, None]


# Ranks


def test_equal_means_share_a_rank_and_the_next_rank_counts_them_all() -> None:
    records = to_records(
        rank(
            frame([row(9, 0, 0.9), row(5, 0, 0.92), row(8, 0, 0.92), row(1, 0, 0.93)]),
            by="topology",
        )
    )

    assert [(r["rank"], r["topology"]) for r in records] == [(1, 1), (2, 5), (2, 8), (4, 9)]


def test_a_difference_in_the_last_digit_is_a_tie() -> None:
    assert (0.1 + 0.2) / 2 != 0.15  # the trap
    records = to_records(rank(frame(seeds(3, 0.1, 0.2) + seeds(4, 0.15, 0.15))))

    assert [record["rank"] for record in records] == [1, 1]


counts = st.integers(0, 1000)
measured = st.dictionaries(st.tuples(st.integers(0, 7), st.integers(0, 3)), counts, min_size=1)
"""Images of 1000 that were right, by topology and seed."""
CLASS_7 = (14, 25, 31, 42, 64, 90, 121, 130)
"""The members of one class: eight floats to add up a seed, where order shows in the last digit."""


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[counts] * n), min_size=1)))
def test_ranks_are_those_of_exact_arithmetic(correct: list[tuple[int, ...]]) -> None:
    means = {t: Fraction(sum(values), len(values)) for t, values in enumerate(correct)}

    rows = [row(t, s, c / 1000) for t, values in enumerate(correct) for s, c in enumerate(values)]
    table = rank(frame(rows), by="topology").table

    for topology, topology_rank in zip(table["topology"], table["rank"], strict=True):
        assert topology_rank == 1 + sum(mean > means[topology] for mean in means.values())


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(measured, st.randoms(use_true_random=False), st.sampled_from(["topology", "class"]))
def test_the_order_of_rows_does_not_matter(
    correct: dict[tuple[int, int], int], random: Any, by: str
) -> None:
    rows = [row(CLASS_7[t], s, c / 1000) for (t, s), c in correct.items()]
    ranking = rank(frame(rows), by=by)
    random.shuffle(rows)
    again = rank(frame(rows), by=by)

    assert_frame_equal(again.table, ranking.table, check_exact=True)
    assert again.header == ranking.header


# What counts


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(measured, st.integers(0, 9), st.sampled_from([None, 0.95]))
def test_a_failed_trial_changes_nothing_but_its_count(
    correct: dict[tuple[int, int], int], topology: int, accuracy: float | None
) -> None:
    rows = [row(t, s, c / 1000) for (t, s), c in correct.items()]
    failed = row(topology, 99, 0.0, status="failed", test_accuracy=accuracy, error="lost")
    without, with_failed = rank(frame(rows)), rank(frame([*rows, failed]))

    assert_frame_equal(with_failed.table, without.table, check_exact=True)
    assert with_failed.design.failed == 1
    assert with_failed.header == f"{without.header} 1 failed trial left out."


def test_a_diverged_trial_counts_with_the_accuracy_in_its_row_and_is_shown() -> None:
    trials = frame([row(0, 0, 0.9), row(0, 1, 0.1, status="diverged"), row(1, 0, 0.8)])
    ranking = rank(trials)
    records = to_records(ranking)

    assert [record["topology"] for record in records] == [1, 0]
    assert records[1]["mean"] == pytest.approx(0.5)
    assert [record["diverged"] for record in records] == [0, 1]
    assert "1 diverged trial counted" in ranking.header
    assert "diverged" in format_table(ranking).splitlines()[1]


def test_what_diverged_says_nothing_of_its_seed() -> None:
    diverged = row(1, 1, 0.1, status="diverged")
    trials = frame([*seeds(0, 0.8, 0.8), *seeds(1, 0.79), diverged, *seeds(4, 0.78, 0.78)])

    adjusted = rank(trials).table.set_index("topology")["adjusted_mean"]

    assert adjusted.to_dict() == pytest.approx({0: 0.80, 4: 0.78, 1: 0.445})


def test_groups_that_share_no_seed_are_not_called_comparable() -> None:
    trials = frame([*seeds(0, 0.8, 0.8), *seeds(1, 0.79), row(4, 7, 0.9)])

    header = rank(trials).header

    assert "1 class of other seeds than the rest: not comparable with it." in header
    assert "not comparable" not in rank(trials[trials["topology"] != 4]).header


def test_a_diverged_trial_without_an_accuracy_counts_as_zero() -> None:
    trials = frame([row(0, 0, 0.9), row(0, 1, float("nan"), status="diverged")])

    assert only(trials)["mean"] == pytest.approx(0.45)


def test_a_trial_that_ended_ok_without_an_accuracy_is_refused() -> None:
    with pytest.raises(InputError, match="no last-epoch test accuracy in 1 trial that ended ok"):
        rank(frame([row(0, 0, float("nan"))]))


def test_groups_with_few_seeds_are_left_out_and_counted() -> None:
    trials = frame(seeds(0, 0.9, 0.9) + seeds(1, 0.95) + seeds(2, 0.96))
    ranking = rank(trials, by="topology", min_seeds=2)

    assert list(ranking.table["topology"]) == [0]
    assert ranking.left_out == 2
    assert "2 topologies with fewer than 2 seeds left out." in ranking.header


def test_asking_for_more_seeds_than_there_are_says_how_many_and_counts_no_members() -> None:
    trials = frame([row(7, 0, 0.9), row(50, 0, 0.9)])  # both in class 3

    with pytest.raises(InputError, match="none of 1 class has 2 seeds: use --min-seeds 1"):
        rank(trials, by="class", min_seeds=2)


def test_nothing_finished_and_nothing_succeeded_say_what_to_do() -> None:
    with pytest.raises(InputError, match="topo-sweep run"):
        rank(frame([row(0, 0, 0.9)]).head(0))
    with pytest.raises(InputError, match=r"1 trial ran and all failed.*'no disk'.*--retry-failed"):
        rank(frame([row(0, 0, 0.9, status="failed", error="no disk")]))


# The metric


def held_out(rows: list[dict[str, Any]], *validation: float) -> pd.DataFrame:
    pairs = zip(rows, validation, strict=True)
    return frame([trial | {"holdout": 5000, "val_accuracy": value} for trial, value in pairs])


def test_validation_ranks_where_there_is_a_holdout_and_test_where_there_is_none() -> None:
    rows = [row(0, 0, 0.90), row(1, 0, 0.80)]
    with_holdout = held_out(rows, 0.7, 0.8)

    for trials, metric, name, best in (
        (with_holdout, None, "validation", 1),
        (with_holdout, "test", "test", 0),
        (frame(rows), None, "test", 0),
    ):
        ranking = rank(trials, by="topology", metric=metric)
        assert ranking.table["topology"][0] == best
        assert ranking.header.startswith(f"Last-epoch {name} accuracy of 2 topologies")
        assert {record["metric"] for record in to_records(ranking)} == {ranking.design.metric}


def test_validation_without_a_holdout_is_refused_with_the_way_out() -> None:
    with pytest.raises(InputError, match="--metric test"):
        rank(frame(seeds(0, 0.9)), metric="val")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "best"}, "val or test, got 'best'"),
        ({"by": "depth"}, "by topology or by class, got 'depth'"),
        ({"min_seeds": 0}, "1 or more, got 0"),
    ],
)
def test_an_unknown_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        rank(frame(seeds(0, 0.9)), **options)


# What is shown


def test_the_header_names_metric_data_protocol_n_and_what_intervals_are_over() -> None:
    trials = frame(seeds(0, 0.9, 0.91, train_limit=2000) + seeds(1, 0.9, 0.92, train_limit=2000))

    assert rank(trials, by="topology").header == (
        "Last-epoch test accuracy of 2 topologies, means over seeds (n = 2); data cifar10 "
        "(no hold-out, 2,000 trained on); protocol aaaa0000aaaa0000; cells of 4 nodes, "
        "normal all sep_conv_3x3, reduction all max_pool_3x3 on wiring 0. Intervals are 95% t "
        "intervals over training seeds, cut at 0 and 100%, given this split and this test set. "
        "With 95% confidence the best is among the 2 of 2 in the best set, and so all true ranks "
        "lie in their intervals; shrunken means leave out the luck of seeds."
    )


def test_unequal_numbers_of_seeds_are_said() -> None:
    ranking = rank(frame(seeds(0, *[0.9] * 5) + seeds(1, 0.9, 0.9)))
    assert ranking.seeds == "n = 2 to 5"
    assert "(n = 2 to 5)" in ranking.header
    assert "evidence" not in ranking.header

    header = rank(frame(seeds(0, 0.9, 0.9) + seeds(1, 0.9))).header
    assert "Where n = 1 there is no interval, and the place is not evidence." in header


def test_records_are_plain_values_with_the_promised_keys() -> None:
    records = to_records(rank(frame(seeds(0, 0.9, 0.92) + seeds(1, 0.8))), top=2)

    about = ("name", "wiring", "reduction_wiring", "metric", "protocol_hash", "data")
    assert all(tuple(record) == (*COLUMNS, *about) for record in records)
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    types = {"rank": int, "genotype": str, "topology": int, "class_id": int, "n": int,
             "runs": int, "mean": float, "sd": float, "diverged": int, "metric": str}  # fmt: skip
    assert {key: type(records[0][key]) for key in types} == types


def test_top_cuts_records_and_table_alike() -> None:
    trials = frame([row(index, 0, 0.9 - index / 100) for index in range(5)])
    ranking = rank(trials, by="topology")

    assert [record["topology"] for record in to_records(ranking, 2)] == [0, 1]
    assert len(to_records(ranking)) == 5
    assert format_table(ranking, 2).splitlines()[-1] == "(3 more: --top 5)"
    assert "more" not in format_table(ranking, None)


def test_the_table_of_topologies_reads_as_written_here() -> None:
    trials = frame(seeds(17, 0.90, 0.92, 0.94) + seeds(0, 0.5, 0.5, 0.5))

    assert format_table(rank(trials, by="topology")).splitlines()[1:] == [
        "rank  topology  class  wiring           n  mean %    SD    95% interval  ranks  best set",
        "   1        17     10  0,1 0,1 0,2 2,3  3   92.00  2.00  87.03 to 96.97      1       yes",
        "   2         0      0  0,1 0,1 0,1 0,1  3   50.00  0.00               -      2        no",
    ]


def test_the_table_of_classes_shows_runs_where_they_differ_from_seeds() -> None:
    trials = frame([row(7, 0, 0.90), row(50, 0, 0.94), row(0, 0, 0.80)])

    assert format_table(rank(trials, by="class")).splitlines()[1:] == [
        "rank  class  topology  wiring           n  runs  mean %  SD  95% interval",
        "   1      3         7  0,1 0,1 0,1 2,3  1     2   92.00   -             -",
        "   2      0         0  0,1 0,1 0,1 0,1  1     1   80.00   -             -",
    ]


def test_known_cells_are_shown_by_name_and_others_by_their_operations() -> None:
    unknown = Genotype(KNOWN_CELLS["DARTS_V2"].normal, KNOWN_CELLS["DARTS_V1"].reduction)
    networks = [KNOWN_CELLS["DARTS_V1"], unknown, uniform(3)]
    trials = [row(cell, 0, 0.9 - i / 10, kind="genotypes") for i, cell in enumerate(networks)]
    header, _, *lines = format_table(rank(frame(trials))).splitlines()

    assert "of 3 genotypes" in header
    assert "reduction" not in header
    assert "DARTS_V1 " in lines[0]
    assert "normal 5 sep_conv_3x3, 2 skip_connect, 1 dil_conv_3x3" in lines[1]
    assert "normal all sep_conv_3x3" in lines[2]
    assert not any("@" in line for line in lines)


def test_intervals_cover_the_true_mean_as_often_as_they_say() -> None:
    draws = np.random.default_rng(0).normal(0.92, 0.002, size=(180, 5))
    table = rank(frame([r for t in range(180) for r in seeds(t, *map(float, draws[t]))])).table

    covered = ((table["ci_low"] < 0.92) & (table["ci_high"] > 0.92)).mean()
    assert 0.92 < covered < 0.98  # 95% of 180; z instead of t would give 88%
