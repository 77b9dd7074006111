"""The sweeps that are installed with the package, loaded with what they ask for."""

from __future__ import annotations

import importlib.resources

from tests.topo_sweep.analysis.ranking_rows import uniform
from topo_sweep.spec.load import Overrides, SweepSpec, load_spec
from topo_sweep.spec.networks import NetworkSweep, TopologySweep
from topo_sweep.spec.searches import SearchSweep

# With topologies by option where a sweep needs them.
COUNTS = {
    "classes": 79,
    "classes_small": 237,
    "demo": 180,
    "digits": 1800,
    "known_cells": 40,
    "random_cells": 20,
    "table4": 6,
    "topologies": 180,
    "unified": 20,
}
SEARCHES = {
    "ablation_deep": 10,
    "ablation_equal": 20,
    "depth": 40,
    "edarts": 10,
    "edarts_c100": 10,
    "edarts_controls": 2,
    "search_demo": 1,
    "subspaces": 160,
    "table2": 20,
}
ALONG_A_TOPOLOGY = ("ablation_equal", "edarts", "edarts_c100", "search_demo")
IMAGES = {"digits": 1437, "cifar10": 50_000, "cifar100": 50_000}
FOUND = {"edarts": uniform(17), "edarts_c100": uniform(42)}


def shipped(name: str) -> SweepSpec:
    overrides = Overrides(
        topologies="0-19" if name == "unified" else None,
        search={"topology": 17} if name in ALONG_A_TOPOLOGY else {},
    )
    return load_spec(name, overrides, best_cell=lambda sweep, _dataset: str(FOUND[sweep]))


def of_networks(name: str) -> NetworkSweep:
    spec = shipped(name)
    assert isinstance(spec, NetworkSweep)
    return spec


def of_searches(name: str) -> SearchSweep:
    spec = shipped(name)
    assert isinstance(spec, SearchSweep)
    return spec


def of_topologies(name: str) -> TopologySweep:
    spec = shipped(name)
    assert isinstance(spec, TopologySweep)
    return spec


def lines(name: str) -> list[str]:
    file = importlib.resources.files("topo_sweep.sweeps") / f"{name}.yaml"
    return file.read_text(encoding="utf-8").splitlines()


def first_lines(name: str) -> tuple[str, str]:
    """Return what a sweep says it repeats and costs."""
    repeats, cost, first, *_ = lines(name)
    assert repeats.startswith("# ")
    assert cost.startswith("# Cost: ")
    assert not first.startswith("#"), "exactly two lines"
    return repeats, cost


def training_cost(spec: SweepSpec) -> str:
    images = spec.data.train_limit or IMAGES[spec.data.dataset]
    return f" x {spec.protocol.epochs} epochs x {images:,} images"
