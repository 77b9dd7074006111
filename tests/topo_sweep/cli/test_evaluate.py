"""`topo-sweep evaluate`: which cells are trained, and which of the store are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas_core.cells.genotype import KNOWN_CELLS, Genotype
from nas_core.data.splits import Dataset
from nas_core.protocols.training import PRESETS, DataOptions
from tests.topo_sweep.analysis.choice_rows import finished, topologies
from tests.topo_sweep.analysis.ranking_rows import row
from tests.topo_sweep.cli.program import Program
from tests.topo_sweep.conftest import FINGERPRINT, make_sweep
from tests.topo_sweep.store.store_rows import append, trial_row
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.store.opened import open_sweep

EVALUATE = ("evaluate", "--protocol", "demo", "--dataset", "digits")


def store_results(results: Path) -> None:
    """Make up accuracies of three cells with two seeds each, as `EVALUATE` would store them."""
    names = ("DARTS_V1", "DARTS_V2", "PDARTS")
    spec = GenotypeSweep(
        name="evaluate",
        protocol=PRESETS["demo"],
        data=DataOptions(dataset="digits"),
        genotypes=names,
        seeds=(0, 1),
    )
    accuracies = dict(zip(names, (0.7, 0.8, 0.9), strict=True))
    identity = {
        "kind": spec.kind,
        "dataset": "digits",
        "protocol_hash": spec.protocol.protocol_hash,
        "fingerprint": FINGERPRINT,
    }
    rows = [
        row(KNOWN_CELLS[name], trial.seed, accuracy + trial.seed / 50)
        | identity
        | {"trial_id": trial.trial_id}
        for name, accuracy in accuracies.items()
        for trial in spec.trials().values()
        if trial.genotype == KNOWN_CELLS[name]
    ]
    append(make_sweep(results, spec), [trial_row(**values) for values in rows])


def test_cells_in_any_form_are_each_trained_once_a_seed(program: Program, tmp_path: Path) -> None:
    pdarts = KNOWN_CELLS["PDARTS"]
    (tmp_path / "own.json").write_text(pdarts.to_json(), encoding="utf-8")

    text = program(
        *EVALUATE,
        "DARTS_V2",
        "own.json",
        str(pdarts),
        "--seeds",
        "0-2",
        "--epochs",
        "3",
        "--dry-run",
    )

    assert "2 genotypes, seeds 0-2" in text
    assert "6: 0 done, 0 failed, 6 to run" in text
    assert "3 a trial, 18 to train" in text
    assert program.errors == ""
    assert not Path("results").exists()


@pytest.mark.slow
def test_a_sweep_s_cell_is_trained_beside_it_and_any_other_in_results(
    program: Program, tmp_path: Path
) -> None:
    topologies(tmp_path / "there", {17: [0.9], 3: [0.5]})
    store_results(tmp_path / "results")

    for cells, folder in (
        (["there"], "there"),
        (["PDARTS", "there", "results"], "there"),
        (["results"], "results"),
        (["DARTS_V2"], "results"),
        (["there", "--results", "elsewhere"], "elsewhere"),
    ):
        assert f" {folder}/evaluate-digits-" in program(*EVALUATE, *cells, "--dry-run")


def test_what_is_asked_for_is_ranked_with_all_its_seeds_and_nothing_else(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dataset, "fingerprint", FINGERPRINT)  # as of what is made up
    store_results(tmp_path / "results")
    asked = ("DARTS_V1", "DARTS_V2")

    records = json.loads(program(*EVALUATE, *asked, "--format", "json"))

    assert program.errors.startswith("nothing to do: all 2 trials are in results/evaluate-digits-")
    assert [record["genotype"] for record in records] == [
        str(KNOWN_CELLS[name]) for name in reversed(asked)
    ]
    assert [record["n"] for record in records] == [2, 2], "also seed 1, which was asked for before"
    table = program(*EVALUATE, *asked).splitlines()
    assert [line.split()[:2] for line in table[1:]] == [
        ["rank", "genotype"],
        ["1", "DARTS_V2"],
        ["2", "DARTS_V1"],
    ]
    assert len(open_sweep(tmp_path / "results").trials()) == 6


def test_the_best_cell_of_a_sweep_is_called_chosen_beside_its_accuracy(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dataset, "fingerprint", FINGERPRINT)  # as of what is made up
    store_results(tmp_path / "results")
    cells = GenotypeSweep(name="cells", protocol=PRESETS["demo"], genotypes=("DARTS_V1", "PDARTS"))
    accuracies: dict[int | Genotype, list[float]] = {
        KNOWN_CELLS["DARTS_V1"]: [0.6],
        KNOWN_CELLS["PDARTS"]: [0.7],
    }
    folder = finished(tmp_path / "cells", cells, {**accuracies}).folder

    text = program(*EVALUATE, str(folder), "--results", "results")

    assert text.splitlines()[-1] == (
        "Chosen on the test images, so optimistic on them: the best of 2 networks of "
        f"{folder.name} by last-epoch test accuracy (optimistic)."
    )
    assert "Chosen" not in program(*EVALUATE, "PDARTS")


def test_the_networks_of_known_cells_are_trained_by_their_preset(program: Program) -> None:
    digits = ("--dataset", "digits", "--set", "auxiliary=false", "--dry-run")
    text = program("evaluate", "PDARTS", "--protocol", "final_36", *digits)

    protocol = PRESETS["final_36"].with_values({"auxiliary": False})
    assert protocol.protocol_hash[:8] in text
