"""Tables III and IV and the two phases: what stands beside the paper's numbers."""

from __future__ import annotations

from typing import Any

import pytest

from nas_core.cells.genotype import KNOWN_CELLS, CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.networks.evaluation import EvalNetwork
from nas_core.protocols.training import PRESETS
from tests.topo_sweep.paper.compare_rows import (
    evaluation,
    find,
    known,
    known_cells,
    only,
    search,
    source,
    topology,
    training,
)
from topo_sweep.paper.compare import compare
from topo_sweep.paper.table_3 import SHALLOW_PARAMETERS

FINAL = PRESETS["final"]
FOUND = str(
    Genotype(
        CellEdges.uniform(Topology.from_index(17), "sep_conv_5x5"),
        CellEdges.uniform(Topology.from_index(3), "dil_conv_3x3"),
    )
)
"""A cell without a name."""


# Table III


def test_table_3_gives_tau_with_the_exact_p_of_four_cells() -> None:
    comparison = only([source(known_cells())], "3")
    tau = find(comparison, "Kendall tau", "shallow and final accuracy")

    # One of six pairs is discordant; 8 of 24 orders are as far from 0: 1/3.
    assert tau.ours == pytest.approx(4 / 6)
    assert tau.note == "ours: exact p 0.33; n counts cells"
    assert tau.theirs == "0.67 (p 0.33)"
    assert tau.n == 4


def test_table_3_says_that_the_papers_shallow_order_is_the_order_of_parameters() -> None:
    same = find(only([source(known_cells())], "3"), "Kendall tau", "shallow accuracy and param")
    assert (same.ours, same.theirs) == (1.0, "1.00 (p 0.08)")

    # With the first and the last exchanged five of six pairs are discordant.
    other = only([source(known_cells(swapped=True))], "3")
    own = find(other, "Kendall tau", "shallow accuracy and param")
    assert own.ours == pytest.approx(-4 / 6)
    assert own.difference == pytest.approx(-4 / 6 - 1)


def test_the_parameter_counts_beside_table_3_are_those_of_the_networks() -> None:
    for name, count in SHALLOW_PARAMETERS.items():
        network = EvalNetwork(KNOWN_CELLS[name], init_channels=16, cells=5, num_classes=10)
        assert sum(weights.numel() for weights in network.parameters()) == count


def test_table_3_pairs_a_shallow_with_a_final_protocol_of_the_same_images() -> None:
    rows = [known("PDARTS", seed, 0.92 + 0.01 * seed) for seed in (0, 1)]
    rows += [known("PDARTS", 0, 0.97, protocol_hash=FINAL.protocol_hash, fingerprint="bbbb")]
    first, second = compare([source(rows)], "3").tables

    assert find(first, "shallow", "PDARTS").ours == pytest.approx(92.5)
    assert not [own for own in first.entries if own.quantity.startswith("final")]
    assert find(second, "final", "PDARTS").difference == pytest.approx(97 - 97.5)


def test_two_cells_have_no_tau_and_missing_ones_a_dash() -> None:
    comparison = only([source([known("PDARTS", 0, 0.9), known("DARTS_V1", 0, 0.8)])], "3")

    assert find(comparison, "Kendall tau", "shallow accuracy and param").ours is None
    assert find(comparison, "shallow test accuracy", "PC_DARTS").ours is None


# Table IV


def test_table_4_puts_errors_and_search_days_beside_the_papers_row() -> None:
    own = search("search_edarts", 3, topology=17, reduction_topology=17, search_seconds=1296.0)
    final = {"protocol_hash": FINAL.protocol_hash, "parameters": 3_200_000}
    rows = source([evaluation(own, 0.972 + 0.001 * k, seed=k, **final) for k in (0, 1)], [own])
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
    own = search("search_edarts", 3, search_seconds=1296.0, genotype=FOUND)
    # As `run table4`, `evaluate` and `promote --final` make it, and in a sweep of its own.
    final = training(FOUND, 7, 0.97, protocol_hash=FINAL.protocol_hash)
    with_search = evaluation(own, 0.98, protocol_hash=FINAL.protocol_hash)
    sweeps = [source([with_search], [own]), source([final], name="table4")]
    comparison = only(sweeps, "4")

    error = find(comparison, "test error", "search_edarts on cifar10, seed 3 (search)")
    assert (error.n, error.ours) == pytest.approx((2, 2.5))  # one cell, one row
    assert (error.theirs, error.note) == ("2.53", "beside eDARTS CIFAR10 + cutout")
    days = find(comparison, "search, days", "search_edarts")
    assert days.ours == pytest.approx(0.015)
    assert (days.theirs, days.note) == ("0.015", "on Tesla")
    assert comparison.differs == ()
    alone = only([source([final], [own])], "4")
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


