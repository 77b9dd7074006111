"""Parameters and batch-norm statistics of several networks of one shape, in flat memory.

A packed network computes with blocks: (M, K, ...) holds M tensors of one shape of each of K models.
Blocks lie one after another, so that all models together have one parameter, one gradient and one
state of the optimiser.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Block:
    """A block: its `number` among all, in whose order they lie, and `shape` (M, K, ...)."""

    number: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass
class Packing:
    """Lays out blocks, and finds the tensors of a model in them.

    Args:
        models: K.
        shapes: of the tensors of any model, by name.

    """

    models: int
    shapes: Mapping[str, torch.Size]
    blocks: list[Block] = field(default_factory=list)
    _places: dict[str, tuple[Block, int]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many numbers all blocks hold."""
        return sum(block.size for block in self.blocks)

    def block(self, *names: str) -> Block:
        """Append a block of these tensors, which have one shape, of every model."""
        (shape,) = {self.shapes[name] for name in names}
        block = Block(len(self.blocks), (len(names), self.models, *shape))
        self.blocks.append(block)
        self._places |= {name: (block, place) for place, name in enumerate(names)}
        return block

    def split(self, flat: Tensor) -> list[Tensor]:
        """Return all blocks as views of flat memory; their gradients come back joined."""
        parts = flat.split([block.size for block in self.blocks])
        return [part.view(block.shape) for part, block in zip(parts, self.blocks, strict=True)]

    def model(self, flat: Tensor, number: int) -> dict[str, Tensor]:
        """Return the tensors of a model by name, as views of flat memory."""
        blocks = self.split(flat)
        places = self._places.items()
        return {name: blocks[block.number][place, number] for name, (block, place) in places}

    def owners(self) -> Tensor:
        """Return which model each number in flat memory belongs to, (size,) int64."""
        owners = torch.empty(self.size, dtype=torch.int64)
        for part in self.split(owners):
            part.copy_(torch.arange(self.models).view(-1, *[1] * (part.ndim - 2)))
        return owners
