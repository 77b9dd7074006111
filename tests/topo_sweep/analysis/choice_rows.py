"""Sweeps with made-up accuracies, for the tests of what is chosen from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from nas_core.cells.genotype import Genotype
from nas_core.protocols.training import DataOptions
from tests.topo_sweep.analysis.ranking_rows import row, uniform
from tests.topo_sweep.conftest import FINGERPRINT, make_sweep, small_spec
from tests.topo_sweep.runs.search_run import search_spec, stored_search
from tests.topo_sweep.store.store_rows import T0, trial_row
from topo_sweep.spec.networks import GenotypeSweep, TopologySweep
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.spec.trials import Trial
from topo_sweep.store.opened import OpenedSweep, open_sweep
from topo_sweep.store.tables import SEARCHES

HOLDOUT = DataOptions(dataset="digits", holdout=100)


def finished(
    results: Path,
    spec: TopologySweep | GenotypeSweep,
    networks: Mapping[int | Genotype, Sequence[float]],
    *,
    diverged: Collection[tuple[int | Genotype, int]] = (),
    minute: int = 0,
    **values: Any,
) -> OpenedSweep:
    """Return a sweep whose networks have these accuracies, one for each seed from 0.

    `diverged` names trials by network and seed. With a hold-out accuracies are validation
    accuracies, and test accuracies then order the networks the other way round.
    """
    held_out = spec.data.holdout
    trials = [
        trial_row(
            **row(network, seed, 1 - value if held_out else value)
            | {
                "trial_id": Trial(_cell(network), spec.protocol, spec.data, seed).trial_id,
                "kind": spec.kind,
                "dataset": spec.data.dataset,
                "holdout": held_out,
                "protocol_hash": spec.protocol.protocol_hash,
                "val_accuracy": value if held_out else None,
                "fingerprint": FINGERPRINT,
                "finished_at": T0 + timedelta(minutes=minute),
                "status": "diverged" if (network, seed) in diverged else "ok",
            }
            | values
        )
        for network, accuracies in networks.items()
        for seed, value in enumerate(accuracies)
    ]
    store = make_sweep(results, spec)
    store.append(trials, [])
    return open_sweep(store.paths.folder)


def _cell(network: int | Genotype) -> Genotype:
    return uniform(network) if isinstance(network, int) else network


def topologies(
    results: Path, accuracies: Mapping[int, Sequence[float]], **values: Any
) -> OpenedSweep:
    """Return a sweep of topologies with these accuracies, by index."""
    networks: dict[int | Genotype, Sequence[float]] = dict(accuracies.items())
    return finished(results, small_spec(**values), networks)


def searched(
    results: Path,
    cells: Sequence[tuple[Genotype, Sequence[float]]],
    *,
    diverged: Collection[tuple[Genotype, int]] = (),
    minute: int = 0,
    **values: Any,
) -> OpenedSweep:
    """Return a sweep of searches that found these cells, with their test accuracies."""
    spec: SearchSweep = search_spec(**values)
    at = T0 + timedelta(minutes=minute)
    store = make_sweep(results, spec)
    searches = [
        stored_search(f"search {number}", genotype=str(genotype), seed=number, finished_at=at)
        for number, (genotype, _) in enumerate(cells)
    ]
    trials = [
        trial_row(
            f"search {number} {seed}",
            kind="search",
            genotype=str(genotype),
            seed=seed,
            test_accuracy=value,
            train_limit=64,
            protocol_hash=spec.protocol.protocol_hash,
            search_id=f"search {number}",
            finished_at=at,
            status="diverged" if (genotype, seed) in diverged else "ok",
        )
        for number, (genotype, accuracies) in enumerate(cells)
        for seed, value in enumerate(accuracies)
    ]
    store.append(searches, [], table=SEARCHES)
    store.append(trials, [])
    return open_sweep(store.paths.folder)
