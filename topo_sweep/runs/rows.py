"""From how a trial ended to the row and the curve that the store keeps of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nas_core.errors import TopoSweepError
from topo_sweep.spec.trials import Runnable
from topo_sweep.store.tables import TABLES

if TYPE_CHECKING:
    from topo_sweep.runs.runner import AnyEpoch, Outcome

Row = dict[str, Any]


def row(trial: Runnable, outcome: Outcome, epochs: Sequence[AnyEpoch]) -> Row:
    """Return what a trial's row says of itself and of its result.

    Most columns are the fields of that name of the last epoch, of the outcome and of the trial. It
    holds more than the table has columns; what is too much is dropped when it is written.

    Raises:
        TopoSweepError: it ended ok without an epoch, which cannot be.

    """
    if outcome.status == "ok" and not epochs:
        raise TopoSweepError("a trial ended ok without a single epoch")
    last = epochs[-1] if epochs else None
    result = _search_result if trial.finds_cell else _training_result
    return {
        **(vars(last) if last else {}),
        **vars(outcome),
        **trial.identity(),
        "error": _explained(outcome, last),
        "epochs": last.epoch + 1 if last else 0,
        TABLES[trial.table].seconds: sum(epoch.seconds for epoch in epochs),
        **result(outcome, epochs),
        **outcome.facts,
    }


def curve(trial: Runnable, epochs: Sequence[AnyEpoch], at: datetime) -> list[Row]:
    """Return a row for each epoch; `at` ties them to the row that they belong to."""
    table = TABLES[trial.table]
    rows = []
    for epoch in epochs:
        values = {**vars(epoch), table.key: trial.trial_id, "finished_at": at}
        if "alphas" in values:
            values["alphas"] = json.dumps(values["alphas"])
        rows.append({name: values[name] for name in table.curve_schema.names})
    return rows


def _training_result(_outcome: Outcome, epochs: Sequence[Any]) -> Row:
    measured = (epoch.test_accuracy for epoch in epochs if epoch.test_accuracy is not None)
    return {"best_test_accuracy": max(measured, default=None)}


def _search_result(outcome: Outcome, epochs: Sequence[Any]) -> Row:
    learnt = [epoch for epoch in epochs if epoch.alpha_steps]
    stopped_because = outcome.facts.get("stopped_because")
    return {
        "stopped_early": stopped_because is not None if epochs else None,
        # A search that diverged found nothing, though its alphas may still be numbers.
        "genotype": epochs[-1].genotype if outcome.status == "ok" else None,
        "alpha_loss": learnt[-1].alpha_loss if learnt else None,
        "alpha_accuracy": learnt[-1].alpha_accuracy if learnt else None,
        "weight_step_seconds": _seconds_a_step("weight", epochs),
        "alpha_step_seconds": _seconds_a_step("alpha", epochs),
    }


def _seconds_a_step(kind: str, epochs: Sequence[Any]) -> float | None:
    """Return the mean of 'weight' or 'alpha' steps, None where there was none."""
    steps = sum(getattr(epoch, f"{kind}_steps") for epoch in epochs)
    return sum(getattr(epoch, f"{kind}_seconds") for epoch in epochs) / steps if steps else None


def _explained(outcome: Outcome, last: AnyEpoch | None) -> str | None:
    if outcome.status == "diverged" and last is not None:
        return f"the loss was {last.train_loss} in epoch {last.epoch}"
    return outcome.error