def test_table_4_keeps_data_sets_apart_and_takes_no_others() -> None:
    own = search("search_edarts", 3)
    final = {"protocol_hash": FINAL.protocol_hash}
    rows = [evaluation(own, 0.8, dataset=name, **final) for name in ("cifar100", "digits")]
    comparison = only([source(rows, [own])], "4")

    # Found on CIFAR-10, judged on CIFAR-100.
    assert find(comparison, "test error", "search_edarts on cifar10").theirs == "17.0"
    assert comparison.differs == ()


def test_a_shallow_evaluation_is_no_row_of_table_4_and_a_small_final_one_says_so() -> None:
    small = FINAL.with_values({"epochs": 3})
    rows = [known("DARTS_V2", 0, 0.9), known("DARTS_V2", 0, 0.5, protocol_hash=small.protocol_hash)]
    comparison = only([source(rows, protocols=[small])], "4")

    assert comparison.differs == ("evaluation: epochs 3 (paper 600)",)
    assert find(comparison, "test error", "DARTS_V2").ours == pytest.approx(50)


# Phases


def test_phases_compare_the_best_of_each_seed_with_the_papers_single_run() -> None:
    rows = [topology(i, seed, 0.90 + 0.01 * i + 0.02 * seed) for i in (0, 1, 2) for seed in (0, 1)]
    rows += [topology(2, seed, 0.94 + 0.02 * seed, unified=True) for seed in (0, 1)]
    comparison = only([source(rows)], "phases")

    highest = find(comparison, "phase 1", "highest")
    assert (highest.n, highest.ours) == pytest.approx((2, 93))  # of 92 and 94
    assert highest.difference == pytest.approx(93 - 92.44)
    assert highest.note == "paper: of 180"
    assert find(comparison, "phase 1", "range").theirs == "92.44 - 91.24 = 1.20"
    assert find(comparison, "phase 1", "best mean: topology 2").ours == pytest.approx(93)
    gain = find(comparison, "phase 2 - phase 1", "highest")
    assert (gain.n, gain.ours, gain.sd) == pytest.approx((2, 2, 0), abs=1e-9)
    said = " ".join(comparison.notes)
    assert "it is optimistic" in said
    assert "Phase 2 adds 61% parameters" in said


def test_a_seed_that_trained_fewer_topologies_does_not_lower_the_highest() -> None:
    rows = [topology(i, 0, value) for i, value in enumerate((0.90, 0.95))]
    rows += [topology(0, 1, 0.80)]
    comparison = only([source(rows)], "phases")

    assert find(comparison, "phase 1", "highest").n == 1
    assert find(comparison, "phase 1", "highest").ours == pytest.approx(95)
    assert find(comparison, "phase 1", "best mean: topology 0").n == 2  # it has the most seeds


def test_with_a_holdout_the_best_is_chosen_on_validation_images() -> None:
    held: dict[str, Any] = {"holdout": 5000}
    rows = [topology(0, 0, 0.95, val_accuracy=0.8, **held)]
    rows += [topology(1, 0, 0.90, val_accuracy=0.9, **held)]
    comparison = only([source(rows)], "phases")

    assert find(comparison, "phase 1", "best mean: topology 1").ours == pytest.approx(90)
    assert "chosen by validation accuracy" in " ".join(comparison.notes)


def test_the_phases_name_the_reduction_wiring_which_the_paper_does_not() -> None:
    rows = [topology(4, 0, 0.9), topology(5, 0, 0.9)]

    assert only([source(rows)], "phases").differs == (
        "reduction cell of phase 1: wiring 0 (paper: does not say)",
    )


def test_a_diverged_training_counts_with_zero_and_a_failed_one_is_left_out() -> None:
    rows = [
        topology(0, 0, 0.9),
        topology(1, 0, float("nan"), status="diverged"),
        topology(2, 0, float("nan"), status="failed"),
    ]
    comparison = only([source(rows)], "phases")

    assert find(comparison, "phase 1", "lowest").ours == 0
    assert comparison.notes[:2] == (
        "Left out as failed: 1 training.",
        "Counted although diverged: 1 training.",
    )
