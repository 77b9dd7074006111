"""Made-up searches and trainings with the paper's own settings, for the comparison with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from nas_core.cells.genotype import KNOWN_CELLS, CellEdges, Genotype
from nas_core.cells.spaces import SPACES
from nas_core.cells.topology import Topology
from nas_core.protocols.search import SEARCH_PRESETS, SearchProtocol
from nas_core.protocols.training import PRESETS, Protocol
from topo_sweep.paper.compare import compare
from topo_sweep.paper.evidence import Source
from topo_sweep.paper.records import ComparedTable, Entry
from topo_sweep.paper.table_3 import SHALLOW_PARAMETERS

CELL = str(KNOWN_CELLS["DARTS_V2"])

T_975 = {1: 12.706205, 2: 4.302653}
"""97.5% quantile of Student's t by degrees of freedom, from a printed table."""

_IMAGES: dict[str, Any] = {
    "dataset": "cifar10", "holdout": 0, "train_limit": None, "fingerprint": "aaaa", "status": "ok",
}  # fmt: skip
_INTEGERS = (
    *("cells", "topology", "reduction_topology", "class_id", "seed", "holdout", "train_limit"),
    *("images", "epochs", "skips_normal", "skips_reduction", "parameters"),
)


def search(method: str, seed: int, space: str = "all", **values: Any) -> dict[str, Any]:
    """A search by a preset, with the protocol that its `space` and `values` give."""
    preset = SEARCH_PRESETS[method]
    operations = SPACES.get(space, preset.operations)
    row = _IMAGES | {
        "method": method,
        "space": space,
        "operations": ",".join(operations),
        "cells": preset.cells,
        "topology": None,
        "reduction_topology": None,
        "attention": preset.attention,
        "seed": seed,
        "protocol_hash": "",
        "images": preset.images,
        "epochs": preset.total_epochs,
        "stopped_early": False,
        "genotype": CELL,
        "skips_normal": 2,
        "skips_reduction": 3,
        "parameters": 1_930_618,
        "search_seconds": 3600.0,
        "device": "Tesla",
    }
    row |= values
    given = {"protocol_hash": search_protocol(row).protocol_hash} | values
    return row | {"search_id": f"{method} {space} {row['cells']} {seed}"} | given


def search_protocol(row: Mapping[str, Any]) -> SearchProtocol:
    """The preset with the settings that a search's row holds."""
    preset = SEARCH_PRESETS[row["method"]]
    columns = ("cells", "operations", "attention", "images")
    settings = {column: row[column] for column in columns}
    if row["topology"] is not None:
        reduction = row["reduction_topology"]
        wiring = row["topology"]
        settings["topology"] = (wiring, wiring if reduction is None else reduction)
    if not preset.stages:
        settings["epochs"] = row["epochs"]
    return preset.with_values(settings)


def training(genotype: str, seed: int, test: float, **values: Any) -> dict[str, Any]:
    """A training of a cell by the paper's shallow protocol; `test` is a fraction."""
    row = _IMAGES | {
        "kind": "genotypes",
        "genotype": genotype,
        "topology": None,
        "class_id": None,
        "reduction_topology": None,
        "seed": seed,
        "protocol_hash": PRESETS["shallow"].protocol_hash,
        "val_accuracy": None,
        "test_accuracy": test,
        "parameters": 129_706,
        "search_id": None,
    }
    row |= values
    measured = {"kind", "status", "val_accuracy", "test_accuracy", "parameters"}
    identity = [str(value) for key, value in row.items() if key not in measured]
    return {"trial_id": " ".join(identity)} | row


def evaluation(of: Mapping[str, Any], test: float, **values: Any) -> dict[str, Any]:
    """A training of what a search found."""
    defaults = {"kind": "search", "seed": 0, "test": test, "search_id": of["search_id"]}
    return training(of["genotype"], **defaults | values)


def topology(
    index: int, seed: int, test: float, *, unified: bool = False, **values: Any
) -> dict[str, Any]:
    """A training of phase 1, or of phase 2 (`unified`)."""
    normal = CellEdges.uniform(Topology.from_index(index), "sep_conv_3x3")
    fixed = CellEdges.uniform(Topology.from_index(0), "max_pool_3x3")
    genotype = Genotype(normal, normal if unified else fixed)
    reduction = index if unified else 0
    columns = {"kind": "topologies", "topology": index, "reduction_topology": reduction}
    return training(str(genotype), seed, test, **columns | values)


