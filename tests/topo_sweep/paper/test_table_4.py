"""Table IV: which cell stands beside which row of the paper."""

from __future__ import annotations

import pytest

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.protocols.training import PRESETS
from tests.topo_sweep.paper.compare_rows import (
    evaluation,
    find,
    known,
    only,
    search,
    source,
    training,
)
from topo_sweep.paper.compare import compare

FINAL = PRESETS["final"]
FOUND = str(
    Genotype(
        CellEdges.uniform(Topology.from_index(17), "sep_conv_5x5"),
        CellEdges.uniform(Topology.from_index(3), "dil_conv_3x3"),
    )
)
"""A cell without a name."""


def test_table_4_puts_errors_and_search_days_beside_the_papers_row() -> None:
    search_row = search(
        "search_edarts", 3, topology=17, reduction_topology=17, search_seconds=1296.0
    )
    final = {"protocol_hash": FINAL.protocol_hash, "parameters": 3_200_000}
    rows = source(
        [evaluation(search_row, 0.972 + 0.001 * k, seed=k, **final) for k in (0, 1)], [search_row]
    )
    compared = compare([rows], "4")
    (comparison,) = compared.tables

    error = find(comparison, "test error", "search_edarts on cifar10, seed 3")
    assert (error.n, error.ours) == pytest.approx((2, 2.75))
    assert error.difference == pytest.approx(2.75 - 2.53)
    assert error.note == "beside eDARTS CIFAR10 + cutout"
    days = find(comparison, "search, days", "search_edarts")
    assert days.ours == pytest.approx(0.015)
    assert (days.theirs, days.note) == ("0.015", "on Tesla")
    assert find(comparison, "parameters", "search_edarts").ours == pytest.approx(3.2)
    assert comparison.differs == ("search: along wiring 17 (paper: does not say which)",)
    assert "AmoebaNet-B + cutout                               2.55" in compared.text


def test_a_found_cell_trained_without_its_search_stands_beside_the_papers_row() -> None:
    search_row = search("search_edarts", 3, search_seconds=1296.0, genotype=FOUND)
    # As `run table4`, `evaluate` and `promote --final` make it, and in a sweep of its own.
    final = training(FOUND, 7, 0.97, protocol_hash=FINAL.protocol_hash)
    with_search = evaluation(search_row, 0.98, protocol_hash=FINAL.protocol_hash)
    sweeps = [source([with_search], [search_row]), source([final], name="table4")]
    comparison = only(sweeps, "4")

    error = find(comparison, "test error", "search_edarts on cifar10, seed 3 (search)")
    assert (error.n, error.ours) == pytest.approx((2, 2.5))  # one cell, one row
    assert (error.theirs, error.note) == ("2.53", "beside eDARTS CIFAR10 + cutout")
    days = find(comparison, "search, days", "search_edarts")
    assert days.ours == pytest.approx(0.015)
    assert (days.theirs, days.note) == ("0.015", "on Tesla")
    assert comparison.differs == ()
    alone = only([source([final], [search_row])], "4")
    assert find(alone, "test error", "search_edarts on cifar10, seed 3").theirs == "2.53"


def test_a_cell_that_several_searches_found_says_so() -> None:
    finders = [
        search("search_edarts", seed, genotype=FOUND, search_id=f"s{seed}") for seed in (4, 3)
    ]
    final = training(FOUND, 0, 0.97, protocol_hash=FINAL.protocol_hash)
    comparison = only([source([final], finders)], "4")

    error = find(comparison, "test error", "search_edarts on cifar10, seed 3 (s3)")
    assert error.note == "beside eDARTS CIFAR10 + cutout; found by 2 searches"
    (said,) = comparison.notes
    assert said == (
        "search_edarts on cifar10, seed 3 (s3): 2 searches found this cell: search_edarts on "
        "cifar10, seed 3 (s3); search_edarts on cifar10, seed 4 (s4). Label and search days are of "
        "the first."
    )

    finders[0] = search("search_pcdarts", 4, genotype=FOUND)
    torn = only([source([final], finders)], "4")
    error = find(torn, "test error", "search_edarts on cifar10, seed 3 (s3)")
    assert (error.theirs, error.note) == ("", "found by 2 searches")


def test_a_cell_that_no_search_found_stands_alone_also_among_searches() -> None:
    final = training(FOUND, 0, 0.97, protocol_hash=FINAL.protocol_hash)
    compared = only([source([final], [search("search_edarts", 3)])], "4")

    error = find(compared, "test error", "cell ")
    assert (error.n, error.theirs, error.note) == (1, "", "")
    assert error.ours == pytest.approx(3)
    assert not [entry for entry in compared.entries if entry.quantity.startswith("search, days")]


def test_table_4_keeps_data_sets_apart_and_takes_no_others() -> None:
    search_row = search("search_edarts", 3)
    final = {"protocol_hash": FINAL.protocol_hash}
    rows = [evaluation(search_row, 0.8, dataset=name, **final) for name in ("cifar100", "digits")]
    comparison = only([source(rows, [search_row])], "4")

    # Found on CIFAR-10, judged on CIFAR-100.
    assert find(comparison, "test error", "search_edarts on cifar10").theirs == "17.00"
    assert comparison.differs == ()


def test_a_shallow_evaluation_is_no_row_of_table_4_and_a_small_final_one_says_so() -> None:
    small = FINAL.with_values({"epochs": 3})
    rows = [known("DARTS_V2", 0, 0.9), known("DARTS_V2", 0, 0.5, protocol_hash=small.protocol_hash)]
    comparison = only([source(rows, protocols=[small])], "4")

    assert comparison.differs == ("evaluation: epochs 3 (paper 600)",)
    assert find(comparison, "test error", "DARTS_V2").ours == pytest.approx(50)
