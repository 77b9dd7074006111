"""Our figures beside the paper's: what stands together, what is said of differences, what fits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nas_core.errors import InputError
from nas_core.protocols.search import SEARCH_PRESETS
from nas_core.protocols.training import PRESETS, Protocol
from tests.topo_sweep.paper.compare_rows import (
    evaluation,
    find,
    known,
    known_cells,
    only,
    search,
    source,
    topology,
)
from topo_sweep.paper.compare import Compared, compare
from topo_sweep.paper.evidence import Source, gather
from topo_sweep.paper.figure_2 import holm
from topo_sweep.paper.records import estimate, to_records

FINAL = PRESETS["final"]
SMALL = Protocol(init_channels=4, epochs=5)

T_975 = {1: 12.706205, 2: 4.302653}
"""97.5% quantile of Student's t by degrees of freedom, from a printed table."""


# Estimates


def test_an_estimate_has_the_t_interval_of_a_calculation_by_hand() -> None:
    found = estimate([90.0, 92.0, 94.0])

    assert found is not None
    assert (found.n, found.mean, found.sd) == (3, 92.0, 2.0)
    half = T_975[2] * 2.0 / 3**0.5
    assert (found.low, found.high) == pytest.approx((92 - half, 92 + half), rel=1e-6)


def test_the_p_value_is_five_percent_where_the_interval_ends_at_zero() -> None:
    found = estimate([1 - 1 / T_975[1], 1 + 1 / T_975[1]])  # mean 1, half width 1

    assert found is not None
    assert found.low == pytest.approx(0, abs=1e-6)
    assert found.p_value == pytest.approx(0.05, abs=1e-6)


def test_one_value_has_no_spread_none_no_estimate_and_equal_ones_a_point() -> None:
    single, equal = estimate([3.0]), estimate([3.0, 3.0])

    assert estimate([]) is None
    assert single is not None
    assert (single.n, single.sd, single.low, single.p_value) == (1, None, None, None)
    assert equal is not None
    assert (equal.low, equal.high, equal.p_value) == (3, 3, 0)


def test_holm_multiplies_the_least_p_most_and_keeps_the_order() -> None:
    # Sorted: 0.01 x 3, 0.02 x 2, 0.9 x 1.
    assert holm([0.02, 0.9, 0.01]) == pytest.approx([0.04, 0.9, 0.03])
    # 0.03 x 2 = 0.06, and 0.04 x 1 is raised to it.
    assert holm([0.03, 0.04]) == pytest.approx([0.06, 0.06])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


# Table II


