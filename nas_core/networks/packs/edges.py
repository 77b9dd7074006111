"""What the edges of a cell compute in all models: wires, convolutions, pooling, skips.

Letters: B batch, K models, C channels of a model, H and W pixels. A slot of a node is an edge in
each model. Columns (see `kernels/columns.py`) are slots times models, the model innermost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from nas_core.networks.kernels.columns import as_images, as_maps, gathered
from nas_core.networks.kernels.depthwise import depthwise
from nas_core.networks.packs.blocks import Memory, Norm, Pass
from nas_core.networks.packs.packing import Block
from nas_core.networks.stack import CellPlan

States = Callable[[int], Tensor]
"""A form of each map of a cell so far, (B, H, W, K, C), by number: two inputs, then the nodes."""

Sources = Sequence[int]
"""The state that each column reads."""

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
    """The maps that columns read: states of all models -> (B, H, W, columns, C).

    Args:
        sources: the state that each column reads, no two of a model the same one.
        models: the model of each column.
        count: K.

    """

    places: Tensor

    def __init__(self, sources: Sources, models: Sequence[int], count: int) -> None:
        super().__init__()
        self.read = sorted(set(sources))
        everyone = tuple(range(count))
        slots = [slice(start, start + count) for start in range(0, len(sources), count)]
        self.whole: list[int] | None = None
        """The states that columns are, one after another, where they are whole ones."""
        if all(tuple(models[slot]) == everyone and len(set(sources[slot])) == 1 for slot in slots):
            self.whole = [sources[slot.start] for slot in slots]
        pairs = zip(sources, models, strict=True)
        places = [self.read.index(source) * count + model for source, model in pairs]
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def forward(self, states: States) -> Tensor:
        """Gather what is read, and ask for nothing else."""
        maps = [states(number) for number in self.whole or self.read]
        together = maps[0] if len(maps) == 1 else torch.cat(maps, dim=3)
        return together if self.whole else gathered(together.contiguous(), self.places)


class Depthwise(nn.Module):
    """The first depthwise convolution of some slots: states after ReLU -> (B, H', W', columns, C).

    In a reduction cell a model that reads an input strides, and one that reads a node does not.
    """

    order: Tensor
    places: Tensor

    def __init__(
        self, weight: Block, filters: Filters, wiring: Sequence[Sources], plan: CellPlan
    ) -> None:
        super().__init__()
        self.weight, self.filters = weight, filters
        count = len(wiring[0])
        sources = [source for slot in wiring for source in slot]
        strides = [plan.stride(source) for source in sources]
        self.strides = sorted(set(strides))
        columns = [
            [column for column, each in enumerate(strides) if each == stride]
            for stride in self.strides
        ]
        self.wires = nn.ModuleList(
            Wires([sources[column] for column in some], [column % count for column in some], count)
            for some in columns
        )
        self.counts = [len(some) for some in columns]
        order = torch.tensor([column for some in columns for column in some])
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("places", order.argsort(), persistent=False)

    def forward(self, run: Pass, states: States) -> Tensor:
        """Convolve."""
        weight = run.blocks[self.weight.number].flatten(0, 1)
        if len(self.strides) == 1:
            return convolved(self.wires[0](states), weight, self.filters, self.strides[0])
        weights = weight.index_select(0, self.order).split(self.counts)
        parts = zip(self.wires, weights, self.strides, strict=True)
        maps = [
            convolved(wires(states), some, self.filters, stride) for wires, some, stride in parts
        ]
        return gathered(torch.cat(maps, dim=3), self.places)


def convolved(x: Tensor, weight: Tensor, filters: Filters, stride: int = 1) -> Tensor:
    """(B, H, W, columns, C) and (columns, C, 1, k, k) -> (B, H', W', columns, C)."""
    y = depthwise(as_images(x), weight.flatten(0, 1), stride=stride, dilation=filters.dilation)
    return as_maps(y, x.shape[3])


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
        return as_maps(pooled, state.shape[3])


class Convolutions(nn.Module):
    """Separable or dilated convolutions in slots of a node, summed: -> (B, H', W', K, C).

    Slots are convolved side by side; those of a single model, whose maps need no copy then, one by
    one, and so are slots in which a model reads the same state.

    Args:
        memory: takes the blocks.
        name: of the cell's operations in `EvalNetwork`.
        slots: of them, one after another.
        wiring: of each slot, what its K models read.
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
        numbers = list(range(len(slots)))
        differ = all(len(set(read)) == len(slots) for read in zip(*wiring, strict=True))
        beside = len(wiring[0]) > 1 and differ
        together = [numbers] if beside else [[number] for number in numbers]
        self.first = nn.ModuleList(
            Depthwise(
                memory.parameters.block(*(f"{names[number]}.1.weight" for number in some)),
                filters,
                [wiring[number] for number in some],
                plan,
            )
            for some in together
        )
        # A stage of `Convolution` is a ReLU and three layers: 1 to 3, and 5 to 7 of the second.
        self.second: list[tuple[Norm, Block]] = []
        if filters.stages == 2:
            self.second = [
                (
                    memory.norm(*((f"{names[n]}.2", f"{names[n]}.3") for n in some)),
                    memory.parameters.block(*(f"{names[n]}.5.weight" for n in some)),
                )
                for some in together
            ]
        pointwise = 4 * filters.stages - 2
        self.last = memory.norm(
            *((f"{name}.{pointwise}", f"{name}.{pointwise + 1}") for name in names)
        )

    def forward(
        self, run: Pass, reads: Reads, keep: Tensor | None, *, rectify: bool = False
    ) -> Tensor:
        """Compute; `keep` is (B, edges, K), `rectify` asks for what is behind a ReLU."""
        maps = [first(run, partial(reads.after, "relu")) for first in self.first]
        if self.second:
            maps = [
                convolved(
                    run.norm(norm, [x], apart=True, relu=True),
                    run.blocks[weight.number].flatten(0, 1),
                    self.filters,
                )
                for x, (norm, weight) in zip(maps, self.second, strict=True)
            ]
        kept = None if keep is None else keep[:, self.slots[0] : self.slots[-1] + 1]
        return run.norm(self.last, maps, keep=kept, relu=rectify)


class Unweighted(nn.Module):
    """Pooling or identity in one slot of a node: -> (B, H', W', K, C)."""

    def __init__(self, operation: str, slot: int, sources: Sources, plan: CellPlan) -> None:
        super().__init__()
        self.slot, self.operation = slot, operation
        self.wires = Wires(sources, range(len(sources)), len(sources))

    def forward(self, run: Pass, reads: Reads, keep: Tensor | None) -> Tensor:
        """Compute; `keep` is (B, edges, K)."""
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
        self.wires = Wires(sources, range(len(sources)), len(sources))

    def forward(self, run: Pass, reads: Reads, keep: Tensor | None) -> Tensor:
        """Compute; `keep` is (B, edges, K)."""
        y = run.halved(self.reduce, self.wires(partial(reads.after, "relu")))
        return _kept(y, keep, self.slot)


def _kept(x: Tensor, keep: Tensor | None, slot: int) -> Tensor:
    """Multiply (B, H, W, K, C) by what (B, edges, K) says of this slot."""
    return x if keep is None else x * keep[:, slot, None, None, :, None].to(x.dtype)
