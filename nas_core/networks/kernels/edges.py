"""The edges of a search cell that read one source: their mixed outputs, computed together.

Maps are channels last, so that pixels are rows. What a source becomes before anything is learnt
(after ReLU, pooled, halved) is made once for all edges. The batch norms behind the last 1x1
convolutions of an edge have the mixing weights as their scales (`pointwise.py`); pooled maps and
skips are added up in a product. Edges of small maps, where the number of calls decides, share every
call, and so do networks side by side.

Letters: B batch, C channels of a model, H and W pixels, N = B * H * W, K models, M edges of each, O
operations, S convolutions of an edge that are summed, T maps that have no weights of their own.
Maps of M edges are columns (see `kernels/columns.py`), the model innermost, (B, H, W, M * K, C).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import groupby
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, relu

from nas_core.networks.kernels.columns import as_images, as_maps, halves, selected
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
"""(number of an edge, its source (B, C, H, W)) -> what stands in the place of its identity skip."""


def mix(
    edges: Sequence[nn.ModuleDict],
    x: Tensor,
    weights: Tensor,
    skip: Skip | None = None,
    *,
    models: int = 1,
) -> list[Tensor]:
    """Return the weighted sums of the operations of the edges that read x: M of (B, K * C, H', W').

    In training batch norms normalise by this batch, and remember it if they track statistics.

    Args:
        edges: the operations of each edge, by name, M * K of them, the model innermost; not all of
            an edge are none, and models have the same.
        x: what all edges of a model read, (B, K * C, H, W), channels last.
        weights: (M * K, O), those of none included, which adds nothing.
        skip: of identity skips that are not plain.
        models: K.

    """
    source = _Source(x, models)
    outputs: list[Tensor] = []
    for _, group in groupby(range(len(edges)), lambda number: tuple(edges[number])):
        numbers = list(group)
        same = [edges[number] for number in numbers]
        size = len(same) if edges_pay(len(same) // models, x) else models
        of_same = selected(weights, numbers)
        parts = of_same.split(size)
        learnt = [
            _learnt(same[number * size : (number + 1) * size], source, part)
            for number, part in enumerate(parts)
        ]
        skips = None if skip is None else [partial(skip, number) for number in numbers]
        others = _unweighted(same, source, of_same, skips)
        shared = [None] * len(parts) if others is None else others.split(size // models, dim=3)
        for terms in zip(learnt, shared, strict=True):
            first, *rest = (term for term in terms if term is not None)
            total = first + rest[0] if rest else first
            outputs += [as_images(maps) for maps in total.unbind(3)]
    return outputs


def preprocessed(modules: Sequence[ReluConvBn | FactorizedReduce], x: Tensor) -> Tensor:
    """Compute what stands before the edges of a cell, a module of one kind a model.

    (B, K * C_in, H, W), channels last -> (B, K * C, H', W').
    """
    models = len(modules)
    source = _Source(x, models)
    ones = x.new_ones(models, dtype=next(modules[0].parameters()).dtype)
    if isinstance(modules[0], FactorizedReduce):
        y = _reduced(cast("Sequence[FactorizedReduce]", modules), source, ones)
    else:
        _, convolutions, norms = zip(*modules, strict=True)
        matrices = torch.stack([convolution.weight[:, :, 0, 0] for convolution in convolutions])
        y = _normalised([as_maps(source.positive, models)], matrices[None], ones[None], norms)
    return as_images(y)


class _Source:
    """A map of each model that its edges read, (B, K * C, H, W), and what it becomes, made once."""

    def __init__(self, x: Tensor, models: int) -> None:
        self.x = x
        self.models = models
        self._pooled: dict[str, tuple[Tensor, list[Tensor] | None]] = {}

    @cached_property
    def columns(self) -> tuple[Tensor, ...]:
        """The map of each model, (B, C, H, W)."""
        return self.x.chunk(self.models, dim=1)

    @cached_property
    def positive(self) -> Tensor:
        """After ReLU, as convolutions begin."""
        return relu(self.x)

    @cached_property
    def halves(self) -> Tensor:
        """After ReLU, both grids of pixels, (B, H', W', 2 * K, C), see `columns.halves`."""
        return halves(as_maps(self.positive, self.models))

    def repeated(self, edges: int) -> Tensor:
        """After ReLU, once for each edge: (B, M * K * C, H, W)."""
        maps = as_maps(self.positive, self.models)[:, :, :, None]
        return as_images(maps.expand(-1, -1, -1, edges, -1, -1))

    def pooled(self, name: str, pools: Sequence[NormalisedPool]) -> Tensor:
        """Pooled and normalised once; every edge's batch norm remembers it as if it did so."""
        norms = [cast("nn.BatchNorm2d", pool[1]) for pool in pools]
        like = norms[0]
        assert like.momentum is not None  # noqa: S101 - None is a mean over all batches
        remembers = like.training and like.track_running_stats
        if name not in self._pooled:
            running = None
            if remembers or not like.training:
                running = [torch.cat(some) for some in _statistics(norms[: self.models])]
            mean, variance = running or (None, None)
            y = batch_norm(
                pools[0][0](self.x), mean, variance,
                training=like.training, momentum=like.momentum, eps=EPS,
            )  # fmt: skip
            self._pooled[name] = y, running
        y, running = self._pooled[name]
        if remembers and running is not None:
            with torch.no_grad():
                for theirs, ours in zip(_statistics(norms), running, strict=True):
                    each = ours.chunk(self.models)
                    torch._foreach_copy_(theirs, list(each) * (len(norms) // self.models))
                _count(norms)
        return y


def _statistics(norms: Sequence[nn.BatchNorm2d]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the running means and the running variances."""
    means, variances = (
        [cast("Tensor", getattr(norm, name)) for norm in norms]
        for name in ("running_mean", "running_var")
    )
    return means, variances


def _count(norms: Sequence[nn.BatchNorm2d]) -> None:
    """Let batch norms count one more batch."""
    torch._foreach_add_([cast("Tensor", norm.num_batches_tracked) for norm in norms], 1)


def _by_edge(maps: Tensor, models: int) -> Tensor:
    """(B, H, W, M * K, C) -> (B, H, W, M, K, C)."""
    return maps.unflatten(3, (-1, models))


def _unweighted(
    edges: Sequence[nn.ModuleDict],
    source: _Source,
    weights: Tensor,
    skips: Sequence[Callable[[Tensor], Tensor]] | None,
) -> Tensor | None:
    """Return the weighted sums of pooled maps and skips, (B, H', W', M, K, C); None without any.

    `skips` are those of each edge, where they are not plain.
    """
    models = source.models
    columns, maps, total = [], [], None
    for column, (name, operation) in enumerate(edges[0].items()):
        if isinstance(operation, NormalisedPool):
            pools = cast("list[NormalisedPool]", [edge[name] for edge in edges])
            maps.append(as_maps(source.pooled(name, pools), models))
            columns.append(column)
        elif isinstance(operation, nn.Identity):
            if skips is None:
                maps.append(as_maps(source.x, models))
                columns.append(column)
                continue
            read = source.columns * (len(edges) // models)
            both = zip(skips, read, strict=True)
            skipped = torch.cat([as_maps(skip(x), 1) for skip, x in both], dim=3)
            total = _by_edge(skipped * weights[:, column, None], models)
    if not maps:
        return total
    stacked = torch.stack([each.movedim(3, 0) for each in maps], dim=1)  # (K, T, B, H', W', C)
    pixels = stacked.flatten(2).to(weights.dtype)
    by_model = selected(weights, columns, 1).unflatten(0, (-1, models)).transpose(0, 1)  # (K, M, T)
    # Mixed precision would round the weights, which differ by 1e-4, to 8 bits.
    with torch.autocast(weights.device.type, enabled=False):
        # A CPU is slower at a batch of one product than at the product.
        sums = (by_model[0] @ pixels[0])[None] if models == 1 else by_model @ pixels
    y = sums.unflatten(2, stacked.shape[2:]).movedim((1, 0), (3, 4))
    return y if total is None else total + y


def _learnt(edges: Sequence[nn.ModuleDict], source: _Source, weights: Tensor) -> Tensor | None:
    """Return the weighted sums of what has weights of its own, (B, H', W', M, K, C), None likewise.

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
            y = _depthwise(first, source.repeated(len(edges) // source.models))
            for stages in others:
                between = [as_maps(y, len(edges))]
                z = _normalised(between, _matrices([first]), ones, _norms([first]), relu=True)
                y = _depthwise(stages, as_images(z))
                first = stages
            maps.append(as_maps(y, len(edges)))
            lasts.append(first)
            columns.append(column)
    if maps:
        z = _normalised(maps, _matrices(lasts), selected(weights, columns, 1).T, _norms(lasts))
        total = z if total is None else total + z
    return None if total is None else _by_edge(total, source.models)


def _depthwise(stages: Sequence[Stage], x: Tensor) -> Tensor:
    """Convolve the channels of each edge with its own filters: (B, M * K * C, H, W) -> the same."""
    like = stages[0].depthwise
    weight = torch.cat([stage.depthwise.weight for stage in stages])
    return depthwise(x, weight, stride=like.stride[0], dilation=like.dilation[0])


def _matrices(lasts: Sequence[Sequence[Stage]]) -> Tensor:
    """Return the 1x1 convolutions of S stages of M * K edges: (S, M * K, C, C)."""
    together = torch.stack([stage.pointwise.weight for stages in lasts for stage in stages])
    return together.view(len(lasts), -1, *together.shape[1:3])


def _norms(lasts: Sequence[Sequence[Stage]]) -> list[nn.BatchNorm2d]:
    return [stage.norm for stages in lasts for stage in stages]


def _reduced(modules: Sequence[FactorizedReduce], source: _Source, weights: Tensor) -> Tensor:
    """Halve the map as each module does, times its weight (M * K,): -> (B, H', W', M * K, C).

    Each half of a module's channels is an edge of its own here.
    """
    pixels = source.halves.repeat(1, 1, 1, len(modules) // source.models, 1)
    convolutions = [half for module in modules for half in (module.conv_even, module.conv_odd)]
    matrices = torch.stack([convolution.weight[:, :, 0, 0] for convolution in convolutions])[None]
    scale = weights.repeat_interleave(2)[None]
    y = _normalised([pixels], matrices, scale, [module.bn for module in modules])
    return y.unflatten(3, (len(modules), 2)).flatten(4)


def _normalised(
    maps: Sequence[Tensor],
    matrices: Tensor,
    weights: Tensor,
    norms: Sequence[nn.BatchNorm2d],
    *,
    relu: bool = False,
) -> Tensor:
    """Return the weighted sum of S convolved and normalised maps: (..., columns, I) -> (..., O).

    Args:
        maps: what is convolved, S of (B, H, W, columns, I).
        matrices: (S, columns, O, I).
        weights: (S, columns).
        norms: of each map and edge, or of as many edges side by side as share one.
        relu: of the sum.

    """
    # Contiguous: the kernels of a batch norm read its scale as if it were, whatever its strides.
    scale = weights[..., None].expand(matrices.shape[:3]).contiguous()
    offset = torch.zeros_like(scale)
    like = norms[0]
    means, variances = _statistics(norms)
    if not like.training:
        mean, variance = (torch.stack(some).view(scale.shape) for some in (means, variances))
        moments = Moments(mean, torch.rsqrt(variance + EPS))
        return normalised_by(maps, matrices, scale, offset, moments, relu=relu, is_finite=False)
    y, moments = pointwise_norm(maps, matrices, scale, offset, relu=relu)
    if like.track_running_stats:
        with torch.no_grad():
            count = y.shape[:3].numel()
            variance = (moments.inverse.square().reciprocal() - EPS) * (count / (count - 1))
            assert like.momentum is not None  # noqa: S101 - None is a mean over all batches
            for buffers, seen in ((means, moments.mean), (variances, variance)):
                torch._foreach_lerp_(buffers, list(seen.reshape(len(norms), -1)), like.momentum)
            _count(norms)
    return y
