"""`topo-sweep run`: what it says, what it leaves, and what it does not do again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.topo_sweep.cli.program import RUN, Program, Unlucky
from topo_sweep import load_results


def files(folder: str = ".") -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_dry_run_says_what_would_run_and_writes_nothing(program: Program) -> None:
    text = program(*RUN, "--seeds", "0-2", "--dry-run")
    for part in (
        *("topologies 0,179, seeds 0-2", "6: 0 done, 0 failed, 6 to run", "2 a trial, 12 to train"),
        *("digits: 64 to train on of 1,437", "kB of rows", "results/demo-digits-"),
    ):
        assert part in text
    assert "by 3 steps of 1.0 s timed here now, 1 thread on the CPU" in text
    assert program.errors == ""
    assert not list(Path().iterdir())


@pytest.mark.usefixtures("results")
def test_a_dry_run_counts_what_is_done_and_estimates_from_it(program: Program) -> None:
    before = files()
    text = program(*RUN, "--seeds", "0-1", "--dry-run")
    assert "4: 2 done, 0 failed, 2 to run" in text
    assert "2 a trial, 4 to train" in text
    assert "by 2 rows of this store" in text
    assert files() == before


def test_a_dry_run_knows_packs_and_cost_and_times_nothing_if_told_so(program: Program) -> None:
    text = program(*RUN, "--pack", "2", "--cost-per-hour", "36", "--dry-run")
    assert "packs     1, each up to 2 trainings as one network" in text
    # Two epochs of two steps of 1 s each.
    assert (
        "cost      about 0.04 (0.03 to 0.05): 4 s of work, all workers together, at 36.00" in text
    )

    text = program(*RUN, "--no-measure", "--dry-run")
    assert "no estimate: the store has no trial of each kind made like this" in text


@pytest.mark.parametrize("how", [(), ("--pack", "2")])
def test_a_run_tells_what_it_cost(how: tuple[str, ...], program: Program) -> None:
    program(*RUN, *how, "--cost-per-hour", "3600000")
    (said,) = [line for line in program.errors.splitlines() if line.startswith("cost")]
    assert said.startswith("cost of this run: ")
    assert said.endswith(" of work, all workers together, at 3,600,000.00 an hour of a worker")
    seconds = load_results()["train_seconds"].sum()
    assert float(said.split(": ")[1]) == pytest.approx(1000 * seconds, abs=0.01)


def test_a_cost_below_nothing_is_refused(program: Program) -> None:
    program(*RUN, "--cost-per-hour", "-1", code=2)
    assert "--cost-per-hour" in program.errors


def test_a_run_tells_its_progress_on_stderr_and_nothing_on_stdout(program: Program) -> None:
    assert program(*RUN) == ""
    assert program.errors.startswith("data: digits, ")
    assert "2/2 done" in program.errors
    assert "done: 2 of 2 trials are kept in results/demo-digits-" in program.errors


@pytest.mark.usefixtures("results")
def test_a_second_run_does_nothing_and_writes_nothing(program: Program) -> None:
    before = files()
    assert program(*RUN) == ""
    assert program.errors.startswith("nothing to do: all 2 trials are in results/demo-digits-")
    assert files() == before


@pytest.mark.usefixtures("results")
def test_more_seeds_add_only_what_is_new(program: Program) -> None:
    rows = load_results()
    program(*RUN, "--seeds", "0-1")
    after = load_results()

    assert len(after) == 4
    assert after[after["seed"] == 0].reset_index(drop=True).equals(rows)
    ranked = json.loads(program("rank", "--min-seeds", "2", "--format", "json"))
    assert [row["n"] for row in ranked] == [2, 2]
    assert all(row["ci_low"] <= row["mean"] <= row["ci_high"] for row in ranked)


def test_a_request_above_the_limit_runs_with_yes(program: Program) -> None:
    text = program(*RUN, "--seeds", "0-5000", "--yes", "--dry-run")
    assert "10002: 0 done" in text


@pytest.mark.slow
def test_a_trial_that_raises_is_a_row_and_the_sweep_goes_on(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("topo_sweep.runs.runner.Training", Unlucky)
        program(*RUN, "--seeds", "0-2", "--retries", "0", code=1)
    assert "failed: topology 0, seed 1: RuntimeError: out of luck" in program.errors
    assert "--retry-failed" in program.errors
    assert "done: 4 of 6 trials" in program.errors
    rows = load_results()
    assert sorted(rows["status"]) == ["failed"] * 2 + ["ok"] * 4
    assert set(rows.loc[rows["status"] == "failed", "error"]) == {"RuntimeError: out of luck"}

    program(*RUN, "--seeds", "0-2", code=1)
    assert "nothing to do: 4 of 6 trials are in results/demo-digits-" in program.errors
    assert ", 2 failed\n" in program.errors
    assert "see topo-sweep status --failed results/demo-digits-" in program.errors
    assert program("status", "--failed").splitlines() == [
        f"topology {index}, seed 1, attempt 1: RuntimeError: out of luck" for index in (0, 179)
    ]
    failures = json.loads(program("status", "--failed", "--format", "json"))
    assert [failure["name"] for failure in failures] == ["topology 0", "topology 179"]
    program(*RUN, "--seeds", "0-2", "--retry-failed")
    rows = load_results()
    assert set(rows["status"]) == {"ok"}
    assert sorted(rows["attempt"]) == [1, 1, 1, 1, 2, 2]


def test_diverged_trials_are_results_and_are_shown(program: Program) -> None:
    program(*RUN, "--set", "learning_rate=1e30")
    rows = load_results()
    assert set(rows["status"]) == {"diverged"}
    assert rows["error"].str.contains("in epoch").all()
    assert "diverged" in program("rank")
    program(*RUN, "--set", "learning_rate=1e30")
    assert "nothing to do" in program.errors


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("run demo --holdout 5000", "holdout=5000 leaves nothing to train on"),
        ("run demo --train-limit 5000", "train_limit=5000 is more than the 1437 training images"),
        ("evaluate DARTS_V2 --dataset digits --protocol final", "images of 8x8"),
        ("search --topology 1 --dataset digits --holdout 1436", "2 training images or more"),
    ],
)
def test_a_dry_run_refuses_what_a_run_refuses(request_: str, said: str, program: Program) -> None:
    for how in ("--dry-run", "--executor=inline"):
        assert program(*request_.split(), how, code=2) == ""
        (line,) = program.errors.splitlines()
        assert said in line
    assert not list(Path().iterdir())


def test_a_precision_that_only_gpus_have_is_refused_on_a_cpu_before_anything_is_written(
    program: Program,
) -> None:
    program(*RUN, "--set", "precision=tf32", code=2)

    assert program.errors == (
        "topo-sweep: precision=tf32 is a GPU's, and this runs on the CPU: use precision=float32, "
        "or bfloat16\n"
    )
    assert not Path("results").exists()
