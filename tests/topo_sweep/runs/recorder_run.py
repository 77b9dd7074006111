"""A recorder at work on a small sweep, for its tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nas_core.training.epochs import EpochMetrics
from tests.topo_sweep.conftest import FINGERPRINT, make_sweep, small_spec
from topo_sweep.runs.agenda import Agenda
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.progress import Progress
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Outcome, Report
from topo_sweep.spec.trials import Runnable
from topo_sweep.store.parquet import ResultStore, Row
from topo_sweep.store.tables import TRIALS, Table

SPEC = small_spec(topologies=(0, 17), seeds=(0, 1))
IDS = list(SPEC.trials())


def metrics(epoch: int, **values: Any) -> EpochMetrics:
    """Return what an epoch of a good training gave; `values` replace some of it."""
    defaults: dict[str, Any] = {
        "learning_rate": 0.1,
        "train_loss": 1.0 / (epoch + 1),
        "train_accuracy": 0.5,
        "val_accuracy": None,
        "test_accuracy": 0.25,
        "seconds": 2.0,
    }
    return EpochMetrics(epoch=epoch, **(defaults | values))


def ended(status: str, *epochs: EpochMetrics, error: str | None = None) -> list[Report]:
    """Return what a training reports that ends like this."""
    outcome = Outcome(
        status=status,
        error=error,
        facts={"parameters": 1234, "multiply_adds": 56789},
        device="cpu",
        node="node",
        execution='{"threads": 1}',
    )
    return [*epochs, outcome]


class Recording:
    """A recorder at work: what it is told of trials by their ids."""

    store: ResultStore
    recorder: Recorder

    def trial(self, trial_id: str) -> Runnable:
        """Return the trial of this id."""
        raise NotImplementedError

    def start(self, trial_id: str) -> None:
        """Tell the recorder that a worker has a trial."""
        self.recorder.start(self.trial(trial_id))

    def report(self, trial_id: str, *reports: Report) -> None:
        """Tell the recorder what a worker reports of a trial."""
        for report in reports:
            self.recorder.take(self.trial(trial_id), report)

    def checkpoint(self, trial_id: str) -> Path:
        """Return the file of a checkpoint, which is now there."""
        path = self.store.paths.checkpoint(trial_id)
        path.touch()
        return path


class Run(Recording):
    """A recorder at work on a sweep of four trials, and what it left behind."""

    def __init__(
        self, results: Path, *, retry_failed: bool = False, retries: int = 0, **progress: Any
    ) -> None:
        self.store = make_sweep(results, SPEC)
        self.plan = make_plan(SPEC, results, retry_failed=retry_failed)
        work = dict.fromkeys(IDS, ("trials", SPEC.protocol.epochs))
        self.progress = Progress(planned=len(IDS), work=work, **progress)
        self.agenda = Agenda(self.plan.left, self.plan.cells_found)
        self.recorder = Recorder(
            self.plan, self.agenda, self.progress, fingerprint=FINGERPRINT, retries=retries
        )

    def trial(self, trial_id: str) -> Runnable:
        return SPEC.trials()[trial_id]

    def row(self, trial_id: str) -> dict[str, Any]:
        rows = self.store.trials().set_index("trial_id", drop=False)
        return {str(key): value for key, value in rows.loc[trial_id].items()}

    def curve(self, trial_id: str) -> list[int]:
        epochs = self.store.epochs()
        return list(epochs.loc[epochs["trial_id"] == trial_id, "epoch"])


def check_every_column_is_named(
    run: Recording, trial_id: str, reports: Sequence[Report], expected: Table
) -> None:
    """Check that a row and a curve of these reports name all columns of their tables."""
    given: list[tuple[Sequence[Row], Sequence[Row], Table]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ResultStore,
            "append",
            lambda _, rows, epochs, table=TRIALS: given.append((rows, epochs, table)),
        )
        run.report(trial_id, *reports)

    ((rows, epochs, table),) = given
    assert table is expected
    assert [sorted(row) for row in rows] == [sorted(expected.schema.names)]
    assert all(set(row) == set(expected.curve_schema.names) for row in epochs)
