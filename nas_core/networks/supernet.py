"""The search network of DARTS: cells in which every edge mixes all candidate operations.

After Liu et al. (2019) and the authors' `model_search.py`. Its alphas are in
`networks/alphas.py`, how they are learnt in `training/search_steps.py`. Letters: B batch,
C channels of a node, H and W pixels, E edges of a cell, O operations of an edge, K models. Maps of
K models are (B, K * C, H, W), channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn

from nas_core.cells.topology import INPUTS, Topology
from nas_core.errors import InputError
from nas_core.networks.alphas import CellSpace, Mixing, SearchSpace, beside
from nas_core.networks.kernels.columns import as_images, as_maps, selected
from nas_core.networks.kernels.edges import mix, preprocessed
from nas_core.networks.operations import OPS, NormalisedPool
from nas_core.networks.stack import CellPlan, cell_plans, stem
from nas_core.protocols.search import NODES

Dropout = Callable[[Tensor, str], Tensor]
"""(output of an identity skip, name of its edge) -> the same with parts at 0."""


class MixedOp(nn.Module):
    """The operations of an edge, whose weighted sum it is; `kernels.edges.mix` computes that.

    With P = `partial_channels` only the first C/P channels pass the operations; the others pass
    by (halved by max pooling where the map halves), and a shuffle mixes both (PC-DARTS).

    Args:
        names: the operations.
        channels: C.
        stride: 2 where the map halves.
        partial_channels: P.

    """

    def __init__(
        self, names: Sequence[str], channels: int, stride: int, *, partial_channels: int = 1
    ) -> None:
        super().__init__()
        self.partial_channels = partial_channels
        self.channels = channels // partial_channels
        self.operations = nn.ModuleDict(
            {name: _candidate(name, self.channels, stride) for name in names}
        )
        self.halve = nn.MaxPool2d(2, 2, ceil_mode=True) if stride == 2 else nn.Identity()

    def forward(self, mixed: Tensor, passing: Tensor) -> Tensor:
        """Shuffle both parts of each model's channels: -> (B, K * C, H', W').

        Args:
            mixed: what passed the operations, (B, K * C/P, H', W').
            passing: what passes by, (B, K * (C - C/P), H, W), halved here where the map halves.

        """
        if self.partial_channels == 1:
            return mixed
        models = mixed.shape[1] // self.channels
        parts = mixed, self.halve(passing)
        channels = torch.cat([as_maps(part, models) for part in parts], dim=4)
        groups = channels.unflatten(4, (self.partial_channels, self.channels))
        return as_images(groups.transpose(4, 5).flatten(4))


def _candidate(name: str, channels: int, stride: int) -> nn.Module:
    """Return an operation as the search uses it: no affine parameters, pooling normalised."""
    operation = OPS[name](channels, stride, False)
    if isinstance(operation, nn.MaxPool2d | nn.AvgPool2d):
        return NormalisedPool(operation, channels)
    return operation


class SearchCell(nn.Module):
    """What a relaxed cell holds; `cells_side_by_side` computes it.

    Args:
        space: its edges and their operations.
        plan: channels and reductions at its position in the stack.
        partial_channels: P of `MixedOp`.

    """

    def __init__(self, space: CellSpace, plan: CellPlan, *, partial_channels: int = 1) -> None:
        super().__init__()
        self.preprocess0, self.preprocess1 = plan.preprocessing(affine=False)
        # Named by their ends, so that an edge's weights have the same key in every space.
        self.edges = nn.ModuleDict(
            {
                f"{source}to{node}": MixedOp(
                    names, plan.channels, plan.stride(source), partial_channels=partial_channels
                )
                for (source, node), names in zip(space.edges, space.operations, strict=True)
            }
        )
        self.space = space


def cells_side_by_side(
    cells: Sequence[SearchCell],
    input0: Tensor,
    input1: Tensor,
    mixing: Mixing,
    dropouts: Sequence[Dropout | None],
) -> Tensor:
    """Compute the cells of K models, or of one: -> (B, K * nodes * C, H', W').

    Args:
        cells: of equal space and plan, one a model.
        input0: (B, K * C_before, H, W), channels last.
        input1: the same, of the cell before; it may have other channels and pixels.
        mixing: of all models, see `alphas.beside`.
        dropouts: one a model; it is told edges by names like '0to2'.

    """
    states = [
        preprocessed([cell.preprocess0 for cell in cells], input0),
        preprocessed([cell.preprocess1 for cell in cells], input1),
    ]
    sums: dict[int, Tensor] = {}
    for source in range(INPUTS + NODES - 1):
        for node, y in _edges_of(cells, source, states[source], mixing, dropouts):
            sums[node] = sums[node] + y if node in sums else y
        if source + 1 >= INPUTS:  # all that node reads has been added up
            states.append(sums[source + 1])
    return as_images(torch.cat([as_maps(x, len(cells)) for x in states[INPUTS:]], dim=4))


def _edges_of(
    cells: Sequence[SearchCell],
    source: int,
    x: Tensor,
    mixing: Mixing,
    dropouts: Sequence[Dropout | None],
) -> Iterator[tuple[int, Tensor]]:
    """Yield node and output (B, K * C, H', W') of each edge that reads this source."""
    models, space = len(cells), cells[0].space
    rows = [row for row, (start, _) in enumerate(space.edges) if start == source]
    names = [f"{source}to{space.edges[row][1]}" for row in rows]
    edges = [cast("MixedOp", cell.edges[name]) for name in names for cell in cells]
    if not edges:
        return
    maps, mixing_channels = as_maps(x, models), edges[0].channels

    def skip(number: int, y: Tensor) -> Tensor:
        edge, model = divmod(number, models)
        dropout = dropouts[model]
        return y if dropout is None else dropout(y, names[edge])

    outputs = mix(
        [edge.operations for edge in edges],
        as_images(maps[..., :mixing_channels]),
        selected(mixing.operations, rows).flatten(0, 1),
        skip if any(dropouts) else None,
        models=models,
    )
    passing = as_images(maps[..., mixing_channels:])
    for row, edge, mixed in zip(rows, edges[::models], outputs, strict=True):
        y = edge(mixed, passing)
        if mixing.edges is not None:
            y = as_images(as_maps(y, models) * mixing.edges[row, :, None])
        yield space.edges[row][1], y


class SearchNetwork(nn.Module):
    """A stack of relaxed cells that classifies images: (B, 3, H, W) -> logits (B, num_classes).

    Cells of one type share their weights of mixing, not their operations. Batch norm is not
    affine in cells (else it could undo an operation's weight), but is in the stem.

    Args:
        init_channels: C of the first cells; the stem is three times as wide.
        cells: depth of the stack, reduction cells at a third and two thirds.
        num_classes: width of the logits.
        operations: the candidates of every edge, or a whole `SearchSpace`.
        topology: fixes the wiring of both cells (or a pair, of normal and reduction cell), so
            that only its edges exist.
        partial_channels: P of PC-DARTS; 1 lets all channels pass the operations.

    Raises:
        InputError: unknown operations, or none that is learnable.

    >>> import torch
    >>> from nas_core import Alphas, SearchNetwork, Topology
    >>> network = SearchNetwork(
    ...     init_channels=2,
    ...     cells=2,
    ...     num_classes=10,
    ...     operations=["none", "skip_connect", "sep_conv_3x3"],
    ...     topology=Topology.from_index(17),
    ... )
    >>> tuple(network(torch.zeros(4, 3, 8, 8), Alphas(network.space).mixing()).shape)
    (4, 10)

    """

    def __init__(
        self,
        *,
        init_channels: int,
        cells: int,
        num_classes: int,
        operations: Sequence[str] | SearchSpace,
        topology: Topology | tuple[Topology, Topology] | None = None,
        partial_channels: int = 1,
    ) -> None:
        super().__init__()
        self.space = (
            operations
            if isinstance(operations, SearchSpace)
            else SearchSpace.full(operations, topology)
        )
        plans = cell_plans(cells, init_channels)
        self.cell_types = [plan.cell_type for plan in plans]
        self.stem = stem(init_channels)
        self.cells = nn.ModuleList(
            SearchCell(self.space.cell(plan.cell_type), plan, partial_channels=partial_channels)
            for plan in plans
        )
        self.classifier = nn.Linear(plans[-1].width, num_classes)

    def forward(
        self, images: Tensor, mixing: Mapping[str, Mixing], dropout: Dropout | None = None
    ) -> Tensor:
        """Return logits (B, classes).

        Args:
            images: (B, 3, H, W), normalised.
            mixing: of 'normal' and 'reduction' cells, see `Alphas.mixing`.
            dropout: acts behind identity skips (P-DARTS); None drops nothing.

        """
        return _logits([self], images[None], [mixing], [dropout])[0]

    @cached_property
    def batch_norms(self) -> list[nn.BatchNorm2d]:
        """All batch norms, whose running statistics alpha steps leave alone."""
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]


class PackedSearchNetwork(nn.Module):
    """K search networks side by side: far fewer and larger kernels where maps are small.

    The same function as each alone, in exact arithmetic: images (K, B, 3, H, W) -> logits
    (K, B, num_classes), in training and in evaluation. The networks keep their parameters and
    buffers, as `models`. What is not finite stays with its model.

    Args:
        models: at least one, of equal space, channels and depth, all in training or in evaluation.

    Raises:
        InputError: no network, or networks that differ in more than what they hold.

    >>> import torch
    >>> from nas_core import Alphas, PackedSearchNetwork, SearchNetwork
    >>> shape = {"init_channels": 2, "cells": 2, "num_classes": 10}
    >>> models = [SearchNetwork(operations=["none", "sep_conv_3x3"], **shape) for _ in range(3)]
    >>> mixings = [Alphas(model.space).mixing() for model in models]
    >>> tuple(PackedSearchNetwork(models)(torch.zeros(3, 4, 3, 8, 8), mixings).shape)
    (3, 4, 10)

    """

    def __init__(self, models: Sequence[SearchNetwork]) -> None:
        super().__init__()
        if not models:
            raise InputError("search networks side by side are one or more, got none")
        kinds = [(m.space, [(n, p.shape) for n, p in m.named_parameters()]) for m in models]
        other = next((number for number, kind in enumerate(kinds) if kind != kinds[0]), None)
        if other is not None:
            raise InputError(
                f"search network {other} (from 0) differs from the first: side by side all need "
                "the same space, channels and depth"
            )
        self.models = nn.ModuleList(models)

    def forward(
        self,
        images: Tensor,
        mixings: Sequence[Mapping[str, Mixing]],
        dropouts: Sequence[Dropout | None] | None = None,
    ) -> Tensor:
        """Return logits (K, B, classes); arguments are those of `SearchNetwork`, one a model."""
        models = cast("Sequence[SearchNetwork]", list(self.models))
        return _logits(models, images, mixings, dropouts or [None] * len(models))


def _logits(
    models: Sequence[SearchNetwork],
    images: Tensor,
    mixings: Sequence[Mapping[str, Mixing]],
    dropouts: Sequence[Dropout | None],
) -> Tensor:
    """Return logits (K, B, classes) of images (K, B, 3, H, W), for everything else one a model."""
    mixing = {name: beside([each[name] for each in mixings]) for name in mixings[0]}
    stems = [
        model.stem(x.contiguous(memory_format=torch.channels_last))
        for model, x in zip(models, images, strict=True)
    ]
    before = last = torch.cat(stems, dim=1)
    for position, cell_type in enumerate(models[0].cell_types):
        cells = [cast("SearchCell", model.cells[position]) for model in models]
        dropped = [None if each is None else _in_cell(each, position) for each in dropouts]
        before, last = last, cells_side_by_side(cells, before, last, mixing[cell_type], dropped)
    features = last.mean(dim=(2, 3)).chunk(len(models), dim=1)
    return torch.stack([m.classifier(x) for m, x in zip(models, features, strict=True)])


def _in_cell(dropout: Dropout, position: int) -> Dropout:
    """Return the dropout that names edges in the cell at this position."""
    return lambda y, edge_name: dropout(y, f"{position} {edge_name}")
