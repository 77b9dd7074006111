"""The cells of all models at one place are those of `EvalNetwork`, one by one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nas_core.cells.genotype import KNOWN_CELLS, CellEdges
from nas_core.cells.topology import Topology
from nas_core.networks.evaluation import Cell
from nas_core.networks.packs.blocks import Memory, Pass
from nas_core.networks.packs.cell import PackedCell
from nas_core.networks.stack import CellPlan

IMAGES, SIDE, CHANNELS = 2, 8, 4
NORMAL = CellPlan(channels=CHANNELS, channels_before=(6, 6))
REDUCTION = CellPlan(channels=CHANNELS, channels_before=(6, 6), reduction=True)
AFTER = CellPlan(channels=CHANNELS, channels_before=(6, 6), reduction_before=True)


def uniform(operation: str, *indices: int) -> list[CellEdges]:
    return [CellEdges.uniform(Topology.from_index(index), operation) for index in indices]


CELLS = [
    (uniform("sep_conv_3x3", 0, 17, 99), NORMAL),
    (uniform("sep_conv_5x5", 3, 60), AFTER),
    (uniform("max_pool_3x3", 0, 17), REDUCTION),
    (uniform("sep_conv_3x3", 0, 99, 150), REDUCTION),
    ([KNOWN_CELLS["DARTS_V2"].normal] * 2, NORMAL),
    ([KNOWN_CELLS["DARTS_V1"].reduction] * 2, REDUCTION),
    ([KNOWN_CELLS["PC_DARTS"].normal] * 2, AFTER),
]


def inputs(models: int, plan: CellPlan) -> list[Tensor]:
    """Return both inputs of the cells; after a reduction the first is still twice as large."""
    torch.manual_seed(0)
    sides = (2 * SIDE if plan.reduction_before else SIDE, SIDE)
    return [torch.randn(IMAGES, side, side, models, 6, dtype=torch.float64) for side in sides]


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(("edges", "plan"), CELLS)
def test_it_computes_the_cell_of_each_model(
    edges: list[CellEdges], plan: CellPlan, last: bool
) -> None:
    cells = [Cell(each, plan).double() for each in edges]
    shapes = {f"c.{name}": tensor.shape for name, tensor in cells[0].state_dict().items()}
    memory = Memory(len(cells), shapes)
    packed = PackedCell(memory, "c", edges, plan, last=last)
    flat = torch.empty(memory.parameters.size, dtype=torch.float64)
    for number, cell in enumerate(cells):
        for name, part in memory.parameters.model(flat, number).items():
            part.copy_(cell.state_dict()[name.removeprefix("c.")])
    maps = inputs(len(cells), plan)
    keep = torch.rand(IMAGES, 8, len(cells), dtype=torch.float64)

    y = packed(Pass(memory.parameters.split(flat), None), *(each.relu() for each in maps), keep)

    for number, cell in enumerate(cells):
        first, second = (each[:, :, :, number].permute(0, 3, 1, 2) for each in maps)
        expected = cell(first, second, keep[:, :, number].T)
        if packed.rectifies:
            expected = expected.relu()
        torch.testing.assert_close(y[:, :, :, number].permute(0, 3, 1, 2), expected)
    convolutions = all("conv" in edge.operation for edge in edges[0].edges)
    alike = all(a.operation == b.operation for a, b in edges[0].nodes)
    assert packed.rectifies == (convolutions and alike and not last)
