"""Search spaces: which operations compete on an edge, and the paper's eight sub-spaces.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from nas_core.cells.genotype import OPERATION_NAMES, Edge
from nas_core.errors import InputError, nearest

LEARNABLE: Final = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
"""The operations that hold weights on every edge (a skip does so only where the map halves)."""

_CONVOLUTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "SS1": ("sep_conv_3x3", "dil_conv_3x3"),
    "SS2": ("sep_conv_5x5", "dil_conv_5x5"),
    "SS3": ("sep_conv_3x3", "sep_conv_5x5"),
    "SS4": ("dil_conv_3x3", "dil_conv_5x5"),
    "SS5": ("sep_conv_3x3", "dil_conv_5x5"),
    "SS6": ("sep_conv_5x5", "dil_conv_3x3"),
    "SS7": ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3"),
    "SS8": ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_5x5"),
}

POOLINGS: Final[Mapping[str, str]] = {"max": "max_pool_3x3", "avg": "avg_pool_3x3"}


def canonical_operations(names: Iterable[str]) -> tuple[str, ...]:
    """Return these operations in the order of `OPERATION_NAMES`.

    Raises:
        InputError: an operation that does not exist (with the nearest ones), one given twice, or
            no learnable one, for then nothing would be searched.

    """
    operations = [Edge(0, name).operation for name in names]
    if repeated := sorted({name for name in operations if operations.count(name) > 1}):
        raise InputError(f"a space holds each operation once, got {', '.join(repeated)} twice")
    if not set(operations) & set(LEARNABLE):
        raise InputError(
            f"a space needs a learnable operation ({', '.join(LEARNABLE)}), "
            f"got {', '.join(operations) or 'none at all'}"
        )
    return tuple(sorted(operations, key=OPERATION_NAMES.index))


def space_operations(space: str, pooling: str = "max") -> tuple[str, ...]:
    """Return the operations of a named space: SS1 to SS8 of the paper, or 'all' eight.

    The paper's sub-spaces always hold none, skip and one pooling.

    Raises:
        InputError: no such space, or a pooling other than max or avg.

    """
    if space == "all":
        return OPERATION_NAMES
    if space not in _CONVOLUTIONS:
        near = nearest(str(space).upper(), _CONVOLUTIONS, most=2) or "SS1 to SS8"
        raise InputError(f"unknown space {space!r}: use {near}, or all")
    if pooling not in POOLINGS:
        raise InputError(f"the pooling of a sub-space is max or avg, got {pooling!r}")
    return canonical_operations(("none", "skip_connect", POOLINGS[pooling], *_CONVOLUTIONS[space]))


SPACES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {space: space_operations(space) for space in _CONVOLUTIONS}
)
"""The paper's sub-spaces with max pooling, by name."""


def space_name(operations: tuple[str, ...]) -> str:
    """Return what people call a space: SS1 to SS8 (either pooling), 'all', or its operations."""
    for pooling in POOLINGS:
        for space in ("all", *_CONVOLUTIONS):
            if space_operations(space, pooling) == operations:
                return space
    return "+".join(operations)
