"""Whole sweeps of trainings in this process: measured seldom, told of from their first steps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from nas_core.protocols.training import PRESETS, DataOptions
from nas_core.training import loop
from nas_core.training.epochs import Steps
from tests.conftest import comparable
from tests.topo_sweep.conftest import small_spec
from topo_sweep.analysis.ranking import rank
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Report
from topo_sweep.runs.sweep import run
from topo_sweep.spec.networks import TopologySweep
from topo_sweep.spec.trials import Runnable
from topo_sweep.store.opened import load_results, open_sweep

ACCURACIES = ["val_accuracy", "test_accuracy"]
CURVE = ["trial_id", "epoch", "learning_rate", "train_loss", "train_accuracy"]


def spec(**values: object) -> TopologySweep:
    """Return a sweep of two trainings, a fraction of a second each."""
    small = {"init_channels": 2, "cells": 3, "epochs": 3, "batch_size": 8, "crop_padding": 1}
    return small_spec(
        protocol=PRESETS["demo"].with_values(small | values),
        data=DataOptions(dataset="digits", train_limit=40, holdout=1300),
        topologies=(0, 17),
        seeds=(0,),
    )


def swept(results: Path, *, test_every: int = 1, **values: object) -> Path:
    """Run the sweep to its end; return its results."""
    execution = Execution(executor="inline", test_every=test_every)
    assert not run(make_plan(spec(**values), results), execution).errors
    return results


@pytest.fixture(scope="module")
def always(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run that measured every epoch; only to be looked at."""
    return swept(tmp_path_factory.mktemp("always"))


def curves(results: Path) -> pd.DataFrame:
    epochs = open_sweep(results).store.epochs()
    return epochs.sort_values(["trial_id", "epoch"], ignore_index=True)


@pytest.mark.slow
def test_rows_are_the_same_however_often_accuracies_are_measured(
    always: Path, tmp_path: Path
) -> None:
    seldom = swept(tmp_path, test_every=2)

    pd.testing.assert_frame_equal(
        comparable(seldom).drop(columns="best_test_accuracy"),
        comparable(always).drop(columns="best_test_accuracy"),
        check_exact=True,
    )
    one, other = curves(always), curves(seldom)
    pd.testing.assert_frame_equal(one[CURVE], other[CURVE], check_exact=True)
    measured = other["epoch"] >= 1  # every second of three epochs, and the last
    assert other.loc[~measured, ACCURACIES].isna().all(axis=None)
    pd.testing.assert_frame_equal(one[measured][ACCURACIES], other[measured][ACCURACIES])
    best = curves(seldom).groupby("trial_id")["test_accuracy"].max()
    rows = load_results(seldom).set_index("trial_id")
    assert dict(rows["best_test_accuracy"]) == dict(best)


@pytest.mark.slow
def test_what_is_done_is_done_however_often_it_was_measured(always: Path) -> None:
    before = load_results(always)
    assert make_plan(spec(), always).left == {}
    swept(always, test_every=3)
    pd.testing.assert_frame_equal(load_results(always), before)


@pytest.mark.slow
def test_diverged_trainings_rank_the_same_however_often_they_were_measured(
    tmp_path: Path,
) -> None:
    one, other = (
        load_results(swept(tmp_path / str(n), test_every=n, learning_rate=1e30)) for n in (1, 3)
    )

    assert set(one["status"]) == {"diverged"}
    assert one["test_accuracy"].notna().all()
    pd.testing.assert_frame_equal(rank(one).table, rank(other).table)


@pytest.mark.slow
def test_the_first_steps_of_a_run_tell_how_long_it_takes_and_change_no_row(
    always: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    take = Recorder.take

    def watched(self: Recorder, trial: Runnable, report: Report) -> bool:
        ended = take(self, trial, report)
        if isinstance(report, Steps):
            lines.append(self._progress.line())
        return ended

    monkeypatch.setattr(Recorder, "take", watched)
    monkeypatch.setattr(loop, "STEPS_SECONDS", 0.0)

    told = swept(tmp_path)

    assert len(lines) == 2, "each trial tells once"
    assert lines[0].startswith("0/2 done · 1 running · about ")
    assert lines[0].endswith(") left, from the first steps")
    assert "from the first steps" not in lines[1], "by then epochs have ended"
    pd.testing.assert_frame_equal(comparable(told), comparable(always), check_exact=True)
    columns = [*CURVE, *ACCURACIES]
    pd.testing.assert_frame_equal(curves(told)[columns], curves(always)[columns], check_exact=True)
