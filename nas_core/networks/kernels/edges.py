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
from torch.nn.functional import batch_norm, conv2d, pad, relu

from nas_core.networks.kernels.switch import edges_pay
from nas_core.networks.operations import Convolution, FactorizedReduce, NormalisedPool, Zero


def mix_together(
    edges: Sequence[nn.ModuleDict], x: Tensor, weights: Tensor
) -> tuple[Tensor, ...] | None:
    """Return the mixed output (B, C, H', W') of each edge, or None where one by one is faster.

    Edges can be computed together where they have the same operations.

    Args:
        edges: the operations of each edge, by name.
        x: what all of them read, (B, C, H, W).
        weights: (M, O) of each edge's operations, none included, which adds nothing.

    """
    if not edges_pay(len(edges), x) or len({tuple(operations) for operations in edges}) > 1:
        return None
    positive = relu(x)
    repeated = positive.repeat(1, len(edges), 1, 1)  # (B, M * C, H, W), as convolutions begin
    outputs, columns = [], []
    for column, name in enumerate(edges[0]):
        modules = [operations[name] for operations in edges]
        if isinstance(modules[0], Zero):
            continue
        columns.append(column)
        y = _together(modules, x, positive, repeated)
        outputs.append(y.unsqueeze(1).expand(-1, len(edges), -1, -1, -1) if y.ndim == 4 else y)
    scale = weights[:, columns].T[:, None, :, None, None, None]  # (O', 1, M, 1, 1, 1)
    mixed: Tensor = (torch.stack(outputs) * scale).sum(0)  # (B, M, C, H', W')
    return mixed.unbind(1)


def pooled_once(edges: Sequence[nn.ModuleDict], x: Tensor) -> dict[str, Tensor]:
    """Return what pooling makes of x, by name: it is the same for every edge that has it.

    Each edge's batch norm remembers it, as if it had normalised it itself.
    """
    pools: dict[str, list[NormalisedPool]] = {}
    for operations in edges:
        for name, operation in operations.items():
            if isinstance(operation, NormalisedPool):
                pools.setdefault(name, []).append(operation)
    return {name: _pooled(same_pools, x) for name, same_pools in pools.items()}


def _together(modules: list[nn.Module], x: Tensor, positive: Tensor, repeated: Tensor) -> Tensor:
    """Return (B, M, C, H', W'), or (B, C, H', W') where all edges have the same output."""
    match modules[0]:
        case nn.Identity():
            return x
        case NormalisedPool():
            return _pooled(cast("list[NormalisedPool]", modules), x)
        case FactorizedReduce():
            return _reduced(cast("list[FactorizedReduce]", modules), positive)
    convolutions = cast("list[Convolution]", modules)
    y = repeated
    for number, stages in enumerate(zip(*(module.stages for module in convolutions), strict=True)):
        y = relu(y) if number else y
        y = _convolved([stage.depthwise for stage in stages], y, groups=y.shape[1])
        y = _convolved([stage.pointwise for stage in stages], y, groups=len(stages))
        y = _normalised([stage.norm for stage in stages], y)
    return y.unflatten(1, (len(modules), -1))


def _convolved(convolutions: list[nn.Conv2d], x: Tensor, *, groups: int) -> Tensor:
    """Convolve each edge's channels with its own filters: (B, M * C, H, W) -> the same form."""
    like = convolutions[0]
    weight = torch.cat([convolution.weight for convolution in convolutions])
    padding = (int(like.padding[0]), int(like.padding[1]))
    return conv2d(x, weight, None, like.stride, padding, like.dilation, groups)


def _reduced(modules: list[FactorizedReduce], positive: Tensor) -> Tensor:
    """Halve the map as each edge does: (B, C, H, W) after ReLU -> (B, M, C, H', W')."""
    height, width = positive.shape[-2:]
    shifted = pad(positive[:, :, 1:, 1:], (0, width % 2, 0, height % 2))
    halves = [
        conv2d(pixels, torch.cat(weights), stride=2).unflatten(1, (len(modules), -1))
        for pixels, weights in (
            (positive, [module.conv_even.weight for module in modules]),
            (shifted, [module.conv_odd.weight for module in modules]),
        )
    ]
    y = torch.cat(halves, dim=2).flatten(1, 2)  # (B, M * C, H', W')
    normalised = _normalised([module.bn for module in modules], y)
    return normalised.unflatten(1, (len(modules), -1))


def _normalised(norms: list[nn.BatchNorm2d], y: Tensor) -> Tensor:
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


def _pooled(pools: list[NormalisedPool], x: Tensor) -> Tensor:
    """Pool and normalise x once for all edges; every edge's batch norm remembers it."""
    first, *others = (cast("nn.BatchNorm2d", norm) for _, norm in pools)
    y: Tensor = pools[0](x)
    if first.training and first.track_running_stats:
        with torch.no_grad():
            for norm in others:
                for name, buffer in norm.named_buffers():
                    buffer.copy_(first.get_buffer(name))
    return y
