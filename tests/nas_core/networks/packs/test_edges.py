"""What edges of all models compute: who reads what, strides, pooling and skips."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from nas_core.networks.operations import OPS
from nas_core.networks.packs.blocks import Memory, Pass
from nas_core.networks.packs.edges import (
    CONVOLUTIONS,
    Depthwise,
    Reads,
    Unweighted,
    Wires,
    convolved,
)
from nas_core.networks.stack import CellPlan

MODELS, IMAGES, SIDE, CHANNELS = 3, 2, 6, 4
NORMAL = CellPlan(channels=CHANNELS, channels_before=(CHANNELS, CHANNELS))
REDUCTION = CellPlan(channels=CHANNELS, channels_before=(CHANNELS, CHANNELS), reduction=True)
NOTHING = Pass([], None)


def states(count: int, *, reduction: bool = False) -> list[Tensor]:
    """Return maps of all models; in a reduction cell nodes are half as large as inputs."""
    torch.manual_seed(0)
    sides = [SIDE if not reduction or number < 2 else SIDE // 2 for number in range(count)]
    return [
        torch.randn(IMAGES, side, side, MODELS, CHANNELS, dtype=torch.float64) for side in sides
    ]


def of_model(x: Tensor, number: int) -> Tensor:
    """(B, H, W, K, C) -> (B, C, H, W) of one model."""
    return x[:, :, :, number].permute(0, 3, 1, 2)


@pytest.mark.parametrize("sources", [(2, 2, 2), (0, 2, 1), (1, 2, 2)])
def test_each_model_reads_its_own_map_of_its_source(sources: tuple[int, ...]) -> None:
    maps = states(4)

    read = Wires(sources, range(MODELS), MODELS)(maps.__getitem__)

    for number, source in enumerate(sources):
        assert torch.equal(of_model(read, number), of_model(maps[source], number))


def test_some_models_can_be_read_alone() -> None:
    maps = states(3)

    read = Wires((1, 2), [2, 1], MODELS)(maps.__getitem__)

    assert torch.equal(of_model(read, 0), of_model(maps[1], 2))
    assert torch.equal(of_model(read, 1), of_model(maps[2], 1))


@pytest.mark.parametrize("operation", CONVOLUTIONS)
@pytest.mark.parametrize("sources", [(0, 1, 0), (0, 2, 1), (3, 2, 2)])
def test_a_model_that_reads_an_input_of_a_reduction_cell_strides(
    sources: tuple[int, ...], operation: str
) -> None:
    filters = CONVOLUTIONS[operation]
    shape = (CHANNELS, 1, filters.kernel, filters.kernel)
    memory = Memory(MODELS, {"w": torch.Size(shape)})
    maps = states(4, reduction=True)
    weight = torch.randn(1, MODELS, *shape, dtype=torch.float64)

    first = Depthwise(memory.parameters.block("w"), filters, [sources], REDUCTION)
    y = first(Pass([weight], None), maps.__getitem__)

    for number, source in enumerate(sources):
        expected = conv2d(
            of_model(maps[source], number),
            weight[0, number],
            stride=2 if source < 2 else 1,
            padding=filters.dilation * (filters.kernel - 1) // 2,
            dilation=filters.dilation,
            groups=CHANNELS,
        )
        torch.testing.assert_close(of_model(y, number), expected)


def test_a_depthwise_convolution_keeps_models_apart() -> None:
    (x,) = states(1)
    weight = torch.randn(MODELS, CHANNELS, 1, 3, 3, dtype=torch.float64)
    weight[1] = torch.nan

    y = convolved(x, weight, CONVOLUTIONS["sep_conv_3x3"])

    assert [bool(of_model(y, number).isnan().any()) for number in range(3)] == [False, True, False]


@pytest.mark.parametrize("operation", ["max_pool_3x3", "avg_pool_3x3", "skip_connect"])
@pytest.mark.parametrize("plan", [NORMAL, REDUCTION])
def test_pooling_and_skips_are_those_of_a_network(operation: str, plan: CellPlan) -> None:
    maps = states(4, reduction=plan.reduction)
    sources = (3, 2, 2) if operation == "skip_connect" and plan.reduction else (0, 3, 1)
    keep = torch.rand(IMAGES, 8, MODELS, dtype=torch.float64)

    y = Unweighted(operation, 5, sources, plan)(NOTHING, Reads(plan, maps, rectified=False), keep)

    for number, source in enumerate(sources):
        alone = OPS[operation](CHANNELS, plan.stride(source), True)
        expected = alone(of_model(maps[source], number))
        if operation != "skip_connect":  # the identity is never dropped
            expected = expected * keep[:, 5, number, None, None, None]
        torch.testing.assert_close(of_model(y, number), expected)


def test_each_form_of_a_state_is_made_once_and_only_where_it_is_read() -> None:
    made: list[int] = []

    def state(number: int) -> Tensor:
        made.append(number)
        return maps[number]

    maps = states(4)
    Wires((0, 3, 3), range(MODELS), MODELS)(state)
    assert made == [0, 3], "what no model reads is not asked for"
    reads = Reads(NORMAL, maps, rectified=False)
    assert torch.equal(reads.after("relu", 1), maps[1].relu())
    assert reads.after("relu", 1) is reads.after("relu", 1)
    assert Reads(NORMAL, maps, rectified=True).after("relu", 1) is maps[1]
