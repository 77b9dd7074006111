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

FINAL, FINAL_36 = PRESETS["final"], PRESETS["final_36"]
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
    small = PRESETS["final_36"].with_values({"epochs": 3, "drop_path": 0.2})
    rows = [known("DARTS_V2", 0, 0.9), known("DARTS_V2", 0, 0.5, protocol_hash=small.protocol_hash)]
    comparison = only([source(rows, protocols=[small])], "4")

    assert comparison.differs == ("evaluation: epochs 3 (preset 600)",)
    assert find(comparison, "test error", "DARTS_V2").ours == pytest.approx(50)


def test_networks_of_32_channels_beside_the_36_of_other_authors_are_never_as_in_the_paper() -> None:
    own = evaluation(search("search_edarts", 3, genotype=FOUND), 0.97)
    names = ("DARTS_V2", "PDARTS", "PC_DARTS")
    rows = [known(name, 0, 0.97, protocol_hash=FINAL.protocol_hash) for name in names]
    alone = only([source(rows)], "4")
    assert "as in the paper, as far as it tells" not in alone.text
    assert all("init_channels 32 (paper 36)" in said for said in alone.differs)

    searches = [search("search_edarts", 3, genotype=FOUND)]
    both = only([source([*rows, own | {"protocol_hash": FINAL.protocol_hash}], searches)], "4")
    darts, others = both.differs
    assert darts == "evaluation (DARTS_V2): init_channels 32 (paper 36), drop_path 0.3 (paper 0.2)"
    assert others == (
        "evaluation (PC_DARTS, PDARTS): init_channels 32 (paper 36), batch_size 96 (paper 128)"
    )
    assert any("those of their authors" in note for note in both.notes)


def test_with_36_channels_the_difference_is_the_other_way_round() -> None:
    search_row = search("search_edarts", 3, genotype=FOUND)
    wide = {"protocol_hash": FINAL_36.protocol_hash}
    rows = [known("PDARTS", 0, 0.97, **wide), evaluation(search_row, 0.97, **wide)]
    comparison = only([source(rows, [search_row])], "4")

    assert comparison.differs == (
        "evaluation (PDARTS): batch_size 96 (paper 128)",
        "evaluation (search_edarts on cifar10, seed 3 (search)): init_channels 36 (paper 32)",
    )


def test_the_best_of_several_searches_by_test_accuracy_is_called_so_beside_its_error() -> None:
    origin = "found:edarts: the best of 10 networks of edarts by last-epoch test accuracy"
    trainings = [
        training(FOUND, 0, 0.97, protocol_hash=FINAL.protocol_hash),
        known("PDARTS", 0, 0.97, protocol_hash=FINAL.protocol_hash),
    ]
    sweeps = [
        source([], [search("search_edarts", 3, genotype=FOUND)]),
        source(trainings, name="table4", origins=["PDARTS", origin]),
    ]
    comparison = only(sweeps, "4")

    chosen = find(comparison, "test error", "search_edarts on cifar10, seed 3").note
    assert chosen.endswith("; chosen on the test images: optimistic")
    assert "chosen" not in find(comparison, "test error", "PDARTS").note
    said = f"table4: Chosen on the test images, so optimistic on them: {origin}."
    assert said in comparison.notes
