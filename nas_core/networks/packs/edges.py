"""What the edges of a cell compute in all models: wires, convolutions, pooling, skips.

Letters: B batch, K models, C channels of a model, H and W pixels, S slots of a node (an edge in
each model). Maps are (B, H, W, K, C).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, relu

from nas_core.networks.packs.blocks import Memory, Norm, Pass
from nas_core.networks.packs.packing import Block
from nas_core.networks.stack import CellPlan

States = Callable[[int], Tensor]
"""A form of each map of a cell so far, (B, H, W, K, C), by number: two inputs, then the nodes."""

Sources = Sequence[int]
"""The state that each of K models reads in a slot."""

_POOLS: Final[Mapping[str, Callable[..., Tensor]]] = {
    "max_pool_3x3": max_pool2d,
    "avg_pool_3x3": partial(avg_pool2d, count_include_pad=False),
}


class Filters(NamedTuple):
    """What the depthwise filters of a convolution look like, and how many stages it has."""

    kernel: int
    dilation: int
    stages: int


CONVOLUTIONS: Final[Mapping[str, Filters]] = {
    "sep_conv_3x3": Filters(3, 1, 2),
    "sep_conv_5x5": Filters(5, 1, 2),
    "dil_conv_3x3": Filters(3, 2, 1),
    "dil_conv_5x5": Filters(5, 2, 1),
}


class Wires(nn.Module):
    """The map that each of some models reads: states of all models -> (B, H, W, K', C).

    Args:
        sources: the state that each of K models reads.
        chosen: the models.
        channels: C.

    """

    index: Tensor

    def __init__(self, sources: Sequence[int], chosen: Sequence[int], channels: int) -> None:
        super().__init__()
        everything, models = len(chosen) == len(sources), len(sources)
        read = sorted({sources[model] for model in chosen})
        self.common = everything and len(read) == 1
        self.read = read
        places = torch.tensor([read.index(sources[model]) * models + model for model in chosen])
        index = (places[:, None] * channels + torch.arange(channels)).flatten()
        self.register_buffer("index", index, persistent=False)

    def forward(self, states: States) -> Tensor:
        """Gather what is read, and ask for nothing else."""
        maps = [states(number) for number in self.read]
        if self.common:
            return maps[0]
        together = torch.cat(maps, dim=3)
        pixels = together.flatten(0, 2).flatten(1)
        chosen = pixels.index_select(1, self.index)
        return chosen.view(*together.shape[:3], -1, together.shape[4])


class Depthwise(nn.Module):
    """The first depthwise convolution of a slot: states after ReLU -> (B, H', W', K, C).

    In a reduction cell a model that reads an input strides, and one that reads a node does not.
    """

    order: Tensor

    def __init__(
        self, weight: Block, filters: Filters, sources: Sequence[int], plan: CellPlan
    ) -> None:
        super().__init__()
        self.weight, self.filters = weight, filters
        models = range(len(sources))
        self.strides = sorted({plan.stride(source) for source in sources})
        chosen = [
            [model for model in models if plan.stride(sources[model]) == stride]
            for stride in self.strides
        ]
        self.wires = nn.ModuleList(Wires(sources, some, plan.channels) for some in chosen)
        order = torch.tensor([model for some in chosen for model in some])
        self.register_buffer("order", order, persistent=False)
        self.sizes = [len(some) for some in chosen]

    def forward(self, run: Pass, states: States) -> Tensor:
        """Convolve."""
        weight = run.blocks[self.weight.number]
        if len(self.strides) == 1:
            return depthwise(self.wires[0](states), weight, self.filters, self.strides[0])
        parts = zip(self.wires, self.order.split(self.sizes), self.strides, strict=True)
        maps = [
            depthwise(wires(states), weight[some], self.filters, stride)
            for wires, some, stride in parts
        ]
        return torch.cat(maps, dim=3)[:, :, :, self.order.argsort()]


def depthwise(x: Tensor, weight: Tensor, filters: Filters, stride: int = 1) -> Tensor:
    """(B, H, W, K, C) and (K, 1, C, 1, k, k) -> (B, H', W', K, C)."""
    channels = x.shape[3] * x.shape[4]
    y = conv2d(
        as_images(x),
        weight.reshape(channels, 1, *weight.shape[4:]),
        None,
        stride,
        filters.dilation * (filters.kernel - 1) // 2,
        filters.dilation,
        channels,
    )
    return as_map(y, x.shape[3])


class Reads:
    """The states of a cell as its edges read them, each form of each state made once.

    Args:
        plan: of the cell.
        states: so far; more may be added.
        rectified: they are after ReLU, and nothing reads them before it.

    """

    def __init__(self, plan: CellPlan, states: list[Tensor], *, rectified: bool) -> None:
        self.states = states
        self._rectified = rectified
        self._plan = plan
        self._made: dict[tuple[str, int], Tensor] = {}

    def after(self, form: str, number: int) -> Tensor:
        """Return a state after 'relu', or after a pooling by its name."""
        if self._rectified:
            return self.states[number]
        if (form, number) not in self._made:
            made = relu(self.states[number]) if form == "relu" else self._pooled(form, number)
            self._made[form, number] = made
        return self._made[form, number]

    def _pooled(self, name: str, number: int) -> Tensor:
        state = self.states[number]
        pooled = _POOLS[name](as_images(state), 3, stride=self._plan.stride(number), padding=1)
        return as_map(pooled, state.shape[3])


class Convolutions(nn.Module):
    """Separable or dilated convolutions in S slots of a node, summed: -> (B, H', W', K, C).

    Args:
        memory: takes the blocks.
        name: of the cell's operations in `EvalNetwork`.
        slots: of them.
        wiring: of each slot.
        filters: which convolution it is.
        plan: of the cell.

    """

    def __init__(  # noqa: PLR0917 - each is another thing
        self,
        memory: Memory,
        name: str,
        slots: Sequence[int],
        wiring: Sequence[Sources],
        filters: Filters,
        plan: CellPlan,
    ) -> None:
        super().__init__()
        self.slots, self.filters = slots, filters
        names = [f"{name}.{slot}" for slot in slots]
        self.first = nn.ModuleList(
            Depthwise(memory.parameters.block(f"{name}.1.weight"), filters, sources, plan)
            for name, sources in zip(names, wiring, strict=True)
        )
        # A stage of `Convolution` is a ReLU and three layers: 1 to 3, and 5 to 7 of the second.
        self.second: list[tuple[Norm, Block]] = []
        if filters.stages == 2:
            self.second = [
                (
                    memory.norm((f"{name}.2", f"{name}.3")),
                    memory.parameters.block(f"{name}.5.weight"),
                )
                for name in names
            ]
        pointwise = 4 * filters.stages - 2
        self.last = memory.norm(
            *((f"{name}.{pointwise}", f"{name}.{pointwise + 1}") for name in names)
        )

    def forward(
        self, run: Pass, reads: Reads, keep: Tensor | None, *, rectify: bool = False
    ) -> Tensor:
        """Compute; `keep` is (B, K, edges), `rectify` asks for what is behind a ReLU."""
        maps = [first(run, partial(reads.after, "relu")) for first in self.first]
        if self.second:
            maps = [
                depthwise(run.norm(norm, [x], relu=True), run.blocks[weight.number], self.filters)
                for x, (norm, weight) in zip(maps, self.second, strict=True)
            ]
        kept = None if keep is None else keep[..., self.slots]
        return run.norm(self.last, maps, keep=kept, relu=rectify)


class Unweighted(nn.Module):
    """Pooling or identity in one slot of a node: -> (B, H', W', K, C)."""

    def __init__(self, operation: str, slot: int, sources: Sources, plan: CellPlan) -> None:
        super().__init__()
        self.slot, self.operation = slot, operation
        self.wires = Wires(sources, range(len(sources)), plan.channels)

    def forward(self, run: Pass, reads: Reads, keep: Tensor | None) -> Tensor:
        """Compute; `keep` is (B, K, edges)."""
        if self.operation == "skip_connect":
            return self.wires(reads.states.__getitem__)
        return _kept(self.wires(partial(reads.after, self.operation)), keep, self.slot)


class HalvingSkip(nn.Module):
    """Skip connections of stride 2 in one slot of a node: -> (B, H / 2, W / 2, K, C)."""

    def __init__(
        self, memory: Memory, name: str, slot: int, sources: Sources, plan: CellPlan
    ) -> None:
        super().__init__()
        self.slot = slot
        self.reduce = memory.reduce(f"{name}.{slot}")
        self.wires = Wires(sources, range(len(sources)), plan.channels)

    def forward(self, run: Pass, reads: Reads, keep: Tensor | None) -> Tensor:
        """Compute; `keep` is (B, K, edges)."""
        y = run.halved(self.reduce, self.wires(partial(reads.after, "relu")))
        return _kept(y, keep, self.slot)


def _kept(x: Tensor, keep: Tensor | None, slot: int) -> Tensor:
    """Multiply (B, H, W, K, C) by what (B, K, edges) says of this slot."""
    return x if keep is None else x * keep[:, None, None, :, slot : slot + 1].to(x.dtype)


def as_images(x: Tensor) -> Tensor:
    """(B, H, W, K, C) -> (B, K * C, H, W), channels last: a view."""
    return x.flatten(3).permute(0, 3, 1, 2)


def as_map(x: Tensor, models: int) -> Tensor:
    """(B, K * C, H, W) -> (B, H, W, K, C): a view of what is channels last."""
    return x.permute(0, 2, 3, 1).contiguous().unflatten(3, (models, -1))
