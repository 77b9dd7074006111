"""Progressive search in stages (P-DARTS), and search on a part of the channels (PC-DARTS)."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nas_core.cells.discretisation import discretise_cell
from nas_core.cells.genotype import OPERATION_NAMES, Genotype
from nas_core.networks.alphas import CELL_TYPES, Alphas
from nas_core.networks.kernels.edges import mix
from nas_core.networks.supernet import MixedOp, SearchCell, SearchNetwork
from nas_core.protocols.search import SEARCH_PRESETS, skip_dropout_rate
from tests.nas_core.training.searches import TINY, reference, searched, started
from tests.nas_core.training.trainings import copied, same, stopped_after

PDARTS, PCDARTS = (SEARCH_PRESETS[f"search_{name}"] for name in ("pdarts", "pcdarts"))
CELLS, KEPT, DROPOUT = (1, 2, 3), (5, 4, 3), (0.0, 0.4, 0.7)
STAGED = TINY.with_values(
    {"epochs": 2, "warmup_epochs": 1, "alpha_order": 1, "alpha_learning_rate": 0.05}
    | {"operations": "SS1", "max_skips": 1}
    | {
        "stages": [
            {"cells": cells, "operations_kept": kept, "skip_dropout": dropout}
            for cells, kept, dropout in zip(CELLS, KEPT, DROPOUT, strict=True)
        ]
    }
)


def test_the_preset_has_three_stages_of_25_epochs() -> None:
    stages = [(s.cells, s.operations_kept, s.skip_dropout) for s in PDARTS.all_stages]
    assert stages == [(5, 8, 0.0), (11, 5, 0.4), (17, 3, 0.7)]
    assert (PDARTS.epochs, PDARTS.total_epochs, PDARTS.warmup_epochs) == (25, 75, 10)
    assert PDARTS.max_skips == 2


def test_a_search_without_stages_has_one() -> None:
    assert [stage.cells for stage in TINY.all_stages] == [TINY.cells]
    assert TINY.total_epochs == TINY.epochs


@pytest.mark.slow
def test_each_stage_is_deeper_and_has_fewer_operations_an_edge() -> None:
    search = started(STAGED)
    seen = []
    for epoch in search.epochs():
        cells = [cell for cell in search.network.cells if isinstance(cell, SearchCell)]
        mixed = [m for m in search.network.modules() if isinstance(m, MixedOp)]
        operations = {len(m.operations) for m in mixed}
        seen.append((epoch.epoch, epoch.stage, len(cells), operations, epoch.alpha_steps > 0))
        assert search.alphas.tensors["normal"].shape == (8, len(mixed[0].operations))
    assert seen == [
        (0, 0, 1, {5}, False),
        (1, 0, 1, {5}, True),
        (2, 1, 2, {4}, False),
        (3, 1, 2, {4}, True),
        (4, 2, 3, {3}, False),
        (5, 2, 3, {3}, True),
    ]


@pytest.mark.slow
def test_the_operations_that_a_stage_drops_are_the_weakest_of_the_one_before() -> None:
    search = started(STAGED)
    spaces = {epoch.stage: search.network.space for epoch in search.epochs()}
    dropped = set()
    for stage in (1, 2):
        last = search.history[2 * stage - 1]
        assert last.stage == stage - 1
        for cell_type in CELL_TYPES:
            before, after = spaces[stage - 1].cell(cell_type), spaces[stage].cell(cell_type)
            assert after.edges == before.edges
            for edge, had, has in zip(
                last.edge_weights(cell_type), before.operations, after.operations, strict=True
            ):
                weakest = min(had, key=lambda name: edge.weights[name])
                assert has == tuple(name for name in had if name != weakest)
                dropped.add(weakest)
    assert len(dropped) > 2, "edges differ in what they drop"


@pytest.mark.slow
def test_learning_rate_and_images_start_over_with_each_stage() -> None:
    rates = [epoch.learning_rate for epoch in reference(STAGED).history]
    assert rates == [0.025, rates[1]] * 3
    losses = [epoch.train_loss for epoch in reference(STAGED).history]
    assert len(set(losses)) == 6


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 2, 5], ids=["inside", "between", "in the last stage"])
def test_stopped_in_any_stage_it_goes_on_to_the_same_end(stop: int, tmp_path: Path) -> None:
    stopped_after(stop, started(STAGED, path=tmp_path / "state"))
    second = started(STAGED, path=tmp_path / "state")
    assert [epoch.epoch for epoch in second.epochs()] == list(range(6))
    assert same(second, reference(STAGED))
    assert same(started(STAGED, path=tmp_path / "state"), reference(STAGED))


def test_a_stages_weights_are_new() -> None:
    search = started(STAGED)
    starts = [copied(dict(search.network.named_parameters()))]
    stopped_after(2, search)
    search.build(epoch=2)
    starts.append(dict(search.network.named_parameters()))
    shared = [name for name in starts[0] if name in starts[1] and name.endswith("weight")]
    shared = [n for n in shared if starts[0][n].shape == starts[1][n].shape and ".1." not in n]
    assert shared
    assert not any(torch.equal(starts[0][name], starts[1][name]) for name in shared)


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [
        (0, 0.0),  # the first stage drops nothing
        (24, 0.0),
        (25, 0.4 * 24 / 25),  # linear while weights warm up, on the way to 0 in epoch 25
        (34, 0.4 * 15 / 25),
        (35, 0.4),  # from the full rate once alphas learn
        (36, 0.4 * 0.818731),  # e^-0.2
        (49, 0.4 * 0.060810),  # e^-2.8
        (50, 0.7 * 24 / 25),
        (60, 0.7),
        (74, 0.7 * 0.060810),
    ],
)
def test_the_dropout_behind_skips_decays_as_in_p_darts(epoch: int, rate: float) -> None:
    assert skip_dropout_rate(PDARTS, epoch) == pytest.approx(rate, rel=1e-5)


def test_dropped_numbers_are_keyed_by_seed_epoch_step_and_edge() -> None:
    search, x = started(STAGED), torch.ones(40, 4, 8, 8)

    def dropped(epoch: int = 3, step: int = 0, edge: str = "0 0to2") -> Tensor:
        dropout = search.dropout(epoch, step)
        assert dropout is not None
        return dropout(x, edge)

    assert torch.equal(dropped(), dropped())
    others = [dropped(epoch=5), dropped(step=1), dropped(edge="1 0to2"), dropped(edge="0 1to2")]
    assert not any(torch.equal(dropped() == 0, other == 0) for other in others)
    search.seed = 1
    assert not torch.equal(others[0], dropped(epoch=5))


@pytest.mark.parametrize(("epoch", "rate"), [(3, 0.4), (5, 0.7), (2, 0.2)])
def test_dropout_keeps_its_fraction_scaled_so_that_the_mean_stays(epoch: int, rate: float) -> None:
    dropout = started(STAGED).dropout(epoch, 0)
    assert dropout is not None
    y = dropout(torch.full((100, 4, 8, 8), 3.0), "0 0to2")
    assert sorted(y.unique().tolist()) == pytest.approx([0, 3 / (1 - rate)])
    assert (y > 0).double().mean().item() == pytest.approx(1 - rate, abs=0.02)


def test_without_a_rate_nothing_is_dropped() -> None:
    assert started(STAGED).dropout(0, 0) is None
    assert started(TINY).dropout(2, 0) is None


def test_dropout_acts_behind_each_identity_skip_and_nowhere_else() -> None:
    network = SearchNetwork(init_channels=2, cells=3, num_classes=10, operations=OPERATION_NAMES)
    alphas = Alphas(network.space).to(torch.device("cpu"), torch.float32)
    seen: list[str] = []

    def dropout(y: Tensor, edge: str) -> Tensor:
        seen.append(edge)
        return y

    network(torch.randn(2, 3, 8, 8), alphas.mixing(), dropout)
    edges = [f"{source}to{node}" for node in range(2, 6) for source in range(node)]
    reduced = [edge for edge in edges if edge[0] not in "01"]  # others halve, and learn
    expected = [("0", edges), ("1", reduced), ("2", reduced)]
    assert sorted(seen) == sorted(f"{cell} {edge}" for cell, some in expected for edge in some)


def test_what_is_dropped_behind_a_skip_is_missing_from_the_sum_of_its_edge() -> None:
    mixed = MixedOp(["skip_connect", "sep_conv_3x3"], 2, stride=1)
    x = torch.randn(2, 2, 4, 4)
    edge = [mixed.operations]
    (without,) = mix(edge, x, torch.tensor([[0.0, 0.5]]))
    (zeroed,) = mix(edge, x, torch.tensor([[0.5, 0.5]]), lambda _, y: torch.zeros_like(y))
    torch.testing.assert_close(zeroed, without)


@pytest.mark.slow
def test_dropout_changes_what_is_searched() -> None:
    stages = [stage.model_dump() | {"skip_dropout": 0.0} for stage in STAGED.stages]
    without = searched(STAGED.with_values({"stages": stages})).history
    with_dropout = reference(STAGED).history
    assert without[1].train_loss == with_dropout[1].train_loss
    assert without[2].train_loss != with_dropout[2].train_loss


def test_what_is_found_has_no_more_skips_than_the_limit() -> None:
    for limit, skips in ((1, 1), (3, 3), (None, 8)):
        search = started(STAGED.with_values({"max_skips": limit}))
        with torch.no_grad():
            search.alphas.tensors["normal"][:, 2] += 3
            search.alphas.tensors["reduction"][:, 2] += 3
        epoch = next(search.epochs())
        assert (epoch.skips_normal, epoch.skips_reduction) == (skips, 8)


def test_pc_darts_searches_on_a_quarter_of_the_channels_with_normalised_edges() -> None:
    protocol = PCDARTS.with_values(
        {"cells": 1, "init_channels": 8, "batch_size": 16, "epochs": 2, "warmup_epochs": 1}
        | {"operations": "SS1", "crop_padding": 1}
    )
    search = searched(protocol)
    mixed = [module for module in search.network.modules() if isinstance(module, MixedOp)]
    assert {(m.partial_channels, m.channels) for m in mixed} == {(4, 4)}  # 8 doubled, a quarter
    assert set(search.alphas.tensors) == {"normal", "reduction", "normal_edges", "reduction_edges"}
    warm, last = search.history
    assert (warm.alpha_steps, last.alpha_steps) == (0, 2)
    assert not torch.equal(search.alphas.tensors["reduction_edges"], torch.zeros(14))

    edges = last.edge_weights("reduction")
    for node in range(2, 6):
        shares = [edge.edge_weight for edge in edges if edge.node == node]
        assert len(shares) == node
        assert math.fsum(shares) == pytest.approx(1, abs=1e-6)
    assert last.genotype is not None
    assert Genotype.from_string(last.genotype).reduction == discretise_cell(edges)
    unweighted = [dataclasses.replace(edge, edge_weight=1.0) for edge in edges]
    assert unweighted != edges
