"""Table III: known cells, and what their order tells."""

from __future__ import annotations

import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.networks.evaluation import EvalNetwork
from nas_core.protocols.training import PRESETS
from tests.topo_sweep.paper.compare_rows import (
    find,
    known,
    known_cells,
    only,
    source,
)
from topo_sweep.paper.compare import compare
from topo_sweep.paper.table_3 import SHALLOW_PARAMETERS

FINAL = PRESETS["final"]


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
    swapped = find(other, "Kendall tau", "shallow accuracy and param")
    assert swapped.ours == pytest.approx(-4 / 6)
    assert swapped.difference == pytest.approx(-4 / 6 - 1)


def test_the_parameter_counts_beside_table_3_are_those_of_the_networks() -> None:
    for name, count in SHALLOW_PARAMETERS.items():
        network = EvalNetwork(KNOWN_CELLS[name], init_channels=16, cells=5, num_classes=10)
        assert sum(weights.numel() for weights in network.parameters()) == count


def test_table_3_pairs_a_shallow_with_a_final_protocol_of_the_same_images() -> None:
    rows = [known("PDARTS", seed, 0.92 + 0.01 * seed) for seed in (0, 1)]
    rows += [known("PDARTS", 0, 0.97, protocol_hash=FINAL.protocol_hash, fingerprint="bbbb")]
    first, second = compare([source(rows)], "3").tables

    assert find(first, "shallow", "PDARTS").ours == pytest.approx(92.5)
    assert not [entry for entry in first.entries if entry.quantity.startswith("final")]
    assert find(second, "final", "PDARTS").difference == pytest.approx(97 - 97.5)


def test_two_cells_have_no_tau_and_missing_ones_a_dash() -> None:
    comparison = only([source([known("PDARTS", 0, 0.9), known("DARTS_V1", 0, 0.8)])], "3")

    assert find(comparison, "Kendall tau", "shallow accuracy and param").ours is None
    assert find(comparison, "shallow test accuracy", "PC_DARTS").ours is None


def test_final_accuracies_stand_beside_networks_of_36_channels() -> None:
    narrow, wide = (
        [known("PC_DARTS", 0, 0.97, protocol_hash=PRESETS[preset].protocol_hash)]
        for preset in ("final", "final_36")
    )
    comparison = only([source(narrow)], "3")
    assert comparison.differs == (
        "final evaluation: init_channels 32 (paper 36), batch_size 96 (paper 128)",
    )
    assert any("those of their authors" in note for note in comparison.notes)
    # Section IV-A prints the batch; in the channels they agree.
    assert only([source(wide)], "3").differs == ("final evaluation: batch_size 96 (paper 128)",)
    shallow = only([source([known("PC_DARTS", 0, 0.9)])], "3")
    assert shallow.differs == ()
    assert not any("those of their authors" in note for note in shallow.notes)
