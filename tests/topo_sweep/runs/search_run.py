"""A sweep of small searches, what searches report, their rows, and a recorder at work on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas_core.cells.discretisation import EdgeWeights
from nas_core.protocols.training import PRESETS, DataOptions
from nas_core.training.epochs import SearchEpoch
from tests.topo_sweep.analysis.ranking_rows import uniform
from tests.topo_sweep.conftest import FINGERPRINT, make_sweep
from tests.topo_sweep.runs.recorder_run import Recording
from tests.topo_sweep.store.store_rows import T0
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.packing.packs import Pack
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Outcome, Report
from topo_sweep.spec.searches import SearchSweep
from topo_sweep.spec.trials import Runnable, SearchTrial
from topo_sweep.store.parquet import Row

FOUND = uniform(17, reduction=3)
"""A cell that a search may have found."""

OTHER = uniform(42, reduction=5)
_SMALL = {"init_channels": 2, "epochs": 1, "batch_size": 16}
OPERATIONS = ("none", "skip_connect", "sep_conv_3x3")


def search_spec(**values: Any) -> SearchSweep:
    """Return a search with two evaluations, seconds of work; `values` replace some of it."""
    defaults: dict[str, Any] = {
        "name": "searches",
        "protocol": PRESETS["demo"].with_values(_SMALL | {"cells": 3}),
        "data": DataOptions(dataset="digits", train_limit=64),
        "methods": ("search_subset_sparse",),
        "spaces": (OPERATIONS,),
        "cells": (3,),
        "search": _SMALL | {"images": 32, "crop_padding": 0, "flip": False},
        "seeds": (0,),
        "evaluation_seeds": (0, 1),
    }
    return SearchSweep(**(defaults | values))


def search_of(spec: SearchSweep) -> SearchTrial:
    """Return the first search of a sweep."""
    first = next(iter(spec.trials().values()))
    assert isinstance(first, SearchTrial)
    return first


def search_epoch(epoch: int, **values: Any) -> SearchEpoch:
    """Return what an epoch of a good search gave; `values` replace some of it."""
    edge = EdgeWeights(0, 2, {"none": 0.25, "sep_conv_3x3": 0.75}).to_json_value()
    defaults: dict[str, Any] = {
        "stage": 0,
        "learning_rate": 0.025,
        "train_loss": 1.0 / (epoch + 1),
        "train_accuracy": 0.5,
        "alpha_loss": 2.0 / (epoch + 1),
        "alpha_accuracy": 0.375,
        "val_accuracy": None,
        "genotype": str(FOUND),
        "skips_normal": 1,
        "skips_reduction": 2,
        "alphas": {"normal": [edge], "reduction": [edge]},
        "weight_steps": 4,
        "alpha_steps": 1,
        "weight_seconds": 2.0,
        "alpha_seconds": 0.5,
        "seconds": 3.0,
    }
    return SearchEpoch(epoch=epoch, **(defaults | values))


def search_ended(
    status: str, *epochs: SearchEpoch, error: str | None = None, **facts: Any
) -> list[Report]:
    """Return what a search reports that ends like this; `facts` replace some of it."""
    known = {"parameters": 4321, "images": 32, "peak_memory_bytes": 10**9}
    outcome = Outcome(
        status=status,
        error=error,
        facts=known | {"stopped_because": None} | facts,
        device="cpu",
        node="node",
        execution='{"threads": 1}',
    )
    return [*epochs, outcome]


def stored_search(search_id: str = "search", **values: Any) -> dict[str, Any]:
    """Return a whole row of a made-up search; `values` replace some columns."""
    return {
        "search_id": search_id,
        "sweep": "searches",
        "method": "search_subset_sparse",
        "space": "SS1",
        "operations": ",".join(OPERATIONS),
        "cells": 3,
        "topology": None,
        "reduction_topology": None,
        "attention": "none",
        "seed": 0,
        "protocol_hash": "0123456789abcdef",
        "dataset": "digits",
        "holdout": 0,
        "train_limit": 64,
        "fingerprint": FINGERPRINT,
        "images": 32,
        "status": "ok",
        "error": None,
        "attempt": 1,
        "epochs": 2,
        "stopped_early": False,
        "genotype": str(FOUND),
        "skips_normal": 1,
        "skips_reduction": 2,
        "train_loss": 0.5,
        "train_accuracy": 0.75,
        "alpha_loss": 0.625,
        "alpha_accuracy": 0.5,
        "val_accuracy": 0.375,
        "parameters": 4321,
        "search_seconds": 6.0,
        "weight_step_seconds": 0.5,
        "alpha_step_seconds": 0.25,
        "peak_memory_bytes": 10**9,
        "one_hot": None,
        "device": "cpu",
        "node": "node",
        "execution": "{}",
        "finished_at": T0,
    } | values


def search_curve_of(row: Row) -> list[dict[str, Any]]:
    """Return an epoch row for each epoch of this search; all carry its loss and genotype."""
    return [
        {
            "search_id": row["search_id"],
            "epoch": epoch,
            "stage": 0,
            "learning_rate": 0.025,
            "train_loss": row["train_loss"],
            "train_accuracy": row["train_accuracy"],
            "alpha_loss": row["alpha_loss"],
            "alpha_accuracy": row["alpha_accuracy"],
            "val_accuracy": row["val_accuracy"],
            "genotype": row["genotype"],
            "skips_normal": row["skips_normal"],
            "skips_reduction": row["skips_reduction"],
            "alphas": "{}",
            "seconds": 3.0,
            "finished_at": row["finished_at"],
        }
        for epoch in range(row["epochs"])
    ]


class SearchRun(Recording):
    """A recorder at work on a sweep of searches, with its agenda, and what it left behind."""

    def __init__(self, results: Path, spec: SearchSweep, *, retry_failed: bool = False) -> None:
        self.store = make_sweep(results, spec)
        self.plan = make_plan(spec, results, retry_failed=retry_failed)
        self.ids = list(spec.trials())
        self.progress = Progress.of(self.plan, images=64)
        self.agenda = Agenda(self.plan.left, self.plan.cells_found)
        self.recorder = Recorder(self.plan, self.agenda, self.progress, fingerprint=FINGERPRINT)
        self._handed_out: dict[str, Runnable] = {}

    def next_id(self) -> str | None:
        """Take what can start now, as an executor does."""
        trial = self.agenda.next()
        if trial is None:
            return None
        assert not isinstance(trial, Pack)
        self._handed_out[trial.trial_id] = trial
        return trial.trial_id

    def trial(self, trial_id: str) -> Runnable:
        """Return what the agenda handed out under this id, and hands out until it comes."""
        while trial_id not in self._handed_out:
            assert self.next_id() is not None
        return self._handed_out[trial_id]
