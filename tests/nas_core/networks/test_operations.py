"""What the candidate operations promise, by hand-computed maps; names follow the DARTS code."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from nas_core.cells.genotype import OPERATION_NAMES
from nas_core.networks.operations import (
    OPS,
    Convolution,
    FactorizedReduce,
    ReluConvBn,
)

CONVOLUTIONS = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
POOLS = ("max_pool_3x3", "avg_pool_3x3")


def transparent(operation: nn.Module, weight: float = 1.0) -> nn.Module:
    """Set all convolution weights to one value and let batch norm pass its input unchanged."""
    for module in operation.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, weight)
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0  # running mean 0 and variance 1 in evaluation mode
    return operation.eval()


def image(rows: Sequence[Sequence[float]]) -> Tensor:
    """One image of one channel."""
    return torch.tensor(rows, dtype=torch.float32)[None, None]


def impulse(size: int, at: int) -> Tensor:
    pixels = torch.zeros(1, 1, size, size)
    pixels[0, 0, at, at] = 1
    return pixels


def square(profile: Sequence[float]) -> Tensor:
    """The map that is this profile in rows times this profile in columns."""
    line = torch.tensor(profile, dtype=torch.float32)
    return torch.outer(line, line)[None, None]


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (7, 10), (6, 3), (2, 2), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPERATION_NAMES)
def test_every_operation_keeps_channels_and_rounds_halves_up(
    name: str, stride: int, size: tuple[int, int]
) -> None:
    operation = OPS[name](4, stride, True)
    height, width = size

    out = operation(torch.randn(2, 4, height, width))

    assert out.shape == (2, 4, -(-height // stride), -(-width // stride))


def test_average_pool_counts_real_pixels_only() -> None:
    # Trap: with count_include_pad the corner of a map of ones would be 4/9.
    pool = OPS["avg_pool_3x3"](1, 1, True)

    torch.testing.assert_close(pool(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))
    corner = pool(image([[1, 2, 0], [3, 6, 0], [0, 0, 0]]))[0, 0, 0, 0]
    assert corner.item() == pytest.approx((1 + 2 + 3 + 6) / 4)


def test_average_pool_of_stride_two_counts_real_pixels_only() -> None:
    pool = OPS["avg_pool_3x3"](1, 2, True)
    pixels = image([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]])

    # Windows around (0,0) (0,2) (2,0) (2,2): 2x2, 2x3, 3x2 and 3x3 real pixels.
    expected = image([[14 / 4, 30 / 6], [57 / 6, 99 / 9]])
    torch.testing.assert_close(pool(pixels), expected)


def test_max_pool_takes_the_largest_neighbour_even_if_negative() -> None:
    pool = OPS["max_pool_3x3"](1, 1, True)
    pixels = image([[-1, -2, -3], [-4, -5, -6], [-7, -8, -9]])

    # Padding with zeros would give 0 everywhere.
    assert pool(pixels)[0, 0].tolist() == [[-1, -1, -2], [-1, -1, -2], [-4, -4, -5]]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", POOLS)
def test_no_batch_norm_follows_a_pool_in_evaluation_networks(name: str, stride: int) -> None:
    # Trap: only the search network has one there.
    pool = OPS[name](4, stride, True)

    assert not list(pool.parameters())
    assert not list(pool.buffers())
    constant = torch.full((2, 4, 8, 8), 5.0)
    assert pool.train()(constant).unique().tolist() == [5.0]  # batch norm would give 0


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("name", [*CONVOLUTIONS, "skip_connect"])
def test_batch_norm_is_affine_where_asked(name: str, affine: bool) -> None:
    operation = OPS[name](4, 2, affine)
    norms = [module for module in operation.modules() if isinstance(module, nn.BatchNorm2d)]

    assert norms
    assert all(norm.affine == affine for norm in norms)


def test_no_convolution_has_a_bias() -> None:
    for name in OPERATION_NAMES:
        for module in OPS[name](4, 2, True).modules():
            assert not isinstance(module, nn.Conv2d) or module.bias is None


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        # Two box filters: 3 wide gives 1 2 3 2 1, 5 wide gives 1 2 3 4 5 4 3 2 1.
        ("sep_conv_3x3", [0, 0, 0, 1, 2, 3, 2, 1, 0, 0, 0]),
        ("sep_conv_5x5", [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0]),
        # One filter whose taps are two pixels apart.
        ("dil_conv_3x3", [0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0]),
        ("dil_conv_5x5", [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]),
    ],
)
def test_convolutions_spread_an_impulse_as_far_as_their_filters_reach(
    name: str, profile: list[float]
) -> None:
    # Trap: a separable convolution is applied twice, a dilated one once.
    operation = transparent(OPS[name](1, 1, True))

    torch.testing.assert_close(operation(impulse(11, 5)), square(profile))


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        # The first 3-wide filter sees pixel 4 only at place 2 of 5; the second spreads it.
        # A stride in the second would give 0 1 3 1 0.
        ("sep_conv_3x3", [0, 1, 1, 1, 0]),
        # 5 wide: places 1, 2, 3 see pixel 4; then sums of five: 2 at the edge, 3 around.
        ("sep_conv_5x5", [2, 3, 3, 3, 2]),
        ("dil_conv_3x3", [0, 1, 1, 1, 0]),
        ("dil_conv_5x5", [1, 1, 1, 1, 1]),
    ],
)
def test_the_stride_is_in_the_first_convolution(name: str, profile: list[float]) -> None:
    operation = transparent(OPS[name](1, 2, True))

    torch.testing.assert_close(operation(impulse(9, 4)), square(profile))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_begin_with_a_relu(name: str) -> None:
    operation = transparent(OPS[name](1, 1, True))

    assert operation(-impulse(11, 5)).count_nonzero() == 0


@pytest.mark.parametrize("name", ["sep_conv_3x3", "sep_conv_5x5"])
def test_a_relu_stands_between_the_two_stages_of_a_separable_convolution(name: str) -> None:
    operation = transparent(OPS[name](1, 1, True))
    assert isinstance(operation, Convolution)
    nn.init.constant_(operation.get_parameter("1.weight"), -1.0)

    assert operation(impulse(11, 5)).count_nonzero() == 0


@pytest.mark.parametrize("name", ["dil_conv_3x3", "dil_conv_5x5"])
def test_no_relu_ends_a_dilated_convolution(name: str) -> None:
    operation = transparent(OPS[name](1, 1, True))
    assert isinstance(operation, Convolution)
    nn.init.constant_(operation.get_parameter("1.weight"), -1.0)

    assert operation(impulse(11, 5)).min().item() == -1


@pytest.mark.parametrize(
    ("name", "stages"),
    [("sep_conv_3x3", 2), ("sep_conv_5x5", 2), ("dil_conv_3x3", 1), ("dil_conv_5x5", 1)],
)
def test_a_stage_is_relu_depthwise_pointwise_batch_norm(name: str, stages: int) -> None:
    operation = OPS[name](6, 2, True)
    layers = list(operation.children())

    assert [type(layer) for layer in layers] == [
        nn.ReLU, nn.Conv2d, nn.Conv2d, nn.BatchNorm2d,
    ] * stages  # fmt: skip
    shapes = [tuple(layer.weight.shape) for layer in layers if isinstance(layer, nn.Conv2d)]
    kernel = int(name[-1])
    assert shapes == [(6, 1, kernel, kernel), (6, 6, 1, 1)] * stages


def test_depthwise_convolutions_keep_channels_apart_and_pointwise_ones_mix_them() -> None:
    operation = transparent(OPS["dil_conv_3x3"](2, 1, True))
    operation.get_parameter("2.weight").data[:, :, 0, 0] = torch.tensor([[1.0, 10.0], [0.0, 1.0]])
    pixels = torch.cat([impulse(5, 2), 2 * impulse(5, 2)], dim=1)

    out = operation(pixels)

    # Out 0 is 1 * (channel 0) + 10 * (channel 1) = 1 + 20; out 1 is channel 1 alone.
    assert out[0, :, 2, 2].tolist() == [21, 2]


def test_skip_is_the_identity_at_stride_one() -> None:
    pixels = torch.randn(2, 4, 5, 5)

    assert torch.equal(OPS["skip_connect"](4, 1, True)(pixels), pixels)


def test_skip_that_halves_is_a_factorized_reduce() -> None:
    # Trap: it learns, and drop path applies to it.
    skip = OPS["skip_connect"](4, 2, True)

    assert isinstance(skip, FactorizedReduce)
    assert sum(weight.numel() for weight in skip.parameters()) == 4 * 4 + 2 * 4


def reduced(pixels: Tensor) -> list[list[list[float]]]:
    """Both halves of a transparent FactorizedReduce of one channel: times 1 and times 10."""
    operation = transparent(FactorizedReduce(1, 2))
    nn.init.constant_(operation.get_parameter("conv_odd.weight"), 10.0)
    halves: list[list[list[float]]] = operation(pixels)[0].tolist()
    return halves


def test_factorized_reduce_reads_even_pixels_and_pixels_shifted_by_one() -> None:
    pixels = image([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]])

    assert reduced(pixels) == [[[1, 3], [9, 11]], [[60, 80], [140, 160]]]


def test_factorized_reduce_of_odd_sizes_reads_zeros_past_the_edge() -> None:
    # Trap: unpadded, the shifted half of a 3x3 map is 1x1 and the concatenation fails.
    pixels = image([[1, 2, 3], [4, 5, 6], [7, 8, 9]])

    assert reduced(pixels) == [[[1, 3], [7, 9]], [[50, 0], [0, 0]]]


def test_factorized_reduce_of_maps_with_one_odd_side() -> None:
    tall = image([[1, 2], [3, 4], [5, 6]])
    wide = image([[1, 2, 3], [4, 5, 6]])

    assert reduced(tall) == [[[1], [5]], [[40], [0]]]
    assert reduced(wide) == [[[1, 3]], [[50, 0]]]


def test_factorized_reduce_of_one_pixel_is_half_zero() -> None:
    assert reduced(image([[7]])) == [[[7]], [[0]]]


def test_factorized_reduce_begins_with_a_relu() -> None:
    assert reduced(image([[-1, 2], [3, -4]])) == [[[0]], [[0]]]


def test_factorized_reduce_normalises_after_the_concatenation() -> None:
    operation = FactorizedReduce(3, 8)
    out = operation.train()(torch.randn(64, 3, 8, 8))

    # Batch statistics of each of the eight channels.
    torch.testing.assert_close(out.mean(dim=(0, 2, 3)), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        out.var(dim=(0, 2, 3), unbiased=False), torch.ones(8), atol=1e-2, rtol=0
    )


def test_factorized_reduce_needs_an_even_width() -> None:
    with pytest.raises(ValueError, match="even, got 3"):
        FactorizedReduce(4, 3)


def test_preprocessing_is_relu_then_convolution_then_batch_norm() -> None:
    operation = transparent(ReluConvBn(2, 1))
    operation.get_parameter("1.weight").data[0, :, 0, 0] = torch.tensor([3.0, -5.0])
    pixels = torch.cat([image([[1, -1]]), image([[2, -2]])], dim=1)

    # 3 * 1 - 5 * 2 = -7: negative, so no ReLU ends it; -1 and -2 become 0 before.
    assert operation(pixels)[0, 0].tolist() == [[-7, 0]]


@pytest.mark.parametrize("stride", [1, 2])
def test_no_connection_gives_zeros_whatever_comes_in(stride: int) -> None:
    pixels = torch.full((2, 3, 5, 5), float("nan"), dtype=torch.float64)
    out = OPS["none"](3, stride, True)(pixels)

    assert out.dtype == torch.float64
    assert out.count_nonzero() == 0
