"""Made-up trials for the tests of rankings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology

TYPES: dict[str, Any] = {
    "topology": "Int64", "class_id": "Int64", "reduction_topology": "Int64", "seed": "Int64",
    "holdout": "Int64", "train_limit": "Int64", "val_accuracy": float, "test_accuracy": float,
}  # fmt: skip


def uniform(
    index: int,
    *,
    reduction: int | None = 0,
    operation: str = "sep_conv_3x3",
    reduction_operation: str = "max_pool_3x3",
    nodes: int = 4,
) -> Genotype:
    """A topology with equal operations; `reduction` None wires both cells alike."""
    normal = Topology.from_index(index, nodes)
    other = normal if reduction is None else Topology.from_index(reduction, nodes)
    return Genotype(
        CellEdges.uniform(normal, operation), CellEdges.uniform(other, reduction_operation)
    )


def row(network: int | Genotype, seed: int, test: float, **values: Any) -> dict[str, Any]:
    genotype = uniform(network) if isinstance(network, int) else network
    topology = genotype.topology
    return {
        "trial_id": f"{genotype} {seed}",
        "kind": "topologies",
        "genotype": str(genotype),
        "topology": topology.index if topology else None,
        "class_id": topology.class_id if topology else None,
        "reduction_topology": genotype.reduction.topology.index,
        "seed": seed,
        "protocol_hash": "aaaa0000aaaa0000",
        "dataset": "cifar10",
        "holdout": 0,
        "train_limit": None,
        "fingerprint": "f1",
        "status": "ok",
        "error": None,
        "val_accuracy": None,
        "test_accuracy": test,
    } | values


def frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows)).astype(TYPES)


def seeds(network: int | Genotype, *accuracies: float, **values: Any) -> list[dict[str, Any]]:
    return [row(network, seed, value, **values) for seed, value in enumerate(accuracies)]
