"""All edges of a search cell that read one source, computed together: far fewer kernels.

The same function of the same parameters as edge by edge, up to the order in which floats are
added. It pays where maps are so small that the number of kernels decides. Letters: B batch,
C channels, H and W pixels, M edges, O operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, relu

from nas_core.networks.operations import FactorizedReduce, Zero

LARGEST = 2**19
"""Numbers in the maps of all edges of a source; above, arithmetic decides and copies cost.

Measured with 2 to 4 edges on one CPU core: together takes 0.7 of the time at 2**16, 0.9 at 2**19,
as long at 2**20 and 1.3 times as long at 2**22.
"""

_POOL_AND_NORM = 2  # modules of a pooling operation; a convolution has four or eight


def packable(operations: Sequence[nn.ModuleDict], x: Tensor) -> bool:
    """Whether edges with these operations can and should be computed together on x.

    They have to have the same operations; a single edge has nothing to gain.
    """
    edges = len(operations)
    same = all(list(own) == list(operations[0]) for own in operations)
    return edges > 1 and same and edges * x.numel() <= LARGEST


def mixed_together(operations: Sequence[nn.ModuleDict], x: Tensor, weights: Tensor) -> Tensor:
    """Return the mixed outputs of M edges: (B, C, H, W), weights (M, O) -> (B, M, C, H', W').

    Args:
        operations: of each edge, by name; the same names in the same order.
        x: what all of them read.
        weights: of each edge's operations, none included, which adds nothing.

    """
    edges = len(operations)
    positive = relu(x)
    repeated = positive.repeat(1, edges, 1, 1)  # (B, M * C, H, W): what convolutions begin with
    outputs = []
    adding = []
    for place, name in enumerate(operations[0]):
        own = [each[name] for each in operations]
        if isinstance(own[0], Zero):
            continue
        adding.append(place)
        y = _together(own, x, positive, repeated)
        outputs.append(y.unsqueeze(1).expand(-1, edges, -1, -1, -1) if y.ndim == 4 else y)
    scale = weights[:, adding].T[:, None, :, None, None, None]  # (O', 1, M, 1, 1, 1)
    mixed: Tensor = (torch.stack(outputs) * scale).sum(0)
    return mixed


def pooled_once(operations: Sequence[nn.ModuleDict], x: Tensor) -> dict[str, Tensor]:
    """Return what pooling makes of x, by name: it is the same for every edge that has it.

    Each edge's batch norm remembers it, as if it had normalised it itself.
    """
    own: dict[str, list[nn.Sequential]] = {}
    for edge in operations:
        for name, operation in edge.items():
            if isinstance(operation, nn.Sequential) and len(operation) == _POOL_AND_NORM:
                own.setdefault(name, []).append(operation)
    return {
        name: _same_norm([cast("nn.BatchNorm2d", each[1]) for each in pools], pools[0][0](x))
        for name, pools in own.items()
    }


def _together(own: list[nn.Module], x: Tensor, positive: Tensor, repeated: Tensor) -> Tensor:
    """Return (B, M, C, H', W'), or (B, C, H', W') where all edges have the same output."""
    first = own[0]
    if isinstance(first, nn.Identity):
        return x
    if isinstance(first, FactorizedReduce):
        return _reduced(cast("list[FactorizedReduce]", own), positive)
    stages = [list(cast("nn.Sequential", module)) for module in own]
    if len(stages[0]) == _POOL_AND_NORM:
        norms = [cast("nn.BatchNorm2d", modules[1]) for modules in stages]
        return _same_norm(norms, stages[0][0](x))
    y = repeated
    for begin in range(0, len(stages[0]), 4):  # ReLU, depthwise, pointwise, batch norm
        y = relu(y) if begin else y
        for offset, groups in ((1, y.shape[1]), (2, len(own))):
            convolutions = [cast("nn.Conv2d", modules[begin + offset]) for modules in stages]
            y = _convolved(convolutions, y, groups)
        y = _norm([cast("nn.BatchNorm2d", modules[begin + 3]) for modules in stages], y)
    each: Tensor = y.unflatten(1, (len(own), -1))
    return each


def _convolved(convolutions: list[nn.Conv2d], x: Tensor, groups: int) -> Tensor:
    """Convolve each edge's channels with its own filters: (B, M * C, H, W) -> the same form."""
    like = convolutions[0]
    weight = torch.cat([convolution.weight for convolution in convolutions])
    padding = (int(like.padding[0]), int(like.padding[1]))
    return conv2d(x, weight, None, like.stride, padding, like.dilation, groups)


def _reduced(own: list[FactorizedReduce], positive: Tensor) -> Tensor:
    height, width = positive.shape[-2:]
    odd = torch.nn.functional.pad(positive[:, :, 1:, 1:], (0, width % 2, 0, height % 2))
    halves = [
        conv2d(source, torch.cat(weights), stride=2).unflatten(1, (len(own), -1))
        for source, weights in (
            (positive, [module.conv_even.weight for module in own]),
            (odd, [module.conv_odd.weight for module in own]),
        )
    ]
    y = torch.cat(halves, dim=2).flatten(1, 2)  # (B, M * C, H', W')
    each: Tensor = _norm([module.bn for module in own], y).unflatten(1, (len(own), -1))
    return each


def _norm(norms: list[nn.BatchNorm2d], y: Tensor) -> Tensor:
    """Normalise each edge's channels and let its batch norm remember: (B, M * C, H, W)."""
    like = norms[0]
    if like.training and not like.track_running_stats:
        return batch_norm(y, None, None, training=True, eps=like.eps)
    means = [cast("Tensor", norm.running_mean) for norm in norms]
    variances = [cast("Tensor", norm.running_var) for norm in norms]
    mean, variance = torch.cat(means), torch.cat(variances)
    momentum = 0.1 if like.momentum is None else like.momentum
    y = batch_norm(y, mean, variance, training=like.training, momentum=momentum, eps=like.eps)
    if like.training:
        with torch.no_grad():
            torch._foreach_copy_(means, mean.split(like.num_features))
            torch._foreach_copy_(variances, variance.split(like.num_features))
            for norm in norms:
                cast("Tensor", norm.num_batches_tracked).add_(1)
    return y


def _same_norm(norms: list[nn.BatchNorm2d], y: Tensor) -> Tensor:
    """Normalise maps that are the same for all edges once; every batch norm remembers them."""
    first, *others = norms
    y = first(y)
    if first.training and first.track_running_stats:
        with torch.no_grad():
            for norm in others:
                for name, buffer in norm.named_buffers():
                    buffer.copy_(first.get_buffer(name))
    return y
