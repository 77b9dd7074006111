"""The trainings of found and of random cells, with what each cell was searched or drawn among."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from nas_core.cells.spaces import space_name
from topo_sweep.spec.random_cells import RANDOM, wiring_words
from topo_sweep.store.opened import OpenedSweep

ANY_WIRING: Final = wiring_words(None)
"""The `wiring` of cells that were not kept to one."""


def found_cells(sweep: OpenedSweep) -> pd.DataFrame:
    """Return the trainings of what searches found, failed ones included.

    Beside the columns of `OpenedSweep.trials` each has `search` (method, depth and attention of the
    search, in words), `space` (a space's name) and `wiring` (such as 'topology 17', 'any wiring').
    """
    trials, searches = sweep.trials(random_cells=False), sweep.searches()
    about = pd.DataFrame(
        {
            "search_id": searches["search_id"],
            "search": [_search_words(search) for search in searches.to_dict("records")],
            "space": [space_name(tuple(text.split(","))) for text in searches["operations"]],
            "wiring": [_wiring(search) for search in searches.to_dict("records")],
        },
        dtype=object,
    )
    return trials[trials["search_id"].notna()].merge(about, on="search_id")


def random_cells(sweep: OpenedSweep) -> pd.DataFrame:
    """Return the trainings of random cells, failed ones included, with `space` and `wiring`.

    A cell that was drawn for several spaces has its rows once for each.
    """
    drawn = [
        {"genotype": str(cell), "space": space_name(operations), "wiring": wiring_words(wiring)}
        for (operations, wiring), cells in sweep.populations().items()
        for cell in cells
    ]
    about = pd.DataFrame(drawn, columns=["genotype", "space", "wiring"], dtype=object)
    trials = sweep.trials()
    return trials[trials["kind"] == RANDOM].merge(about, on="genotype")


def _wiring(search: dict[Any, Any]) -> str:
    normal, reduction = search["topology"], search["reduction_topology"]
    return wiring_words(None if pd.isna(normal) else (int(normal), int(reduction)))


def _search_words(search: dict[Any, Any]) -> str:
    attention = "" if search["attention"] == "none" else f", attention {search['attention']}"
    return f"{search['method']}, {search['cells']} cells{attention}"
