"""What texts about numbers promise."""

from __future__ import annotations

from topo_sweep.analysis.text import NO_SPREAD, plain_table, single_seed_caution

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
