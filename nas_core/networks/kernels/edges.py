"""The edges of a search cell that read one source: their mixed outputs, computed together.

Maps are channels last, so that pixels are rows. What a source becomes before anything is learnt
(after ReLU, pooled, halved) is made once for all edges. The last 1x1 convolutions of an edge and
their batch norms are one product with the mixing weights in its matrix (`pointwise.py`), so no
operation's output exists alone; pooled maps and skips are added up in another. Edges of small maps,
where the number of calls decides, share every call.

Letters: B batch, C channels, H and W pixels, N = B * H * W, M edges, O operations, S convolutions
of an edge that are summed, T maps that have no weights of their own. Maps of M edges are columns
(see `kernels/columns.py`), (B, H, W, M, C).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import groupby
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from nas_core.networks.kernels.columns import as_images, as_maps, halves
from nas_core.networks.kernels.depthwise import depthwise
from nas_core.networks.kernels.grouped import EPS
from nas_core.networks.kernels.pointwise import Moments, normalised_by, pointwise_norm
from nas_core.networks.kernels.switch import edges_pay
from nas_core.networks.operations import (
    Convolution,
    FactorizedReduce,
    NormalisedPool,
    ReluConvBn,
    Stage,
)

Skip = Callable[[int, Tensor], Tensor]
"""(number of an edge, source) -> what stands in the place of its identity skip."""


def mix(
    edges: Sequence[nn.ModuleDict], x: Tensor, weights: Tensor, skip: Skip | None = None
) -> list[Tensor]:
    """Return the weighted sum of the operations of each edge that reads x: (B, C, H', W') each.

    In training batch norms normalise by this batch, and remember it if they track statistics.

    Args:
        edges: the operations of each edge, by name; not all of an edge are none.
        x: what all of them read, (B, C, H, W), channels last.
        weights: (M, O), those of none included, which adds nothing.
        skip: of identity skips that are not plain.

    """
    source = _Source(x)
    outputs: list[Tensor] = []
    for _, group in groupby(range(len(edges)), lambda number: tuple(edges[number])):
        numbers = list(group)
        same = [edges[number] for number in numbers]
        size = len(same) if edges_pay(len(same), x) else 1
        parts = weights[numbers].split(size)
        learnt = [
            _learnt(same[number * size : (number + 1) * size], source, part)
            for number, part in enumerate(parts)
        ]
        skips = None if skip is None else [partial(skip, number) for number in numbers]
        others = _unweighted(same, source, weights[numbers], skips)
        shared = [None] * len(parts) if others is None else others.split(size, dim=3)
        for terms in zip(learnt, shared, strict=True):
            first, *rest = (term for term in terms if term is not None)
            outputs += _apart(first + rest[0] if rest else first)
    return outputs


def preprocessed(module: ReluConvBn | FactorizedReduce, x: Tensor) -> Tensor:
    """Compute what stands before the edges of a cell: (B, C_in, H, W) -> (B, C, H', W')."""
    source = _Source(x)
    one = x.new_ones(1, dtype=next(module.parameters()).dtype)
    if isinstance(module, FactorizedReduce):
        return _apart(_reduced([module], source, one))[0]
    _, convolution, norm = module
    matrices = cast("nn.Conv2d", convolution).weight[None, None, :, :, 0, 0]
    maps = [as_maps(source.positive, 1)]
    y = _normalised(maps, matrices, one[None], [cast("nn.BatchNorm2d", norm)])
    return _apart(y)[0]


class _Source:
    """A map that edges read, (B, C, H, W) channels last, and what it becomes, made once."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._pooled: dict[str, tuple[NormalisedPool, Tensor]] = {}

    @cached_property
    def positive(self) -> Tensor:
        """After ReLU, as convolutions begin."""
        return relu(self.x)

    @cached_property
    def halves(self) -> Tensor:
        """After ReLU, both grids of pixels, (B, H', W', 2, C), see `columns.halves`."""
        return halves(as_maps(self.positive, 1))

    def repeated(self, edges: int) -> Tensor:
        """After ReLU, once for each edge: (B, M * C, H, W)."""
        return as_images(as_maps(self.positive, 1).expand(-1, -1, -1, edges, -1))

    def pooled(self, name: str, pools: Sequence[NormalisedPool]) -> Tensor:
        """Pooled and normalised once; every edge's batch norm remembers it as if it did so."""
        made = name in self._pooled
        if not made:
            self._pooled[name] = pools[0], pools[0](self.x)
        (_, norm), y = self._pooled[name]
        others = pools if made else pools[1:]
        if others and norm.training and cast("nn.BatchNorm2d", norm).track_running_stats:
            with torch.no_grad():
                theirs = [buffer for pool in others for buffer in pool[1].buffers()]
                torch._foreach_copy_(theirs, list(norm.buffers()) * len(others))
        return y


def _apart(maps: Tensor) -> list[Tensor]:
    """(B, H, W, M, C) -> the maps of M edges, (B, C, H, W) each."""
    return [part.permute(0, 3, 1, 2) for part in maps.unbind(3)]


