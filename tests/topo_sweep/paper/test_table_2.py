"""Table II: what is averaged, what stands beside the paper's numbers, what is no row of it."""

from __future__ import annotations

import pytest

from nas_core.errors import InputError
from tests.topo_sweep.paper.compare_rows import (
    find,
    four_methods,
    only,
    search,
    source,
)
from topo_sweep.paper.compare import compare
from topo_sweep.paper.table_2 import published_skips


def test_table_2_averages_a_searchs_evaluations_first_and_counts_searches() -> None:
    accuracy = find(
        only([source(*four_methods())], "2"), "shallow test accuracy", "DARTS + data subset"
    )

    # Searches 90.5 and 92.5; four trainings would give n = 4 and SD 1.29.
    assert (accuracy.n, accuracy.ours) == pytest.approx((2, 91.5))
    assert accuracy.sd == pytest.approx(2**0.5)
    assert accuracy.theirs == "91.27"
    assert accuracy.difference == pytest.approx(91.5 - 91.27)


def test_table_2_gives_parameters_of_the_evaluated_network_not_of_the_supernet() -> None:
    size = find(only([source(*four_methods())], "2"), "parameters", "DARTS + epoch update")

    assert size.ours == pytest.approx(0.129706)
    assert size.theirs == "0.16"


def test_table_2_gives_skips_as_totals_and_a_search_and_says_where_the_paper_disagrees() -> None:
    trials, searches = four_methods()
    searches[0] |= {"skips_normal": 5}  # of DARTS; the other has 2, and both 3 in the reduction
    comparison = only([source(trials, searches)], "2")

    total = find(comparison, "skip connections in the normal cell, total", "DARTS")
    assert (total.ours, total.n, total.theirs) == (7, 2, "14")
    assert total.difference is None  # two searches against five
    both = find(comparison, "skip connections a search, both cells", "DARTS")
    assert (both.ours, both.theirs) == (6.5, "33/5 = 6.6")
    said = " ".join(comparison.notes)
    assert "read as totals over its five runs, which its caption does not say" in said
    assert "6.6, 3.6, 3.2, 2.6 a search" in said
    assert "7, 4, 3, 2" in said
    assert (
        "What disagrees: 2.6 and 2 (DARTS + data subset + epoch update); "
        "7 (IV-B) and 6 (introduction) for DARTS."
    ) in said


def test_table_2_has_a_difference_of_totals_where_as_many_searches_ran_as_in_the_paper() -> None:
    searches = [search("search_subset", seed, skips_normal=1) for seed in range(5)]
    total = find(only([source([], searches)], "2"), "skip connections in the normal cell", "DARTS")

    assert (total.ours, total.difference) == (5, 1)


def test_table_2_puts_cost_ratios_of_least_hours_beside_those_of_printed_hours() -> None:
    comparison = only([source(*four_methods())], "2")
    ratio = find(comparison, "cost ratio", "DARTS + data subset + epoch update")

    assert ratio.ours == pytest.approx(36.0)  # least of (36, 37) by least of (1, 2)
    assert ratio.theirs == "36/0.85 = 42.4"
    assert "11x faster than DARTS+, 8.5x faster than P-DARTS, 2.8x faster than PC-DARTS" in (
        " ".join(comparison.notes)
    )
    assert "Tesla" in " ".join(comparison.notes)


def test_table_2_works_before_any_evaluation_and_without_a_method() -> None:
    comparison = only([source([], [search("search_subset", 0)])], "2")

    assert "no evaluation yet" in comparison.setting
    assert find(comparison, "shallow test accuracy", "DARTS + data subset").ours is None
    assert find(comparison, "cost ratio", "DARTS + data subset").ours is None  # nothing to divide
    assert {entry.row for entry in comparison.entries} == {"DARTS + data subset"}


def test_searches_of_sub_spaces_fixed_wirings_and_with_attention_are_not_table_2() -> None:
    others = [
        search("search_subset_sparse", 0, space="SS1"),
        search("search_subset_sparse", 0, topology=3, reduction_topology=3),
        search("search_subset_sparse", 0, attention="once"),
        search("search_edarts", 0),
    ]
    with pytest.raises(InputError, match=r"no rows for table 2 \(`topo-sweep run table2`\)"):
        compare([source([], others)], "2")


def test_searches_of_one_method_by_two_protocols_are_never_averaged() -> None:
    searches = [search("search_subset", 0), search("search_subset", 1, protocol_hash="other000")]
    comparison = only([source([], searches)], "2")

    rows = [entry for entry in comparison.entries if entry.quantity == "search hours, mean"]
    assert [entry.n for entry in rows] == [1, 1]
    assert any("[other000]" in entry.row for entry in rows)
    assert any("other000" in text for text in comparison.differs)


def test_failed_and_diverged_searches_are_named() -> None:
    searches = [
        search("search_subset", 0),
        search("search_subset", 1, status="diverged"),
        search("search_subset", 2, status="failed", genotype=None),
    ]
    comparison = only([source([], searches)], "2")

    assert find(comparison, "search hours, mean", "DARTS").n == 2
    assert comparison.notes[:2] == (
        "Left out as failed: 1 search.",
        "Counted although diverged: 1 search.",
    )


def test_table_2_is_read_as_totals_over_five_runs_which_stand_beside_counts_of_one() -> None:
    assert [skips["skips_normal"] for skips in published_skips().values()] == [2.8, 0.8, 1.0, 1.0]
    assert [skips["skips_reduction"] for skips in published_skips().values()] == [
        *(3.8, 2.8, 2.2, 1.6)
    ]
