"""The science of topo-sweep: topologies, genotypes, networks, data and training.

Not here: Ray, click, pandas. Public names are imported when they are first used, so that
`import nas_core`, and a name that needs no torch, loads none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas_core.lazy import lazy_names

if TYPE_CHECKING:
    from nas_core.cells.genotype import KNOWN_CELLS, CellEdges, Edge, Genotype
    from nas_core.cells.topology import Topology, enumerate_topologies, isomorphism_classes
    from nas_core.data.splits import load_dataset
    from nas_core.networks.alphas import Alphas
    from nas_core.networks.evaluation import EvalNetwork
    from nas_core.networks.operations import OPS
    from nas_core.networks.packed import PackedNetwork
    from nas_core.networks.supernet import PackedSearchNetwork, SearchNetwork
    from nas_core.protocols.search import SearchProtocol
    from nas_core.protocols.training import Protocol
    from nas_core.training.search import Search
    from nas_core.training.training import Training

__all__ = [
    "KNOWN_CELLS",
    "OPS",
    "Alphas",
    "CellEdges",
    "Edge",
    "EvalNetwork",
    "Genotype",
    "PackedNetwork",
    "PackedSearchNetwork",
    "Protocol",
    "Search",
    "SearchNetwork",
    "SearchProtocol",
    "Topology",
    "Training",
    "enumerate_topologies",
    "isomorphism_classes",
    "load_dataset",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "cells.genotype": ("KNOWN_CELLS", "CellEdges", "Edge", "Genotype"),
        "cells.topology": ("Topology", "enumerate_topologies", "isomorphism_classes"),
        "data.splits": ("load_dataset",),
        "networks.alphas": ("Alphas",),
        "networks.evaluation": ("EvalNetwork",),
        "networks.operations": ("OPS",),
        "networks.packed": ("PackedNetwork",),
        "networks.supernet": ("PackedSearchNetwork", "SearchNetwork"),
        "protocols.search": ("SearchProtocol",),
        "protocols.training": ("Protocol",),
        "training.search": ("Search",),
        "training.training": ("Training",),
    },
)