def _unweighted(
    edges: Sequence[nn.ModuleDict],
    source: _Source,
    weights: Tensor,
    skips: Sequence[Callable[[Tensor], Tensor]] | None,
) -> Tensor | None:
    """Return the weighted sums of pooled maps and skips, (B, H', W', M, C); None without any.

    `skips` are those of each edge, where they are not plain.
    """
    columns, maps, total = [], [], None
    for column, (name, operation) in enumerate(edges[0].items()):
        if isinstance(operation, NormalisedPool):
            pools = cast("list[NormalisedPool]", [edge[name] for edge in edges])
            maps.append(as_maps(source.pooled(name, pools), 1))
            columns.append(column)
        elif isinstance(operation, nn.Identity) and skips is None:
            maps.append(as_maps(source.x, 1))
            columns.append(column)
        elif isinstance(operation, nn.Identity) and skips is not None:
            skipped = torch.cat([as_maps(skip(source.x), 1) for skip in skips], dim=3)
            total = skipped * weights[:, column, None]
    if not maps:
        return total
    stacked = torch.stack([each.flatten() for each in maps])  # (T, N' * C)
    # Mixed precision would round the weights, which differ by 1e-4, to 8 bits.
    with torch.autocast(weights.device.type, enabled=False):
        sums = weights[:, columns] @ stacked.to(weights.dtype)
    y = sums.view(len(edges), *maps[0].shape[:3], -1).movedim(0, 3)
    return y if total is None else total + y


def _learnt(edges: Sequence[nn.ModuleDict], source: _Source, weights: Tensor) -> Tensor | None:
    """Return the weighted sums of what has weights of its own, (B, H', W', M, C), or None likewise.

    The edges share every call.
    """
    ones = weights.new_ones(1, len(edges))
    maps, columns, total = [], [], None
    lasts: list[Sequence[Stage]] = []
    for column, (name, operation) in enumerate(edges[0].items()):
        operations = [edge[name] for edge in edges]
        if isinstance(operation, FactorizedReduce):
            halving = cast("list[FactorizedReduce]", operations)
            total = _reduced(halving, source, weights[:, column])
        elif isinstance(operation, Convolution):
            convolutions = cast("list[Convolution]", operations)
            first, *others = zip(*(module.stages for module in convolutions), strict=True)
            y = _depthwise(first, source.repeated(len(edges)))
            for stages in others:
                between = [as_maps(y, len(edges))]
                z = _normalised(between, _matrices([first]), ones, _norms([first]), relu=True)
                y = _depthwise(stages, as_images(z))
                first = stages
            maps.append(as_maps(y, len(edges)))
            lasts.append(first)
            columns.append(column)
    if not maps:
        return total
    z = _normalised(maps, _matrices(lasts), weights[:, columns].T, _norms(lasts))
    return z if total is None else total + z


def _depthwise(stages: Sequence[Stage], x: Tensor) -> Tensor:
    """Convolve the channels of each edge with its own filters: (B, M * C, H, W) -> the same."""
    like = stages[0].depthwise
    weight = torch.cat([stage.depthwise.weight for stage in stages])
    return depthwise(x, weight, stride=like.stride[0], dilation=like.dilation[0])


def _matrices(lasts: Sequence[Sequence[Stage]]) -> Tensor:
    """Return the 1x1 convolutions of S stages of M edges: (S, M, C, C)."""
    together = torch.stack([stage.pointwise.weight for stages in lasts for stage in stages])
    return together.view(len(lasts), -1, *together.shape[1:3])


def _norms(lasts: Sequence[Sequence[Stage]]) -> list[nn.BatchNorm2d]:
    return [stage.norm for stages in lasts for stage in stages]


def _reduced(modules: Sequence[FactorizedReduce], source: _Source, weights: Tensor) -> Tensor:
    """Halve the map as each module does, times its weight (M,): -> (B, H', W', M, C).

    Each half of a module's channels is an edge of its own here.
    """
    pixels = source.halves.repeat(1, 1, 1, len(modules), 1)
    convolutions = [half for module in modules for half in (module.conv_even, module.conv_odd)]
    matrices = torch.stack([convolution.weight[:, :, 0, 0] for convolution in convolutions])[None]
    both = weights.repeat_interleave(2)[None]
    y = _normalised([pixels], matrices, both, [module.bn for module in modules])
    return y.unflatten(3, (len(modules), 2)).flatten(4)


def _normalised(
    maps: Sequence[Tensor],
    matrices: Tensor,
    weights: Tensor,
    norms: Sequence[nn.BatchNorm2d],
    *,
    relu: bool = False,
) -> Tensor:
    """Return the weighted sum of S convolved and normalised maps: (B, H, W, M, I) -> (..., M, O).

    Args:
        maps: what is convolved, S of them.
        matrices: (S, M, O, I).
        weights: (S, M).
        norms: of each map and edge, or of as many edges side by side as share one.
        relu: of the sum.

    """
    # Contiguous: the kernels of a batch norm read its scale as if it were, whatever its strides.
    scale = weights[..., None].expand(matrices.shape[:3]).contiguous()
    offset = torch.zeros_like(scale)
    like = norms[0]
    means, variances = (
        [cast("Tensor", getattr(norm, name)) for norm in norms]
        for name in ("running_mean", "running_var")
    )
    if not like.training:
        mean, variance = (torch.stack(some).view(scale.shape) for some in (means, variances))
        moments = Moments(mean, torch.rsqrt(variance + EPS))
        return normalised_by(maps, matrices, scale, offset, moments, relu=relu)
    y, moments = pointwise_norm(maps, matrices, scale, offset, relu=relu)
    if like.track_running_stats:
        with torch.no_grad():
            count = y.shape[:3].numel()
            variance = (moments.inverse.square().reciprocal() - EPS) * (count / (count - 1))
            assert like.momentum is not None  # noqa: S101 - None is a mean over all batches
            for buffers, seen in ((means, moments.mean), (variances, variance)):
                torch._foreach_lerp_(buffers, list(seen.reshape(len(norms), -1)), like.momentum)
            torch._foreach_add_([cast("Tensor", n.num_batches_tracked) for n in norms], 1)
    return y
