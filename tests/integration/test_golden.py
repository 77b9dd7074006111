"""Sweeps that were recorded once are made again: ids, hashes and numbers stay what they were.

`tests/golden/` holds the stores as version 0.1's first layout wrote them, one in packs as it was
written before files had digests, and what was printed of the kept studies. A number that is meant
to change needs a new recording and a line in the change log; a refactoring needs neither.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nas_core.training.pack import PackTraining
from tests.conftest import Once
from tests.program import done, program
from tests.topo_sweep.runs.pack_run import swept
from topo_sweep.spec.load import load_spec
from topo_sweep.store.manifest import STORE_VERSION, hardware, library_versions
from topo_sweep.store.opened import OpenedSweep, open_sweep
from topo_sweep.store.paths import StorePaths

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"

SMALL = (
    *("--dataset", "digits", "--train-limit", "96", "--holdout", "32", "--epochs", "3"),
    *("--set", "init_channels=2", "--set", "cells=3", "--set", "batch_size=32"),
)
REQUESTS = {
    "topologies": ("run", "topologies", "--topologies", "0,100,179", "--seeds", "0-1", *SMALL),
    "evaluate": ("evaluate", "DARTS_V2", "PC_DARTS", "--seeds", "5", *SMALL),
    "searched": ("run", str(GOLDEN / "searched.yaml")),
    "methods": ("run", str(GOLDEN / "methods.yaml")),
    "stages": ("run", str(GOLDEN / "stages.yaml")),
}
MEASURED = {
    *("train_seconds", "search_seconds", "weight_step_seconds", "alpha_step_seconds"),
    *("seconds", "peak_memory_bytes", "node", "finished_at"),
}
"""Columns that may differ between two equal runs."""

TOLERANCE = 0.15
"""Of accuracies (fractions) and losses (relative), where rounding differs: 3 epochs, 96 images."""

FORGIVING = {"test_accuracy", "val_accuracy", "train_accuracy", "best_test_accuracy"}
LOSSES = {"train_loss", "alpha_loss"}


@pytest.fixture(scope="module", params=REQUESTS)
def pair(request: pytest.FixtureRequest, once: Once) -> tuple[OpenedSweep, OpenedSweep]:
    """Return the recorded sweep and the one that the same request makes now."""
    (recorded,) = GOLDEN.glob(f"{request.param}-digits-*")
    command = (*REQUESTS[request.param], "--executor", "inline")
    folder = once(request.param, lambda folder: done(folder, *command))
    return open_sweep(recorded), open_sweep(folder / "results" / recorded.name)


def tables(sweep: OpenedSweep) -> dict[str, pd.DataFrame]:
    """Return everything that was measured, without what may differ between equal runs."""
    store = sweep.store
    frames = {
        "trials": (store.trials(), ["trial_id"]),
        "epochs": (store.epochs(), ["trial_id", "epoch"]),
        "searches": (store.searches(), ["search_id"]),
        "search_epochs": (store.search_epochs(), ["search_id", "epoch"]),
    }
    return {
        name: frame.drop(columns=list(MEASURED & set(frame))).sort_values(key, ignore_index=True)
        for name, (frame, key) in frames.items()
    }


def requested(sweep: OpenedSweep) -> dict[str, Any]:
    """Return `sweep.json` without when and where it was asked for, and without what came later.

    Requests as sweeps: settings that came later have the value that leaves all as it was.
    """
    value: dict[str, Any] = json.loads(sweep.store.paths.manifest.read_text(encoding="utf-8"))
    for name in (
        "store_version",
        "train_images",
        "test_images",
        "packs",
        "packing",
        "split_packs",
        "compiling",
        "sharing",
        "digest",
    ):
        value.pop(name, None)
    return {**value, "requests": sweep.manifest.specs()}


def same_machine(sweep: OpenedSweep) -> bool:
    """Whether sums are added in the same order here as where it was recorded."""
    recorded = sweep.manifest.requests[0]
    return (
        recorded.hardware["processor"] == hardware()["processor"]
        and recorded.libraries["torch"] == library_versions()["torch"]
    )


@pytest.mark.long
def test_folder_ids_hashes_and_what_was_asked_are_as_recorded(
    pair: tuple[OpenedSweep, OpenedSweep],
) -> None:
    recorded, now = pair
    assert requested(now) == requested(recorded)
    for name, key in (("trials", "trial_id"), ("searches", "search_id")):
        before, after = tables(recorded)[name], tables(now)[name]
        assert list(after[key]) == list(before[key])
        for column in ("protocol_hash", "fingerprint", "seed", "dataset", "status", "epochs"):
            pd.testing.assert_series_equal(after[column], before[column])


@pytest.mark.long
def test_every_number_is_bit_identical_on_the_processor_that_recorded_it(
    pair: tuple[OpenedSweep, OpenedSweep],
) -> None:
    recorded, now = pair
    if not same_machine(recorded):
        pytest.skip("another processor or PyTorch: accuracies are compared within a tolerance")
    if not tables(recorded)["searches"].empty:
        pytest.skip("searches add in another order since: they are compared within a tolerance")
    for name, before in tables(recorded).items():
        pd.testing.assert_frame_equal(tables(now)[name], before, check_exact=True, obj=name)


@pytest.mark.long
def test_accuracies_and_losses_are_near_the_recorded_ones_on_any_processor(
    pair: tuple[OpenedSweep, OpenedSweep],
) -> None:
    recorded, now = pair
    for name, before in tables(recorded).items():
        after = tables(now)[name]
        for column in FORGIVING & set(before):
            difference = (after[column] - before[column]).abs().max()
            assert not difference > TOLERANCE, (name, column)
        for column in LOSSES & set(before):
            difference = ((after[column] - before[column]) / before[column]).abs().max()
            assert not difference > TOLERANCE, (name, column)


@pytest.mark.slow
def test_packs_of_a_store_without_digests_go_on_from_their_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recorded,) = GOLDEN.glob("packed-digits-*")
    sweep = open_sweep(shutil.copytree(recorded, tmp_path / recorded.name))
    before, packs = tables(sweep), sweep.manifest.packs
    trained: list[int] = []
    run_epoch = PackTraining.run_epoch

    def watched(self: PackTraining, epoch: int) -> object:
        trained.append(epoch)
        return run_epoch(self, epoch)

    monkeypatch.setattr(PackTraining, "run_epoch", watched)
    result = swept(tmp_path, pack_size=2, sweep=load_spec(str(GOLDEN / "packed.yaml")))

    assert (result.progress.ok, trained) == (4, [1, 2])
    now = open_sweep(sweep.folder)
    assert now.manifest.packs == packs
    files = (StorePaths(folder).manifest for folder in (recorded, sweep.folder))
    versions = [json.loads(file.read_text())["store_version"] for file in files]
    assert versions == [1, STORE_VERSION]
    for name, rows in before.items():
        after = tables(now)[name]
        kept = after[after[rows.columns[0]].isin(rows.iloc[:, 0])].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, rows, check_exact=True, obj=name)


@pytest.mark.parametrize("text", sorted(GOLDEN.glob("studies/*.txt")), ids=lambda path: path.stem)
def test_a_kept_study_is_ranked_and_compared_as_before(text: Path) -> None:
    command, _, name = text.stem.partition("-")
    ended = program(ROOT, command, f"results/studies/{name.replace('.', '/')}")
    assert ended.output + ended.errors == text.read_text(encoding="utf-8")
