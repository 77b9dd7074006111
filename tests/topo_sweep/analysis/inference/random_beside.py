"""A sweep of two made-up searches along a topology, with three random cells beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from tests.topo_sweep.conftest import make_sweep
from tests.topo_sweep.runs.search_run import FOUND, OPERATIONS, OTHER, search_spec, stored_search
from tests.topo_sweep.store.store_rows import trial_row
from topo_sweep.spec.trials import Trial, evaluation_id
from topo_sweep.store.tables import SEARCHES

FOUND_ACCURACIES, RANDOM_ACCURACIES = (0.8, 0.7), (0.9, 0.5, 0.6)
"""The best of all is a random cell: what is called found must never be it."""


def searched_with_random_cells(
    results: Path,
    *,
    random_status: str = "ok",
    random_accuracies: Sequence[float] = RANDOM_ACCURACIES,
    measured: Sequence[Sequence[float]] = (),
) -> Path:
    """Make the sweep, each cell trained once; return its folder.

    `measured` is what each search network gives of the random cells, if any.
    """
    spec = search_spec(
        search=search_spec().search | {"topology": 17},
        seeds=(0, 1),
        evaluation_seeds=(0,),
        random_cells=len(random_accuracies),
    )
    store = make_sweep(results, spec)
    drawn = [trial for trial in spec.trials().values() if isinstance(trial, Trial)]
    texts = [
        json.dumps([[str(trial.genotype), each] for trial, each in zip(drawn, row, strict=True)])
        for row in measured
    ]
    searches = [
        stored_search(
            search.search_id,
            seed=search.seed,
            operations=",".join(OPERATIONS),
            topology=17,
            reduction_topology=17,
            protocol_hash=search.protocol.protocol_hash,
            one_hot=text,
            genotype=str(cell),
        )
        for search, cell, text in zip_longest(spec.searches(), (FOUND, OTHER), texts)
    ]
    store.append(searches, [], table=SEARCHES)
    protocol = spec.protocol.protocol_hash
    found = [
        trial_row(
            evaluation_id(search["search_id"], spec.protocol, 0),
            kind="search",
            genotype=search["genotype"],
            search_id=search["search_id"],
            protocol_hash=protocol,
            train_limit=64,
            test_accuracy=accuracy,
        )
        for search, accuracy in zip(searches, FOUND_ACCURACIES, strict=True)
    ]
    random = [
        trial_row(
            trial.trial_id,
            kind="random",
            genotype=str(trial.genotype),
            search_id=None,
            topology=None,
            class_id=None,
            status=random_status,
            protocol_hash=protocol,
            train_limit=64,
            test_accuracy=accuracy,
        )
        for trial, accuracy in zip(drawn, random_accuracies, strict=True)
    ]
    store.append([*found, *random], [])
    return store.paths.folder
