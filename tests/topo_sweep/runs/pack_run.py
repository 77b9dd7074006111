"""A sweep of four trainings of a fraction of a second each, run in packs, for their tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nas_core.protocols.training import PRESETS, DataOptions
from nas_core.training.pack import PackTraining
from nas_core.training.search import Search
from nas_core.training.search_pack import PackSearch
from nas_core.training.training import Training
from tests.topo_sweep.conftest import small_spec
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.sweep import RunResult, run
from topo_sweep.spec.load import SweepSpec
from topo_sweep.spec.networks import TopologySweep
from topo_sweep.store.manifest import Manifest, read_manifest
from topo_sweep.store.opened import open_sweep

Kind = type[PackTraining] | type[PackSearch] | type[Training] | type[Search]


def spec(**values: Any) -> TopologySweep:
    """Return the sweep; `values` replace some of its protocol."""
    small = {"init_channels": 2, "cells": 3, "epochs": 3, "batch_size": 8, "crop_padding": 1}
    return small_spec(
        protocol=PRESETS["demo"].with_values(small | {"precision": "float64"} | values),
        data=DataOptions(dataset="digits", train_limit=24, holdout=24),
        topologies=(0, 17, 60, 99),
        seeds=(0,),
    )


def swept(
    results: Path,
    *,
    pack_size: Any,
    retry_failed: bool = False,
    sweep: SweepSpec | None = None,
    say: Callable[[str], None] = lambda _: None,
    **more: Any,
) -> RunResult:
    """Run what is left in this process; `say` is told what a run says; `more` is of `Execution`."""
    settings = {"checkpoint_seconds": 0, "retries": 0} | more
    execution = Execution(executor="inline", pack_size=pack_size, **settings)
    return run(make_plan(sweep or spec(), results, retry_failed=retry_failed), execution, say)


def manifest_of(results: Path) -> Manifest:
    """Return `sweep.json` of the one sweep there."""
    return read_manifest(open_sweep(results).store.paths.manifest)


def curves(results: Path) -> pd.DataFrame:
    """Return all learning curves without what may differ between equal runs."""
    epochs = open_sweep(results).store.epochs().drop(columns=["seconds", "finished_at"])
    return epochs.sort_values(["trial_id", "epoch"], ignore_index=True)


def interrupt(patch: pytest.MonkeyPatch, *, after: int, kind: Kind = PackTraining) -> None:
    """Press Ctrl-C once so many epochs of a kind are over."""
    run_epoch = kind.run_epoch
    done: list[int] = []

    def interrupted(self: Any, epoch: int) -> object:
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(epoch)
        return run_epoch(self, epoch)

    patch.setattr(kind, "run_epoch", interrupted)


def limit_memory(
    patch: pytest.MonkeyPatch,
    *,
    fits: int,
    error: Exception | None = None,
    from_epoch: int = 0,
    kind: Kind = PackTraining,
) -> list[int]:
    """Let packs of more than `fits` run out of memory; return a list that grows by their sizes."""
    run_epoch = kind.run_epoch
    too_large: list[int] = []

    def limited(self: Any, epoch: int) -> object:
        if len(self.members) > fits and epoch >= from_epoch:
            too_large.append(len(self.members))
            raise error or MemoryError("no room for so many")
        return run_epoch(self, epoch)

    patch.setattr(kind, "run_epoch", limited)
    return too_large
