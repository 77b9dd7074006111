"""The searches of the paper's two grids: sub-spaces by depth, and depth alone."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Final, Literal, get_args

Grid = Literal["subspaces", "depth"]

GRID_NAMES: Final[tuple[Grid, ...]] = get_args(Grid)
"""Shipped sweeps, whose files say what is in them."""

COLUMNS: Final[tuple[str, ...]] = ("space", "cells", "seed", "operations")
"""The order in which a table has the keys of a record."""


def grid_records(name: Grid) -> list[dict[str, Any]]:
    """Return one record a search: `space`, its `operations`, `cells` and `seed`."""
    from topo_sweep.spec.load import load_spec
    from topo_sweep.spec.trials import searches_among

    records = [
        {
            "space": search.space,
            "operations": list(search.protocol.operations),
            "cells": search.protocol.cells,
            "seed": search.seed,
        }
        for search in searches_among(load_spec(name).trials().values())
    ]
    return sorted(records, key=itemgetter("space", "cells", "seed"))
