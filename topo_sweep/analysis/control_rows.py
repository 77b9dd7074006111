"""The trainings of found and of random cells, with what each cell was searched or drawn among."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from nas_core.cells.genotype import Genotype
from nas_core.cells.spaces import space_name
from topo_sweep.spec.networks import Population
from topo_sweep.spec.random_cells import RANDOM, wiring_words

ANY_WIRING: Final = wiring_words(None)
"""The `wiring` of cells that were not kept to one."""


def found_cells(trials: pd.DataFrame, searches: pd.DataFrame) -> pd.DataFrame:
    """Return those trainings that are of what searches found, failed ones included.

    Beside the columns of `trials` each has `search` (method, depth and attention of the search, in
    words), `space` (a space's name) and `wiring` (such as 'topology 17', 'any wiring').

    Args:
        trials: as `OpenedSweep.trials` gives them.
        searches: as `OpenedSweep.searches` gives them.

    """
    about = pd.DataFrame(
        {
            "search_id": searches["search_id"],
            "search": [search_words(search) for search in searches.to_dict("records")],
            "space": [space_name(tuple(text.split(","))) for text in searches["operations"]],
            "wiring": [_wiring(search) for search in searches.to_dict("records")],
        },
        dtype=object,
    )
    return trials[trials["search_id"].notna()].merge(about, on="search_id")


def random_cells(
    trials: pd.DataFrame, populations: Mapping[Population, Sequence[Genotype]]
) -> pd.DataFrame:
    """Return those trainings that are of random cells, failed ones too, with `space` and `wiring`.

    A cell that was drawn for several spaces has its rows once for each.

    Args:
        trials: as `OpenedSweep.trials` gives them.
        populations: as `OpenedSweep.populations` gives them.

    """
    drawn = [
        {"genotype": str(cell), "space": space_name(operations), "wiring": wiring_words(wiring)}
        for (operations, wiring), cells in populations.items()
        for cell in cells
    ]
    about = pd.DataFrame(drawn, columns=["genotype", "space", "wiring"], dtype=object)
    return trials[trials["kind"] == RANDOM].merge(about, on="genotype")


def search_words(search: Mapping[Any, Any]) -> str:
    """Return method, depth and attention of a row of searches, in words."""
    attention = "" if search["attention"] == "none" else f", attention {search['attention']}"
    return f"{search['method']}, {search['cells']} cells{attention}"


def _wiring(search: dict[Any, Any]) -> str:
    normal, reduction = search["topology"], search["reduction_topology"]
    return wiring_words(None if pd.isna(normal) else (int(normal), int(reduction)))
