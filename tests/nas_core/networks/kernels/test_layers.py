"""What a CPU computes faster has the values and gradients of PyTorch's own operations."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from nas_core.cells.genotype import OPERATION_NAMES
from nas_core.networks.kernels import switch
from nas_core.networks.kernels.layers import (
    FAST_OPS,
    AvgPool2d,
    BatchNorm2d,
    DepthwiseConv2d,
    MaxPool2d,
    PointwiseConv2d,
    weighted_sum,
)
from nas_core.networks.operations import OPS

NAMES = [name for name in OPERATION_NAMES if name != "none"]
SIZES = ((8, 8), (6, 10), (7, 7), (5, 8), (2, 2), (1, 3))
close = functools.partial(torch.testing.assert_close, rtol=1e-9, atol=1e-10)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the faster form of every map, however small."""
    monkeypatch.setattr(switch, "LAYERS_FROM", 0)


def built(name: str, stride: int, channels: int = 4) -> tuple[nn.Module, nn.Module]:
    """Return an operation as PyTorch computes it, and the same built of the faster layers."""
    torch.manual_seed(0)
    plain, fast = (ops[name](channels, stride, False).double() for ops in (OPS, FAST_OPS))
    fast.load_state_dict(plain.state_dict())
    return plain, fast


def derivatives(module: nn.Module, x: Tensor) -> list[Tensor]:
    """Return values, first derivatives in x and weights, and second ones in all of them."""
    x = x.clone().requires_grad_()
    parameters = list(module.parameters())
    source = torch.Generator().manual_seed(1)

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=source, dtype=like.dtype)

    y = module(x)
    towards = normal(y).requires_grad_()
    first = grad((y * towards).sum(), [x, *parameters])
    directed = torch.stack([(part * normal(part)).sum() for part in first]).sum()
    second = grad(directed, [x, towards, *parameters])
    return [y, *first, *second]


def grad(of: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(of, tensors, create_graph=True, materialize_grads=True))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_values_gradients_and_second_derivatives_are_pytorchs(name: str, stride: int) -> None:
    plain, fast = built(name, stride)
    source = torch.Generator().manual_seed(2)
    for size in SIZES:
        x = torch.randn(3, 4, *size, generator=source, dtype=torch.float64)
        close(derivatives(fast, x), derivatives(plain, x))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stride", [1, 2])
def test_channels_last_maps_give_the_same(name: str, stride: int) -> None:
    plain, fast = built(name, stride)
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64).to(memory_format=torch.channels_last)
    close(derivatives(fast, x), derivatives(plain, x))


@pytest.mark.parametrize("smallest", [0, 2**62])
@pytest.mark.parametrize("learnt", ["weights", "maps", "both"])
def test_a_weighted_sum_and_its_derivatives_are_those_of_the_formula(
    smallest: int, learnt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "LAYERS_FROM", smallest)
    source = torch.Generator().manual_seed(4)
    weights = torch.randn(3, generator=source, dtype=torch.float64)
    maps = torch.randn(3, 2, 4, 5, 5, generator=source, dtype=torch.float64)
    towards = torch.randn(2, 4, 5, 5, generator=source, dtype=torch.float64)
    weights.requires_grad_(learnt != "maps")
    maps.requires_grad_(learnt != "weights")
    leaves = [leaf for leaf in (weights, maps) if leaf.requires_grad]
    results = []
    for y in (weighted_sum(weights, maps.unbind()), (weights[:, *[None] * 4] * maps).sum(0)):
        first = grad((y * y * towards).sum(), leaves)
        second = grad(torch.stack([part.sin().sum() for part in first]).sum(), leaves)
        results.append([y, *first, *second])
    close(*results)


@pytest.mark.usefixtures("always")
def test_only_the_gradients_that_are_asked_for_are_computed() -> None:
    for name, stride in (("sep_conv_5x5", 1), ("sep_conv_5x5", 2), ("dil_conv_5x5", 1)):
        plain, fast = built(name, stride)
        for module in (plain, fast):
            module.requires_grad_(requires_grad=False)
        x = torch.randn(2, 4, 8, 8, dtype=torch.float64, requires_grad=True)
        close(torch.autograd.grad(fast(x).sum(), x), torch.autograd.grad(plain(x).sum(), x))


def norms() -> tuple[nn.BatchNorm2d, BatchNorm2d]:
    return nn.BatchNorm2d(3, affine=False).double(), BatchNorm2d(3, affine=False).double()


