"""`kind: random`, and the random cells that searches may have beside them. No torch.

How a cell is drawn is in `nas_core/cells/sampling.py`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from nas_core.cells.genotype import Genotype
from nas_core.cells.sampling import random_genotypes
from nas_core.cells.spaces import canonical_operations, space_name, space_operations
from nas_core.cells.topology import Topology, topology_count
from topo_sweep.spec.networks import NetworkSweep, Population

RANDOM: Final = "random"
"""The kind of a random cell's row, also in a sweep of searches."""

MOST_CELLS: Final = 10_000

Space = str | tuple[str, ...]


def checked_space(value: object) -> Space:
    """Check a space's name, or bring a list of operations into canonical order."""
    if isinstance(value, str):
        space_operations(value)
        return value
    if isinstance(value, list | tuple):
        return canonical_operations(value)
    raise ValueError("write SS1 to SS8, all, or a list of operations")


def operations_of(space: Space, pooling: str) -> tuple[str, ...]:
    """Return the operations of a space; `pooling` is that of SS1 to SS8."""
    return space_operations(space, pooling) if isinstance(space, str) else space


def wiring_words(topology: tuple[int, int] | None) -> str:
    """Return along which wiring cells are searched or drawn, in words."""
    if topology is None:
        return "any wiring"
    normal, reduction = topology
    return f"topology {normal}" if normal == reduction else f"topologies {normal} and {reduction}"


@lru_cache(maxsize=64)
def drawn(
    operations: tuple[str, ...], topology: tuple[int, int] | None, count: int, seed: int = 0
) -> tuple[Genotype, ...]:
    """Return random cells along the wirings of normal and reduction cell, or along any.

    Raises:
        InputError: there are not so many.

    """
    wirings = topology and (Topology.from_index(topology[0]), Topology.from_index(topology[1]))
    return random_genotypes(operations, count, seed=seed, topology=wirings)


def _topology(value: object) -> object:
    last = topology_count() - 1
    if value is None or (type(value) is int and 0 <= value <= last):
        return value
    raise ValueError(f"write a topology's index, 0 to {last}, or null for any wiring")


def _count(value: object) -> object:
    if type(value) is int and 1 <= value <= MOST_CELLS:
        return value
    raise ValueError(f"write how many random cells, 1 to {MOST_CELLS:,}")


class RandomSweep(NetworkSweep):
    """Random cells of a space, along one wiring or each along its own; see `random_genotypes`.

    The first cells of a larger `count` are the same, so that more may be asked for later.
    """

    kind: Literal["random"] = "random"
    count: Annotated[int, BeforeValidator(_count)]
    space: Annotated[Space, BeforeValidator(checked_space)]
    """SS1 to SS8, all, or a list of operations; none is never drawn."""
    pooling: Literal["max", "avg"] = "max"
    """The pooling of the sub-spaces SS1 to SS8."""
    topology: Annotated[int | None, BeforeValidator(_topology)] = None
    """The wiring of both cells; None draws one for each cell of each network."""
    sampling_seed: int = Field(default=0, ge=0)
    """Names the draws; it is no seed of a training."""

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        """Refuse more cells than there are."""
        self.genotype_list()
        return self

    @property
    def trial_count(self) -> int:
        """Number of trainings."""
        return self.count * len(self.seeds)

    @property
    def store_key(self) -> str:
        """What the cells are drawn from: a ranking is of cells of one population."""
        return json.dumps([self._operations, self.topology])

    def described(self) -> str:
        """Return how many cells, and of what."""
        wiring = wiring_words(self.wiring)
        return f"{self.count} random cells of {space_name(self._operations)}, {wiring}"

    def populations(self) -> dict[Population, tuple[Genotype, ...]]:
        """Return the cells by what they were drawn from."""
        return {(self._operations, self.wiring): self.genotype_list()}

    @property
    def wiring(self) -> tuple[int, int] | None:
        """The wirings of normal and reduction cell, as a search has them."""
        return None if self.topology is None else (self.topology, self.topology)

    def genotype_list(self) -> tuple[Genotype, ...]:
        """Return the cells in the order in which they are drawn."""
        return drawn(self._operations, self.wiring, self.count, self.sampling_seed)

    @property
    def _operations(self) -> tuple[str, ...]:
        return operations_of(self.space, self.pooling)