def four_methods(**values: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Two searches a method and two evaluations a search; hours 36, 6, 4 and 1 and one more."""
    searches, trials = [], []
    for method, hours in {
        "search_darts_2nd": 36,
        "search_subset": 6,
        "search_sparse": 4,
        "search_subset_sparse": 1,
    }.items():
        for seed in (0, 1):
            own = search(method, seed, search_seconds=3600.0 * (hours + seed), **values)
            searches.append(own)
            trials += [evaluation(own, 0.90 + 0.02 * seed + 0.01 * k, seed=k) for k in (0, 1)]
    return trials, searches


def test_table_2_averages_a_searchs_evaluations_first_and_counts_searches() -> None:
    own = find(only([source(*four_methods())], "2"), "shallow test accuracy", "DARTS + data subset")

    # Searches 90.5 and 92.5; four trainings would give n = 4 and SD 1.29.
    assert (own.n, own.ours) == pytest.approx((2, 91.5))
    assert own.sd == pytest.approx(2**0.5)
    assert own.theirs == "91.27"
    assert own.difference == pytest.approx(91.5 - 91.27)


def test_table_2_gives_parameters_of_the_evaluated_network_not_of_the_supernet() -> None:
    own = find(only([source(*four_methods())], "2"), "parameters", "DARTS + epoch update")

    assert own.ours == pytest.approx(0.129706)
    assert own.theirs == "0.16"


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
    assert "6.6, 3.6, 3.2, 2.6 a search" in said
    assert "7, 4, 3, 2" in said


def test_table_2_has_a_difference_of_totals_where_as_many_searches_ran_as_in_the_paper() -> None:
    searches = [search("search_subset", seed, skips_normal=1) for seed in range(5)]
    own = find(only([source([], searches)], "2"), "skip connections in the normal cell", "DARTS")

    assert (own.ours, own.difference) == (5, 1)


def test_table_2_puts_cost_ratios_of_least_hours_beside_those_of_printed_hours() -> None:
    comparison = only([source(*four_methods())], "2")
    own = find(comparison, "cost ratio", "DARTS + data subset + epoch update")

    assert own.ours == pytest.approx(36.0)  # least of (36, 37) by least of (1, 2)
    assert own.theirs == "36/0.85 = 42.4"
    assert "11x, 8.5x, 2.8x" in " ".join(comparison.notes)
    assert "Tesla" in " ".join(comparison.notes)


def test_table_2_works_before_any_evaluation_and_without_a_method() -> None:
    comparison = only([source([], [search("search_subset", 0)])], "2")

    assert "no evaluation yet" in comparison.setting
    assert find(comparison, "shallow test accuracy", "DARTS + data subset").ours is None
    assert find(comparison, "cost ratio", "DARTS + data subset").ours is None  # nothing to divide
    assert {own.row for own in comparison.entries} == {"DARTS + data subset"}


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

    rows = [own for own in comparison.entries if own.quantity == "search hours, mean"]
    assert [own.n for own in rows] == [1, 1]
    assert any("[other000]" in own.row for own in rows)
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


# What differs


def test_nothing_differs_where_protocol_data_and_searches_are_the_papers() -> None:
    compared = compare([source(*four_methods())], "2")

    assert compared.tables[0].differs == ()
    assert "as in the paper" in compared.text


def test_each_setting_that_differs_is_named_with_both_values() -> None:
    images: dict[str, Any] = {"dataset": "digits", "holdout": 100, "train_limit": 500}
    asked: dict[str, Any] = {"images": 200, "epochs": 10}
    protocol = SEARCH_PRESETS["search_subset"].with_values(asked)
    own = search("search_subset", 0, **images, **asked, protocol_hash=protocol.protocol_hash)
    trial = evaluation(own, 0.9, **images, protocol_hash=SMALL.protocol_hash)
    rows = source([trial], [own], protocols=[SMALL], search_protocols=[protocol])
    comparison = only([rows], "2")

    evaluated, data, searched = comparison.differs
    assert evaluated == "evaluation: init_channels 4 (paper 16), epochs 5 (paper 100)"
    assert data == (
        "data: digits (paper cifar10); 100 training images held out (paper 0); "
        "500 training images (paper 50,000)"
    )
    assert searched == "search: epochs 10 (paper 50), images 200 (paper 2,500)"


def test_a_known_search_protocol_is_compared_whole() -> None:
    changed = SEARCH_PRESETS["search_subset"].with_values({"init_channels": 4})
    own = search("search_subset", 0, protocol_hash=changed.protocol_hash)

    known = source([], [own], search_protocols=[changed])
    assert only([known], "2").differs == ("search: init_channels 4 (paper 16)",)
    assert only([source([], [own])], "2").differs == (
        f"search: protocol {changed.protocol_hash} is unknown here, so it could not be compared",
    )


def test_other_pixels_may_hide_behind_the_same_name() -> None:
    rows = source([known("DARTS_V2", 0, 0.9)], layout="Hugging Face layout (Parquet)")

    (said,) = only([rows], "3").differs
    assert "Hugging Face layout (Parquet), fingerprint aaaa: pixels may be re-compressed" in said


def test_an_unknown_evaluation_protocol_is_said_to_be_unknown() -> None:
    rows = source([known("DARTS_V2", 0, 0.9, protocol_hash="beef")])

    assert only([rows], "3").differs == (
        "shallow evaluation protocol beef: unknown here, so it could not be compared",
    )


# Which sweeps, which tables


def test_rows_of_other_protocols_or_images_get_tables_of_their_own() -> None:
    def sweep(name: str, **values: Any) -> Source:
        return source([topology(1, 0, 0.9, **values)], name=name, protocols=[SMALL])

    sweeps = [
        sweep("paper"),
        sweep("small", protocol_hash=SMALL.protocol_hash),
        sweep("limited", train_limit=64),
    ]
    compared = compare(sweeps, "phases")

    assert len(compared.tables) == 3
    assert sum("limited" in own.setting for own in compared.tables) == 1


def test_the_same_sweep_given_twice_changes_nothing() -> None:
    rows = source(*four_methods())

    assert compare([rows, rows], "2").text == compare([rows], "2").text


@pytest.mark.parametrize("larger_failed", [True, False])
def test_what_failed_in_one_sweep_and_is_ok_in_another_counts_as_ok(larger_failed: bool) -> None:
    good, other = search("search_subset", 0), search("search_subset", 1)
    trial, rest = evaluation(good, 0.9), evaluation(other, 0.8)
    failed: dict[str, Any] = {"status": "failed"}
    bad = good | failed | {"genotype": None}, trial | failed | {"test_accuracy": float("nan")}
    large, small = (bad, (good, trial)) if larger_failed else ((good, trial), bad)
    comparison = only(
        [
            source([small[1]], [small[0]], name="small"),
            source([large[1], rest], [large[0], other], name="large"),
        ],
        "2",
    )

    assert find(comparison, "search hours, mean", "DARTS").n == 2
    accuracy = find(comparison, "shallow test accuracy", "DARTS")
    assert (accuracy.n, accuracy.ours) == pytest.approx((2, 85))
    assert not any("failed" in note for note in comparison.notes)


def test_a_search_stays_in_the_larger_sweep_where_a_smaller_one_alone_succeeded() -> None:
    good, other = search("search_subset", 0), search("search_subset", 1)
    bad = good | {"status": "failed", "genotype": None}
    sweeps = [source([], [good], name="small"), source([], [bad, other], name="large")]
    found = gather(sweeps).searches

    assert list(found["status"]) == ["ok", "ok"]
    assert set(found["source"]) == {"large"}


def test_tables_without_rows_are_named_in_one_line_with_what_fills_them() -> None:
    compared = compare([source([topology(1, 0, 0.9)])])

    assert [own.table for own in compared.tables] == ["phases"]
    assert compared.missing == (
        "No rows for: table 2 (`topo-sweep run table2`), table 3 (`topo-sweep run known_cells`), "
        "table 4 (`topo-sweep run table4`), figure 2 (`topo-sweep run subspaces`), the ablations "
        "(`topo-sweep run ablation_deep` or `topo-sweep run ablation_equal --topology N`)."
    )
    assert compared.text.endswith(f"\n{compared.missing}")


@pytest.mark.parametrize("table", [None, "2", "3", "4", "fig2", "phases", "ablations"])
def test_where_nothing_fits_one_sentence_names_the_sweeps_and_the_way(table: str | None) -> None:
    with pytest.raises(InputError, match=r"empty: no rows for .*`topo-sweep run") as error:
        compare([source(name="empty")], table)
    assert "\n" not in str(error.value)


def test_all_trainings_failed_is_no_row_of_any_table() -> None:
    own = search("search_subspace", 20, space="SS1", cells=5)
    failed: dict[str, Any] = {"status": "failed", "test": float("nan")}
    rows = [topology(0, 0, **failed), known("DARTS_V2", 0, **failed)]
    rows += [known("DARTS_V2", 0, protocol_hash=FINAL.protocol_hash, **failed)]
    rows += [evaluation(own, **failed)]

    with pytest.raises(InputError, match="no rows for table 2"):
        compare([source(rows, [own])])


# For programs


def everything() -> Compared:
    return compare([source(*four_methods()), source(known_cells(), name="known")])


def test_records_are_flat_json_that_carries_setting_and_differences() -> None:
    records = to_records(everything().tables)

    assert json.loads(json.dumps(records, allow_nan=False)) == records
    assert len({tuple(record) for record in records}) == 1
    first = records[0]
    assert (first["table"], first["row"], first["n"], first["paper"]) == ("2", "DARTS", 2, "90.25")
    assert first["difference"] == pytest.approx(first["ours"] - 90.25)
    assert "protocol shallow" in first["setting"]


def test_the_text_shows_percent_with_two_decimals_and_the_papers_number_as_printed() -> None:
    *lines, _missing = everything().text.splitlines()
    (line,) = (text for text in lines if text.split()[:1] == ["PC_DARTS"] and "93.0" in text)

    assert line.split() == ["PC_DARTS", "1", "93.00", "-", "-", "93.0", "+0.00"]
    assert max(map(len, lines)) <= 140