@pytest.mark.usefixtures("always")
def test_running_statistics_and_evaluation_are_pytorchs() -> None:
    plain, fast = norms()
    for batch in range(4):
        x = batch + (1 + batch) * torch.randn(5, 3, 4, 3, dtype=torch.float64)
        close(fast(x), plain(x))
        close(fast.state_dict(), plain.state_dict())
    assert fast.num_batches_tracked is not None
    assert fast.num_batches_tracked.item() == 4
    before = copy.deepcopy(fast.state_dict())
    x = torch.randn(2, 3, 4, 3, dtype=torch.float64)
    close(fast.eval()(x), plain.eval()(x))
    assert all(torch.equal(before[name], value) for name, value in fast.state_dict().items())


@pytest.mark.usefixtures("always")
def test_statistics_that_are_frozen_stay_and_the_batch_still_normalises() -> None:
    plain, fast = norms()
    before = copy.deepcopy(fast.state_dict())
    for norm in (plain, fast):
        norm.track_running_stats = False
    x = 5 + torch.randn(5, 3, 4, 3, dtype=torch.float64)
    close(fast(x), plain(x))
    assert all(torch.equal(before[name], value) for name, value in fast.state_dict().items())


@pytest.mark.usefixtures("always")
def test_average_pooling_counts_real_pixels_only() -> None:
    pool = AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    ones = torch.ones(2, 3, 5, 4)
    torch.testing.assert_close(pool(ones), ones)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stride", [1, 2])
def test_weights_and_statistics_keep_their_names_and_values(name: str, stride: int) -> None:
    plain, fast = built(name, stride)
    one, other = plain.state_dict(), fast.state_dict()
    assert list(one) == list(other)
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert [n for n, _ in plain.named_modules()] == [n for n, _ in fast.named_modules()]


@pytest.mark.usefixtures("always")
def test_a_batch_norm_with_a_scale_is_computed_as_pytorch_does() -> None:
    fast, plain = BatchNorm2d(3).double(), nn.BatchNorm2d(3).double()
    for norm in (fast, plain):
        nn.init.constant_(norm.weight, 2.0)
    x = torch.randn(5, 3, 4, 3, dtype=torch.float64)
    assert torch.equal(fast(x), plain(x))


def test_convolutions_of_stride_2_that_halve_the_map_are_pytorchs_own() -> None:
    convolutions = [
        m for m in FAST_OPS["skip_connect"](4, 2, False).modules() if isinstance(m, nn.Conv2d)
    ]
    assert [type(convolution) for convolution in convolutions] == [nn.Conv2d] * 2


def node_of(module: nn.Module, x: Tensor) -> str:
    y = module(x.requires_grad_())
    assert y.grad_fn is not None
    return str(y.grad_fn.name())


def test_small_maps_take_pytorchs_own_path_and_large_ones_the_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    modules = [
        PointwiseConv2d(2, 2, 1, bias=False),
        DepthwiseConv2d(2, 2, 5, padding=2, groups=2, bias=False),
        BatchNorm2d(2, affine=False),
        AvgPool2d(3, 1, 1),
    ]
    # 2**17 numbers a batch of maps is where calls begin to pay.
    small, large = torch.randn(1, 2, 8, 8), torch.randn(4, 2, 128, 128)
    assert large.numel() == 2**17

    pytorch = [node_of(module, small) for module in modules]
    fast = [node_of(module, large) for module in modules]
    assert pytorch[:2] == ["ConvolutionBackward0"] * 2
    assert pytorch[2:] == ["NativeBatchNormBackward0", "AvgPool2DBackward0"]
    assert not set(pytorch) & set(fast)
    monkeypatch.setattr(switch, "LAYERS_FROM", 0)
    assert [node_of(module, small) for module in modules] == fast


@pytest.mark.parametrize("name", NAMES)
def test_small_maps_are_computed_to_the_bit_as_before(name: str) -> None:
    plain, fast = built(name, 1)
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    assert torch.equal(fast(x), plain(x))


@pytest.mark.usefixtures("always")
def test_pooled_maps_are_contiguous() -> None:
    pool = MaxPool2d(3, 1, 1)
    assert pool(torch.randn(2, 4, 8, 8)).is_contiguous()


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stride", [1, 2])
def test_mixed_precision_runs_as_pytorchs_own(name: str, stride: int) -> None:
    outputs = []
    for module in built(name, stride):
        x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3)).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = module.float()(x)
        y.float().square().sum().backward()
        assert x.grad is not None
        outputs.append(y.float())
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0.05, atol=0.05)


def test_in_mixed_precision_weights_keep_their_digits() -> None:
    weights = torch.tensor([0.1251, 0.8749])
    maps = [torch.randn(2, 4, 8, 8).bfloat16() for _ in weights]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = weighted_sum(weights, maps)
    exact = sum(w.double() * x.double() for w, x in zip(weights, maps, strict=True))
    torch.testing.assert_close(mixed.double(), exact, rtol=1e-6, atol=1e-6)
