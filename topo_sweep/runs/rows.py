"""From how a trial ended to the row and the curve that the store keeps of it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from nas_core.errors import TopoSweepError
from nas_core.protocols.training import DataOptions
from nas_core.training.epochs import SearchEpoch
from nas_core.training.training import EpochMetrics
from topo_sweep.runs.runner import Outcome
from topo_sweep.spec.trials import SearchTrial, Trial
from topo_sweep.store.tables import SEARCH_EPOCH_SCHEMA

Row = dict[str, Any]


def trial_row(trial: Trial, outcome: Outcome, history: tuple[EpochMetrics, ...]) -> Row:
    """Return what a training's row says of itself and of its result.

    Raises:
        TopoSweepError: it ended ok without an epoch, which cannot be.

    """
    return {**_training_identity(trial), **_training_result(outcome, history)}


def search_row(trial: SearchTrial, outcome: Outcome, history: tuple[SearchEpoch, ...]) -> Row:
    """Return what a search's row says of itself and of its result.

    Raises:
        TopoSweepError: it ended ok without an epoch, which cannot be.

    """
    return {**_search_identity(trial), **_search_result(outcome, history)}


def curve(
    trial_id: str, history: tuple[EpochMetrics, ...] | tuple[SearchEpoch, ...], at: datetime
) -> list[Row]:
    """Return a row for each epoch; `at` ties them to the row that they belong to."""
    return [_epoch_row(trial_id, epoch, at) for epoch in history]


def _epoch_row(trial_id: str, epoch: EpochMetrics | SearchEpoch, at: datetime) -> Row:
    if isinstance(epoch, EpochMetrics):
        return {"trial_id": trial_id, "finished_at": at, **vars(epoch)}
    values = {**vars(epoch), "alphas": json.dumps(epoch.alphas)}
    kept = {name: values[name] for name in SEARCH_EPOCH_SCHEMA.names if name in values}
    return {"search_id": trial_id, "finished_at": at, **kept}


def _training_identity(trial: Trial) -> Row:
    topology = trial.genotype.topology
    return {
        "trial_id": trial.trial_id,
        "genotype": str(trial.genotype),
        "topology": topology.index if topology else None,
        "class_id": topology.class_id if topology else None,
        "reduction_topology": trial.genotype.reduction.topology.index,
        "search_id": trial.search_id,
        **_shared_identity(trial.seed, trial.protocol.protocol_hash, trial.data),
    }


def _search_identity(trial: SearchTrial) -> Row:
    normal, reduction = trial.protocol.topology or (None, None)
    return {
        "search_id": trial.search_id,
        "method": trial.method,
        "space": trial.space,
        "operations": ",".join(trial.protocol.operations),
        "cells": trial.protocol.cells,
        "topology": normal,
        "reduction_topology": reduction,
        "attention": trial.protocol.attention,
        **_shared_identity(trial.seed, trial.protocol.protocol_hash, trial.data),
    }


def _shared_identity(seed: int, protocol_hash: str, data: DataOptions) -> Row:
    return {
        "seed": seed,
        "protocol_hash": protocol_hash,
        "dataset": data.dataset,
        "holdout": data.holdout,
        "train_limit": data.train_limit,
    }


def _training_result(outcome: Outcome, history: tuple[EpochMetrics, ...]) -> Row:
    last = history[-1] if history else None
    return {
        **_shared_result(outcome, last),
        "test_accuracy": last.test_accuracy if last else None,
        "best_test_accuracy": max((m.test_accuracy for m in history), default=None),
        "multiply_adds": outcome.multiply_adds,
        "train_seconds": sum(m.seconds for m in history),
    }


def _search_result(outcome: Outcome, history: tuple[SearchEpoch, ...]) -> Row:
    last = history[-1] if history else None
    learnt = [epoch for epoch in history if epoch.alpha_steps]
    return {
        **_shared_result(outcome, last),
        "images": outcome.images,
        "stopped_early": outcome.stopped_because is not None if last else None,
        # A search that diverged found nothing, though its alphas may still be numbers.
        "genotype": last.genotype if last and outcome.status == "ok" else None,
        "skips_normal": last.skips_normal if last else None,
        "skips_reduction": last.skips_reduction if last else None,
        "alpha_loss": learnt[-1].alpha_loss if learnt else None,
        "alpha_accuracy": learnt[-1].alpha_accuracy if learnt else None,
        "search_seconds": sum(epoch.seconds for epoch in history),
        "weight_step_seconds": _mean_seconds(
            sum(epoch.weight_seconds for epoch in history),
            sum(epoch.weight_steps for epoch in history),
        ),
        "alpha_step_seconds": _mean_seconds(
            sum(epoch.alpha_seconds for epoch in history),
            sum(epoch.alpha_steps for epoch in history),
        ),
        "peak_memory_bytes": outcome.peak_memory_bytes,
    }


def _mean_seconds(seconds: float, steps: int) -> float | None:
    return seconds / steps if steps else None


def _shared_result(outcome: Outcome, last: EpochMetrics | SearchEpoch | None) -> Row:
    if outcome.status == "ok" and last is None:
        raise TopoSweepError("a trial ended ok without a single epoch")
    return {
        "status": outcome.status,
        "error": _explained(outcome, last),
        "epochs": last.epoch + 1 if last else 0,
        "train_loss": last.train_loss if last else None,
        "train_accuracy": last.train_accuracy if last else None,
        "val_accuracy": last.val_accuracy if last else None,
        "parameters": outcome.parameters,
        "device": outcome.device,
        "node": outcome.node,
        "execution": outcome.execution,
    }


def _explained(outcome: Outcome, last: EpochMetrics | SearchEpoch | None) -> str | None:
    if outcome.status == "diverged" and last is not None:
        return f"the loss was {last.train_loss} in epoch {last.epoch}"
    return outcome.error
