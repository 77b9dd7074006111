"""The entries of the paper's two grids of searches: sub-spaces by depth, and depth alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

from nas_core.cells.spaces import SPACES
from topo_sweep.analysis.text import plain_table

Grid = Literal["subspaces", "depth"]

GRID_NAMES: Final[tuple[Grid, ...]] = get_args(Grid)

_SEEDS: Final = range(20, 30)
_GRIDS: Final[Mapping[Grid, tuple[tuple[str, ...], tuple[int, ...]]]] = {
    "subspaces": (tuple(SPACES), (5, 16)),
    "depth": (("SS1",), (5, 10, 16, 20)),
}
"""Spaces and numbers of cells; the paper searches each with seeds 20 to 29."""


def grid_records(name: Grid) -> list[dict[str, Any]]:
    """Return one record a search: `space`, its `operations`, `cells` and `seed`."""
    spaces, depths = _GRIDS[name]
    return [
        {"space": space, "operations": list(SPACES[space]), "cells": cells, "seed": seed}
        for space in spaces
        for cells in depths
        for seed in _SEEDS
    ]


def grid_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the records as a table for people."""
    header = ["space", "cells", "seed", "operations"]
    rows = [[r["space"], r["cells"], r["seed"], " ".join(r["operations"])] for r in records]
    return plain_table(header, rows)
