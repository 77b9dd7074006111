"""What texts about numbers promise."""

from __future__ import annotations

import pytest

from topo_sweep.analysis.text import (
    NO_SPREAD,
    counted,
    duration,
    duration_with_range,
    interval_words,
    p_words,
    plain_table,
    plural,
    points,
    single_seed_caution,
)

SOME = "one seed in {single} of {groups}"


def test_groups_with_one_seed_are_cautioned_about_and_counted() -> None:
    assert single_seed_caution([1, 1], some=SOME) == [NO_SPREAD]
    assert single_seed_caution([1, 1], every="alone", some=SOME) == ["alone"]
    assert single_seed_caution([2, 1, 5], some=SOME) == ["one seed in 1 of 3"]
    assert single_seed_caution([2, 5], some=SOME) == []


def test_columns_of_numbers_are_flush_right_and_others_flush_left() -> None:
    assert plain_table(["name", "n", "share"], [["ab", 7, "5.0%"], ["c", 10, "-12%"]]) == (
        "name   n  share\nab     7   5.0%\nc     10   -12%"
    )
    assert plain_table(["name", "n"], []) == "name  n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (42.4, "42 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (5 * 3600 + 10 * 60, "5 h 10 min"),
        (47.99 * 3600, "47 h 59 min"),
        (48 * 3600, "2.0 days"),
        (10.42 * 86400, "10.4 days"),
    ],
)
def test_durations_read_as_a_person_says_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_length_of_time_has_its_range_unless_that_reads_like_it() -> None:
    assert duration_with_range(7800.0, 0.1) == "2 h 10 min (1 h 57 min to 2 h 23 min)"
    assert duration_with_range(90.0, 1.5) == "1 min 30 s (0 s to 3 min 45 s)"
    assert duration_with_range(3.0, 0.1) == "3 s"
    assert duration_with_range(0.0, 0.2) == "0 s"


def test_nouns_are_counted_as_people_write_them() -> None:
    assert counted(1, "topology") == "1 topology"
    assert counted(2000, "trial") == "2,000 trials"
    assert [plural(noun) for noun in ("search", "class", "topology")] == [
        *("searches", "classes", "topologies")
    ]


def test_p_values_and_points_are_no_more_exact_than_they_are_known() -> None:
    assert [p_words(p) for p in (0.0004, 0.0123, 0.3456)] == ["p < 0.001", "p = 0.012", "p = 0.35"]
    assert [points(fraction) for fraction in (0.0123, -0.001)] == ["1.23", "-0.10"]


def test_what_there_is_not_is_a_dash() -> None:
    assert points(float("nan")) == "-"
    assert (interval_words(0.01, 0.025), interval_words(float("nan"), 0.1)) == ("1.00 to 2.50", "-")
