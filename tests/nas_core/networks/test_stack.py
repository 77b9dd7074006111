"""The stack: where cells reduce, how wide they are, what they read, and which images fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.cells.topology import Topology
from nas_core.errors import InputError
from nas_core.networks import supernet
from nas_core.networks.alphas import Alphas
from nas_core.networks.evaluation import EvalNetwork
from nas_core.networks.operations import FactorizedReduce, ReluConvBn
from nas_core.networks.stack import (
    CellPlan,
    cell_plans,
    check_image_size,
    last_map,
    reduction_positions,
    stem,
)
from nas_core.networks.supernet import SearchNetwork


def test_the_plan_of_five_cells_is_the_one_worked_out_by_hand() -> None:
    def plan(channels: int, *before: int, reduces: bool, after: bool = False) -> CellPlan:
        return CellPlan(
            channels=channels,
            channels_before=(before[0], before[1]),
            reduction=reduces,
            reduction_before=after,
        )

    assert cell_plans(5, 16) == (
        plan(16, 48, 48, reduces=False),  # both inputs are the stem, 3 * 16 wide
        plan(32, 48, 64, reduces=True),  # 64 = 4 nodes * 16
        plan(32, 64, 128, reduces=False, after=True),
        plan(64, 128, 128, reduces=True),
        plan(64, 128, 256, reduces=False, after=True),
    )
    assert [p.width for p in cell_plans(3, 2, nodes=3)] == [6, 12, 24]


@pytest.mark.parametrize(
    ("cells", "positions"), [(1, {0}), (2, {0, 1}), (5, {1, 3}), (8, {2, 5}), (20, {6, 13})]
)
def test_reductions_are_a_third_and_two_thirds_down(cells: int, positions: set[int]) -> None:
    assert reduction_positions(cells) == positions
    plans = cell_plans(cells, 2)
    assert {n for n, plan in enumerate(plans) if plan.reduction} == positions
    assert plans[0].channels == (4 if 0 in positions else 2)
    assert plans[-1].channels == 2 * 2 ** len(positions)


@pytest.mark.parametrize(
    ("cells", "halved"),
    [(1, []), (2, [1]), (3, [2]), (4, [2, 3]), (5, [2, 4]), (8, [3, 6]), (20, [7, 14])],
)
def test_the_first_input_is_halved_exactly_after_a_reduction(cells: int, halved: list[int]) -> None:
    preprocessings = [plan.preprocessing() for plan in cell_plans(cells, 2)]
    reduces = [FactorizedReduce if n in halved else ReluConvBn for n in range(cells)]
    assert [type(first) for first, _ in preprocessings] == reduces
    assert all(type(second) is ReluConvBn for _, second in preprocessings)


def test_only_edges_of_a_reduction_cell_that_read_its_inputs_have_stride_2() -> None:
    normal, reduction, *_ = cell_plans(5, 2)
    assert [normal.stride(source) for source in range(5)] == [1, 1, 1, 1, 1]
    assert [reduction.stride(source) for source in range(5)] == [2, 2, 1, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("cells", [1, 2, 3, 4, 7])
def test_both_kinds_of_network_follow_the_plan(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.zeros(2, 3, 8, 8)
    evaluation = EvalNetwork(
        KNOWN_CELLS["DARTS_V1"], init_channels=2, cells=cells, num_classes=3
    ).eval()
    search = SearchNetwork(
        init_channels=2,
        cells=cells,
        num_classes=3,
        operations=("sep_conv_3x3",),
        topology=Topology.from_index(0),
    )
    plans = cell_plans(cells, 2)
    widths: list[int] = []
    for cell in evaluation.cells:
        cell.register_forward_hook(lambda _, __, output: widths.append(output.shape[1]))
    side_by_side = supernet.cells_side_by_side

    def spied(*arguments: Any) -> Tensor:
        output = side_by_side(*arguments)
        widths.append(output.shape[1])
        return output

    monkeypatch.setattr(supernet, "cells_side_by_side", spied)
    assert evaluation(images).shape == (2, 3)
    assert search(images, Alphas(search.space).mixing()).shape == (2, 3)
    assert widths == 2 * [plan.width for plan in plans]
    assert search.cell_types == [plan.cell_type for plan in plans]


def test_the_stem_is_three_times_as_wide_as_the_first_cells() -> None:
    assert stem(6)(torch.zeros(1, 3, 4, 4)).shape == (1, 18, 4, 4)


def test_the_last_maps_are_halved_by_each_reduction_and_rounded_up() -> None:
    assert last_map(32, 32, cells=5) == (8, 8)
    assert last_map(9, 7, cells=5) == (3, 2)
    assert last_map(9, 7, cells=1) == (5, 4)


@pytest.mark.parametrize(
    ("size", "cells", "message"),
    [
        (3, 5, "images of 3x3 are too small for 5 cells.*1 cell .one reduction. fits"),
        (1, 1, "images of 1x1 are too small for 1 cells.*no depth fits"),
    ],
)
def test_too_small_images_are_an_error_that_says_which_depth_fits(
    size: int, cells: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_image_size(size, size, cells=cells, auxiliary=False)
    check_image_size(4, 4, cells=5, auxiliary=False)
    check_image_size(2, 2, cells=1, auxiliary=False)


def test_an_auxiliary_head_on_other_maps_than_8x8_is_an_error_that_says_what_to_set() -> None:
    with pytest.raises(InputError, match="give 2x2 after cell 3 of 5: set auxiliary=false"):
        check_image_size(8, 8, cells=5, auxiliary=True)
    check_image_size(32, 32, cells=20, auxiliary=True)
