"""`topo-sweep merge` as its reader sees it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from nas_core.protocols.training import Protocol
from tests.program import done, files, refused
from tests.topo_sweep.conftest import small_spec
from tests.topo_sweep.store.sites import searched_differently, site, trained
from topo_sweep.store.opened import open_sweep

OUT = "results/small-digits-731dfdb2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the results of two sites: a trained seed 0, and b both, later."""
    site(tmp_path / "a", seeds=(0,))
    rows = trained(small_spec(), minute=60)
    rows[2] |= {"test_accuracy": 0.5, "train_loss": 0.25}
    site(tmp_path / "b", rows=[row for row in rows if (row["topology"], row["seed"]) != (1, 1)])
    return tmp_path


def test_conflicts_are_listed_and_the_rest_is_said(folder: Path) -> None:
    ended = done(folder, "merge", "a", "b", "-o", "results")

    header, *lines = ended.output.splitlines()
    assert header.split() == [
        *("trial", "seed", "folder", "attempt", "status", "loss", "train", "val", "test"),
    ]
    assert [line.split() for line in lines] == [
        f"topology 17 0 a/{Path(OUT).name} 1 ok 0.117 75.00% 11.70% counts".split(),
        f"topology 17 0 b/{Path(OUT).name} 2 ok 0.25 75.00% 50.00%".split(),
    ]
    assert ended.errors.splitlines() == [
        f"a/{Path(OUT).name}: 3 trials in 3 rows, 3 of them new",
        f"b/{Path(OUT).name}: 5 trials in 5 rows, 5 of them new",
        "2 trials ended more than once with equal numbers",
        f"merged: {OUT}: 6 trials planned, 5 ok, 0 diverged, 0 failed, 1 left",
    ]


def test_programs_read_conflicts_as_json_or_csv(folder: Path) -> None:
    records = json.loads(
        done(folder, "merge", "a", "b", "-o", "results", "--format", "json").output
    )
    assert [(each["name"], each["test_accuracy"], each["counts"]) for each in records] == [
        ("topology 17", 0.117, True),
        ("topology 17", 0.5, False),
    ]
    again = done(folder, "merge", "a", "b", "-o", "results", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(again.output)))
    assert [row["train_loss"] for row in rows] == ["0.117", "0.25"]
    assert again.errors.startswith(f"{OUT}: 5 trials in 8 rows before\n")
    assert "3 trials in 3 rows, 0 of them new" in again.errors


def test_the_merged_sweep_is_ranked_as_one(folder: Path) -> None:
    before = files(folder)
    merged = done(folder, "merge", "a", "--results", "results")
    assert merged.output == "no conflicts: no trial ended with different numbers\n"
    done(folder, "merge", "b", "-o", "results")

    ranked = json.loads(done(folder, "rank", "results", "--format", "json").output)

    assert {row["topology"]: row["n"] for row in ranked} == {0: 2, 1: 1, 17: 2}
    (best,) = (row for row in ranked if row["topology"] == 17)
    assert best["mean"] == pytest.approx((0.117 + 0.118) / 2)
    assert "none damaged" in done(folder, "check", "results").output
    assert before.items() <= files(folder).items()


def test_a_sweep_that_still_runs_is_merged_and_named(folder: Path) -> None:
    with open_sweep(folder / "b").store.lock():
        ended = done(folder, "merge", "a", "b", "-o", "results")
    assert f"b/{Path(OUT).name} is running: merge again when it has ended" in ended.errors


def test_trainings_of_cells_that_another_search_found_are_said(tmp_path: Path) -> None:
    searched_differently(tmp_path)

    ended = done(tmp_path, "merge", "a", "b", "-o", "results")

    assert (
        "1 training of a cell that no search that counts found: with the same seed" in ended.errors
    )
    lines = ended.output.splitlines()[1:]
    assert [line.split()[-1] == "counts" for line in lines] == [True, False]


def test_what_cannot_become_one_sweep_is_refused_in_one_line(folder: Path) -> None:
    other = site(folder / "c", rows=[], protocol=Protocol(cells=5, init_channels=4, epochs=6))
    line = refused(folder, "merge", "a", "c", "-o", "results")
    names = f"a/{Path(OUT).name} and c/{other.folder.name}"
    assert line == f"topo-sweep: {names} cannot become one sweep: they differ in epochs: 5 and 6"

    site(folder / "c", rows=[])
    assert "c holds 2 sweeps, so name one of them" in refused(folder, "merge", "c", "-o", "results")
    assert "there is no folder none" in refused(folder, "merge", "a", "none", "-o", "results")
    assert "Missing argument 'RESULTS...'" in refused(folder, "merge", "-o", "results")
    assert "Missing option '-o'" in refused(folder, "merge", "a")
