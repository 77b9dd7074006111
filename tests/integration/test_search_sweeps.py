"""A sweep of searches: every search is evaluated, and every command reads what is left of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas_core.cells.genotype import Genotype
from tests.integration.small_searches import EVALUATIONS, SWEEP
from tests.program import done, png_size, the_sweep

pytestmark = pytest.mark.slow


def test_every_search_is_evaluated_with_every_seed_and_linked_by_its_id(whole: Path) -> None:
    sweep = the_sweep(whole, "small")
    searches, evaluations = sweep.searches(), sweep.trials()

    assert sorted(zip(searches["space"], searches["seed"], strict=True)) == [
        *(("SS3", 20), ("SS3", 21), ("SS4", 20), ("SS4", 21)),
    ]
    for search in searches.to_dict("records"):
        its_evaluations = evaluations[evaluations["search_id"] == search["search_id"]]
        assert sorted(its_evaluations["seed"]) == [0, 1]
        assert set(its_evaluations["genotype"]) == {search["genotype"]}
    assert len(evaluations) == EVALUATIONS


def test_what_a_search_found_is_what_its_last_epoch_says(whole: Path) -> None:
    sweep = the_sweep(whole, "small")
    epochs = sweep.search_epochs()
    for search in sweep.searches().to_dict("records"):
        its_epochs = epochs[epochs["search_id"] == search["search_id"]].set_index("epoch")
        assert list(its_epochs.index) == [0, 1]
        assert its_epochs["genotype"][1] == search["genotype"]
        cells = Genotype.from_string(search["genotype"])
        assert search["skips_normal"] == str(cells.normal).count("skip_connect")
        assert search["skips_reduction"] == str(cells.reduction).count("skip_connect")
        assert its_epochs["alphas"].nunique() == 2, "alphas move in every epoch"


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
