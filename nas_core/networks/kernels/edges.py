"""The edges of a search cell that read one source: their mixed outputs, computed together.

Maps are channels last, so that pixels are rows. What a source becomes before anything is learnt
(after ReLU, pooled, halved) is made once for all edges. The last 1x1 convolutions of an edge and
their batch norms are one product with the mixing weights in its matrix (`pointwise.py`), so no
operation's output exists alone; pooled maps and skips are added up in another. Edges of small maps,
where the number of calls decides, share every call.

Letters: B batch, C channels, H and W pixels, N = B * H * W, M edges, O operations, S convolutions
of an edge that are summed, T maps that have no weights of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import groupby
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from nas_core.networks.kernels.columns import halves
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

Norms = Sequence[Sequence[nn.BatchNorm2d]]
"""S for each of M edges."""


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
        own = None if skip is None else [partial(skip, number) for number in numbers]
        others = _unweighted(same, source, weights[numbers], own)
        shared = [None] * len(parts) if others is None else others.split(size, dim=1)
        for terms in zip(learnt, shared, strict=True):
            first, *rest = (term for term in terms if term is not None)
            outputs += source.images(first + rest[0] if rest else first)
    return outputs


def preprocessed(module: ReluConvBn | FactorizedReduce, x: Tensor) -> Tensor:
    """Compute what stands before the edges of a cell: (B, C_in, H, W) -> (B, C, H', W')."""
    source = _Source(x)
    one = x.new_ones(1, dtype=next(module.parameters()).dtype)
    if isinstance(module, FactorizedReduce):
        return source.images(_reduced([module], source, one))[0]
    _, convolution, norm = module
    matrices = cast("nn.Conv2d", convolution).weight[None, None, :, :, 0, 0]
    rows = _normalised(
        [_rows(source.positive)],
        matrices,
        one[:, None],
        [[cast("nn.BatchNorm2d", norm)]],
        batch=len(x),
    )
    return source.images(rows)[0]


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
        """After ReLU, the pixels of even rows and columns, and those of odd ones: (N', 2, C)."""
        return halves(self.positive.permute(0, 2, 3, 1)[:, :, :, None]).flatten(0, 2)

    def repeated(self, edges: int) -> Tensor:
        """After ReLU, once for each edge: (B, M * C, H, W)."""
        if edges == 1:
            return self.positive
        return self.positive.permute(0, 2, 3, 1).repeat(1, 1, 1, edges).permute(0, 3, 1, 2)

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

    def images(self, rows: Tensor) -> list[Tensor]:
        """Return the maps of M edges apart: (N', M, C) -> (B, C, H', W') each."""
        height, width = self.x.shape[-2:]
        if len(rows) < len(self.x) * height * width:  # of stride 2
            height, width = -(-height // 2), -(-width // 2)
        shape = len(self.x), height, width, rows.shape[2]
        return [part.reshape(shape).permute(0, 3, 1, 2) for part in rows.unbind(1)]


def _rows(x: Tensor, edges: int = 1) -> Tensor:
    """(B, M * C, H, W) -> (N, M, C)."""
    return x.permute(0, 2, 3, 1).reshape(-1, edges, x.shape[1] // edges)


def _unweighted(
    edges: Sequence[nn.ModuleDict],
    source: _Source,
    weights: Tensor,
    skips: Sequence[Callable[[Tensor], Tensor]] | None,
) -> Tensor | None:
    """Return the weighted sums of pooled maps and skips, (N', M, C); None where there are none.

    `skips` are those of each edge, where they are not plain.
    """
    columns, maps, total = [], [], None
    for column, (name, operation) in enumerate(edges[0].items()):
        if isinstance(operation, NormalisedPool):
            pools = cast("list[NormalisedPool]", [edge[name] for edge in edges])
            maps.append(_rows(source.pooled(name, pools)))
            columns.append(column)
        elif isinstance(operation, nn.Identity) and skips is None:
            maps.append(_rows(source.x))
            columns.append(column)
        elif isinstance(operation, nn.Identity) and skips is not None:
            total = (
                torch.cat([_rows(skip(source.x)) for skip in skips], 1) * weights[:, column, None]
            )
    if not maps:
        return total
    stacked = torch.stack([rows.flatten() for rows in maps])  # (T, N' * C)
    # Mixed precision would round the weights, which differ by 1e-4, to 8 bits.
    with torch.autocast(weights.device.type, enabled=False):
        sums = weights[:, columns] @ stacked.to(weights.dtype)
    rows = sums.view(len(edges), -1, maps[0].shape[2]).transpose(0, 1)
    return rows if total is None else total + rows


def _learnt(edges: Sequence[nn.ModuleDict], source: _Source, weights: Tensor) -> Tensor | None:
    """Return the weighted sums of what has weights of its own, (N', M, C), or None likewise.

    The edges share every call.
    """
    ones = weights.new_ones(len(edges), 1)
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
                rows = _rows(y, len(edges))
                rows = _normalised(
                    [rows], _matrices([first]), ones, _norms([first]), batch=len(y), relu=True
                )
                y = _depthwise(stages, _joined(rows, y))
                first = stages
            maps.append(_rows(y, len(edges)))
            lasts.append(first)
            columns.append(column)
    if not maps:
        return total
    rows = _normalised(
        maps, _matrices(lasts), weights[:, columns], _norms(lasts), batch=len(source.x)
    )
    return rows if total is None else total + rows


def _depthwise(stages: Sequence[Stage], x: Tensor) -> Tensor:
    """Convolve the channels of each edge with its own filters: (B, M * C, H, W) -> the same."""
    like = stages[0].depthwise
    weight = torch.cat([stage.depthwise.weight for stage in stages])
    return depthwise(x, weight, stride=like.stride[0], dilation=like.dilation[0])


def _joined(rows: Tensor, like: Tensor) -> Tensor:
    """(N, M, C) -> (B, M * C, H, W), the shape of `like`."""
    return rows.reshape(len(like), *like.shape[2:], -1).permute(0, 3, 1, 2)


def _matrices(lasts: Sequence[Sequence[Stage]]) -> Tensor:
    """Return the 1x1 convolutions of S stages of M edges: (M, S, C, C)."""
    together = torch.stack([stage.pointwise.weight for stages in lasts for stage in stages])
    return together.view(len(lasts), -1, *together.shape[1:3]).transpose(0, 1)


def _norms(lasts: Sequence[Sequence[Stage]]) -> Norms:
    return [[stage.norm for stage in stages] for stages in zip(*lasts, strict=True)]


def _reduced(modules: Sequence[FactorizedReduce], source: _Source, weights: Tensor) -> Tensor:
    """Halve the map as each module does, times its weight (M,): -> (N', M, C).

    Each half of a module's channels is an edge of its own here.
    """
    pixels = source.halves[:, None].expand(-1, len(modules), -1, -1).flatten(1, 2)
    convolutions = [half for module in modules for half in (module.conv_even, module.conv_odd)]
    matrices = torch.stack([convolution.weight[None, :, :, 0, 0] for convolution in convolutions])
    norms = [[module.bn] for module in modules]
    both = weights.repeat_interleave(2)[:, None]
    rows = _normalised([pixels], matrices, both, norms, batch=len(source.x))
    return rows.unflatten(1, (len(modules), 2)).flatten(2)


def _normalised(
    maps: Sequence[Tensor],
    matrices: Tensor,
    weights: Tensor,
    norms: Norms,
    *,
    batch: int,
    relu: bool = False,
) -> Tensor:
    """Return the weighted sum of S convolved and normalised maps: (N, M, I) each -> (N, M, O).

    Args:
        maps: what is convolved.
        matrices: (M, S, O, I).
        weights: (M, S).
        norms: of each edge and map, or of as many edges side by side as share one.
        batch: B.
        relu: of the sum.

    """
    matrices = matrices.transpose(0, 1)  # (S, M, O, I), and so is what follows
    # Contiguous: the kernels of a batch norm read its scale as if it were, whatever its strides.
    scale = weights.T[..., None].expand(matrices.shape[:3]).contiguous()
    offset = torch.zeros_like(scale)
    pixels = [rows.unflatten(0, (batch, -1, 1)) for rows in maps]
    flat = [norm for some in zip(*norms, strict=True) for norm in some]
    like = flat[0]
    means, variances = (
        [cast("Tensor", getattr(norm, name)) for norm in flat]
        for name in ("running_mean", "running_var")
    )
    if not like.training:
        mean, variance = (torch.stack(some).view(scale.shape) for some in (means, variances))
        moments = Moments(mean, torch.rsqrt(variance + EPS))
        return normalised_by(pixels, matrices, scale, offset, moments, relu=relu).flatten(0, 2)
    y, moments = pointwise_norm(pixels, matrices, scale, offset, relu=relu)
    if like.track_running_stats:
        with torch.no_grad():
            count = len(maps[0])
            variance = (moments.inverse.square().reciprocal() - EPS) * (count / (count - 1))
            momentum = 0.1 if like.momentum is None else like.momentum
            for buffers, seen in ((means, moments.mean), (variances, variance)):
                torch._foreach_lerp_(buffers, list(seen.reshape(len(flat), -1)), momentum)
            torch._foreach_add_([cast("Tensor", n.num_batches_tracked) for n in flat], 1)
    return y.flatten(0, 2)
