"""A sweep of searches: equal rows on Ray and in one process, whatever ends the run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from nas_core.cells.genotype import Genotype
from nas_core.training.epochs import EpochMetrics, SearchEpoch
from tests.conftest import Run, Start, comparable
from tests.integration.program import (
    comparable_alphas,
    comparable_searches,
    done,
    png_size,
    the_sweep,
)
from tests.integration.test_crash import children
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.plan import make_plan
from topo_sweep.runs.recorder import Recorder
from topo_sweep.runs.runner import Report
from topo_sweep.runs.sweep import run as run_sweep
from topo_sweep.spec.load import Overrides, load_spec
from topo_sweep.spec.trials import Runnable
from topo_sweep.store.opened import open_sweep

SPEC = """
name: small
kind: search
methods: [search_subspace]
spaces: [SS3, SS4]
cells: [5]
search: {init_channels: 2, epochs: 3, images: 32, batch_size: 32, alpha_order: 1}
seeds: 20-21
protocol: {preset: demo, cells: 2, init_channels: 2, epochs: 1}
evaluation_seeds: 0-1
data: {dataset: digits, train_limit: 64}
"""
SEARCHES, EVALUATIONS = 4, 8
SWEEP = ("run", "./small.yaml")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of an undisturbed run in one process, and what it said."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "small.yaml").write_text(SPEC, encoding="utf-8")
    ended = done(folder, *SWEEP, "--executor", "inline")
    assert ended.output == ""
    assert "done: 12 of 12 trials are kept in results/small-digits-" in ended.errors
    return folder / "results"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder in which `run` and `start` run the program, with the sweep in it."""
    (tmp_path / "small.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path


def stored_searches(results: Path) -> int:
    """Count searches as they lie in the files, repeated ones too."""
    parts = results.glob("*/searches/part-*.parquet")
    return sum(pq.read_metadata(part).num_rows for part in parts)


def stored_evaluations(results: Path) -> int:
    """Count evaluations as they lie in the files, repeated ones too."""
    parts = results.glob("*/trials/part-*.parquet")
    return sum(pq.read_metadata(part).num_rows for part in parts)


def wait_for_a_search(results: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a search is on disk; another one has then hardly begun."""
    deadline = time.monotonic() + 120
    while not stored_searches(results):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no search came"
        time.sleep(0.02)


def kill_all(pids: set[int]) -> None:
    """Kill a driver and its workers at once, as a machine does that loses power."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def assert_same_rows(results: Path, whole: Path, seeds: tuple[int, ...] = (20, 21)) -> None:
    """Expect the rows and alphas of the undisturbed run's searches, none lost, none twice."""
    searches = open_sweep(whole).searches()
    asked = searches.loc[searches["seed"].isin(seeds), "search_id"]
    for frame in (comparable_searches, comparable_alphas, comparable):
        expected = frame(whole)
        expected = expected[expected["search_id"].isin(asked)].reset_index(drop=True)
        pd.testing.assert_frame_equal(frame(results), expected, check_exact=True)
    assert stored_searches(results) == len(asked)
    assert stored_evaluations(results) == 2 * len(asked)


def test_every_search_is_evaluated_with_every_seed_and_linked_by_its_id(whole: Path) -> None:
    sweep = the_sweep(whole, "small")
    searches, evaluations = sweep.searches(), sweep.trials()

    assert sorted(zip(searches["space"], searches["seed"], strict=True)) == [
        *(("SS3", 20), ("SS3", 21), ("SS4", 20), ("SS4", 21)),
    ]
    for search in searches.to_dict("records"):
        own = evaluations[evaluations["search_id"] == search["search_id"]]
        assert sorted(own["seed"]) == [0, 1]
        assert set(own["genotype"]) == {search["genotype"]}
    assert len(evaluations) == EVALUATIONS


def test_what_a_search_found_is_what_its_last_epoch_says(whole: Path) -> None:
    sweep = the_sweep(whole, "small")
    epochs = sweep.search_epochs()
    for search in sweep.searches().to_dict("records"):
        own = epochs[epochs["search_id"] == search["search_id"]].set_index("epoch")
        assert list(own.index) == [0, 1, 2]
        assert own["genotype"][2] == search["genotype"]
        cells = Genotype.from_string(search["genotype"])
        assert search["skips_normal"] == str(cells.normal).count("skip_connect")
        assert search["skips_reduction"] == str(cells.reduction).count("skip_connect")
        assert own["alphas"].nunique() == 3, "alphas move in every epoch"


def test_status_counts_searches_and_evaluations(whole: Path) -> None:
    record = json.loads(done(whole.parent, "status", "--format", "json").output)
    counts = {"planned": 12, "ok": 12, "diverged": 0, "failed": 0, "left": 0, "running": 0}
    assert {key: record[key] for key in counts} == counts
    assert record["sweep"] == "small"


def test_a_second_run_searches_nothing_and_writes_no_parquet(whole: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in whole.rglob("*.parquet")}
    ended = done(whole.parent, *SWEEP, "--executor", "inline")
    assert ended.errors.startswith("nothing to do: all 12 trials are in results/small-digits-")
    assert before
    assert {p: p.stat().st_mtime_ns for p in whole.rglob("*.parquet")} == before


def test_compare_and_plot_read_the_sweep(whole: Path, tmp_path: Path) -> None:
    compared = done(whole.parent, "compare", "results", "--table", "fig2")
    assert "UNDECIDED: SS3 (all separable) is best on average, SS4" in compared.output
    for picture in ("subspaces", "depth", "surface"):
        option = ("--space", "SS3") if picture == "depth" else ()
        file = tmp_path / f"{picture}.png"
        done(whole.parent, "plot", picture, "results", *option, "-o", str(file))
        assert min(png_size(file)) > 300


@pytest.mark.slow
def test_ray_and_one_process_find_and_evaluate_the_same_cells(
    run: Run, here: Path, whole: Path
) -> None:
    ray = run(*SWEEP)
    assert ray.returncode == 0, ray.stderr
    assert ray.stdout == ""
    assert_same_rows(here / "results", whole)


@pytest.mark.slow
def test_a_machine_that_dies_amid_searches_loses_and_repeats_nothing(
    start: Start, here: Path, whole: Path
) -> None:
    process = start(*SWEEP)
    wait_for_a_search(here / "results", process)
    kill_all({process.pid} | children(process.pid))
    process.communicate()
    kept = comparable_searches(here / "results")
    assert 1 <= len(kept) < SEARCHES, "the searches were over before the end came"

    done(here, *SWEEP, "--executor", "inline")

    assert_same_rows(here / "results", whole)
    rows = comparable_searches(here / "results")
    still = rows[rows["search_id"].isin(kept["search_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(still, kept, check_exact=True)


@pytest.mark.slow
def test_ctrl_c_amid_searches_keeps_what_ended_and_says_how_to_go_on(
    start: Start, here: Path, whole: Path
) -> None:
    process = start(*SWEEP, "--executor", "inline")
    wait_for_a_search(here / "results", process)
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)

    assert (process.returncode, output) == (130, ""), errors
    kept = stored_searches(here / "results") + stored_evaluations(here / "results")
    assert f"stopped: {kept} of 12 trials are kept in results/small-digits-" in errors
    assert kept < SEARCHES + EVALUATIONS
    command = errors.splitlines()[-1].split()
    assert command == ["topo-sweep", *SWEEP, "--executor", "inline"]
    done(here, *command[1:])
    assert_same_rows(here / "results", whole)


@pytest.mark.parametrize("after", [1, 3])
def test_a_search_stopped_after_any_epoch_goes_on_to_the_same_row(
    after: int, here: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    spec = load_spec("./small.yaml", Overrides(seeds="20"))
    options = Execution(executor="inline", gpus=0, checkpoint_seconds=0)
    take_first, seen = Recorder.take, [0]

    def take(self: Recorder, trial: Runnable, report: Report) -> bool:
        ended = take_first(self, trial, report)
        if isinstance(report, EpochMetrics | SearchEpoch):
            seen[0] += 1
            if seen[0] == after:
                raise KeyboardInterrupt
        return ended

    monkeypatch.setattr(Recorder, "take", take)
    assert run_sweep(make_plan(spec, Path("results")), options, print).interrupted
    assert not run_sweep(make_plan(spec, Path("results")), options, print).interrupted

    assert seen == [2 * 3 + 4], "each epoch is run once"
    assert_same_rows(here / "results", whole, seeds=(20,))
    assert not list(here.glob("results/*/checkpoints/*")), "finished searches keep no checkpoint"