def known(name: str, seed: int, test: float, **values: Any) -> dict[str, Any]:
    """A training of a known cell."""
    return training(str(KNOWN_CELLS[name]), seed, test, **values)


def source(
    trials: Sequence[Mapping[str, Any]] = (),
    searches: Sequence[Mapping[str, Any]] = (),
    *,
    name: str = "sweep-cifar10-0123",
    protocols: Sequence[Protocol] = (),
    search_protocols: Sequence[SearchProtocol] = (),
    layout: str = "torchvision layout (cifar-10-batches-py)",
    origins: Sequence[str] = (),
    seeds_beforehand: Sequence[int] | None = None,
) -> Source:
    """A sweep with these rows; it knows these protocols and those that searches' columns tell."""
    of_searches = [*map(search_protocol, searches), *search_protocols]
    return Source(
        name=name,
        trials=_frame(trials, training(CELL, 0, 0.9)),
        searches=_frame(searches, search("search_subset", 0)),
        protocols={protocol.protocol_hash: protocol for protocol in protocols},
        search_protocols={protocol.protocol_hash: protocol for protocol in of_searches},
        layout=layout,
        origins=origins,
        seeds_beforehand=seeds_beforehand,
    )


def _frame(rows: Sequence[Mapping[str, Any]], example: Mapping[str, Any]) -> pd.DataFrame:
    """Rows typed as a store types them, columns also where there is no row."""
    table = pd.DataFrame([dict(row) for row in rows], columns=list(example))
    types: dict[str, Any] = {key: "Int64" for key in _INTEGERS if key in table}
    floats = ("val_accuracy", "test_accuracy", "search_seconds")
    return table.astype(types | {key: float for key in floats if key in table})


def known_cells(*, swapped: bool = False) -> list[dict[str, Any]]:
    """One training a cell and protocol, with the paper's accuracies and our counts."""
    published = {
        "DARTS_V1": (0.9014, 0.9700),
        "DARTS_V2": (0.9137, 0.9724),
        "PDARTS": (0.9276, 0.9750),
        "PC_DARTS": (0.9300, 0.9743),
    }
    if swapped:
        published["DARTS_V1"], published["PC_DARTS"] = published["PC_DARTS"], published["DARTS_V1"]
    return [
        row
        for name, (shallow, final) in published.items()
        for row in (
            known(name, 0, shallow, parameters=SHALLOW_PARAMETERS[name]),
            known(name, 0, final, protocol_hash=PRESETS["final"].protocol_hash),
        )
    ]


def only(sources: Sequence[Source], table: str) -> ComparedTable:
    (compared,) = compare(sources, table).tables
    return compared


def find(table: ComparedTable, quantity: str, row: str) -> Entry:
    """The one entry of a row, or of the only row that begins so."""
    entries = [entry for entry in table.entries if entry.quantity.startswith(quantity)]
    exact = [entry for entry in entries if entry.row == row]
    (only_one,) = exact or [entry for entry in entries if entry.row.startswith(row)]
    return only_one


def four_methods(**values: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Two searches a method and two evaluations a search; hours 36, 6, 4 and 1 and one more."""
    searches, trials = [], []
    for method, hours in {
        "search_darts_2nd": 36,
        "search_subset": 6,
        "search_sparse": 4,
        "search_subset_sparse": 1,
    }.items():
        for seed in (0, 1):
            row = search(method, seed, search_seconds=3600.0 * (hours + seed), **values)
            searches.append(row)
            trials += [evaluation(row, 0.90 + 0.02 * seed + 0.01 * k, seed=k) for k in (0, 1)]
    return trials, searches


Accuracy = Callable[[str, int, int], float]
"""Percent by space, cells of the search network and search seed."""


def searched_grid(
    accuracy: Accuracy,
    *,
    spaces: Sequence[str],
    depths: Sequence[int],
    seeds: Sequence[int],
    name: str = "sweep-cifar10-0123",
) -> Source:
    """A sweep of searches in each space at each depth, each cell evaluated once."""
    searches, trials = [], []
    for space, cells, seed in itertools.product(spaces, depths, seeds):
        row = search("search_subspace", seed, space, cells=cells)
        searches.append(row)
        trials.append(evaluation(row, accuracy(space, cells, seed) / 100))
    return source(trials, searches, name=name)
