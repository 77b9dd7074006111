"""The sections of an analysis, of sweeps that stand beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nas_core.cells.genotype import KNOWN_CELLS
from nas_core.errors import InputError
from tests.topo_sweep.analysis.choice_rows import finished, topologies
from tests.topo_sweep.analysis.inference.random_beside import searched_with_random_cells
from topo_sweep.analysis.inference.sections import analyze, to_json_value, to_text
from topo_sweep.spec.adaptive import Adaptive
from topo_sweep.spec.networks import GenotypeSweep
from topo_sweep.store.opened import OpenedSweep, open_sweep
from topo_sweep.store.parquet import ResultStore

CLASSES = (0, 1, 4, 7, 11, 12, 13, 14)


@pytest.fixture
def sweep(tmp_path: Path) -> OpenedSweep:
    """Eight classes with three seeds."""
    means = np.random.default_rng(1).normal(0.6, 0.05, size=(8, 3)).round(3)
    return topologies(tmp_path, dict(zip(CLASSES, means, strict=True)))


def test_another_sweep_is_one_more_proxy(sweep: OpenedSweep) -> None:
    alone, beside = (dict(analyze(sweep, others)) for others in ((), (sweep,)))

    assert len(beside[7].tables["comparisons"]) == len(alone[7].tables["comparisons"]) + 1
    assert beside[2].sentence == alone[2].sentence


def test_a_sweep_that_does_not_fit_is_left_out_with_why_and_the_rest_is_said(
    sweep: OpenedSweep, tmp_path: Path
) -> None:
    spec = GenotypeSweep(name="cells", genotypes=("PDARTS",), seeds=(0, 1))
    cells = finished(tmp_path, spec, {KNOWN_CELLS["PDARTS"]: (0.5, 0.6)})

    alone, beside = (dict(analyze(sweep, others)) for others in ((), (cells, sweep)))

    assert beside.keys() == alone.keys()
    assert len(beside[7].tables["comparisons"]) == len(alone[7].tables["comparisons"]) + 1
    why = f"{cells.folder.name} is left out: classes pool networks whose normal operations are all"
    assert f"{alone[7].sentence} {why} equal, and 1 genotype here mix" in beside[7].sentence


def test_random_cells_of_another_sweep_stand_beside_what_was_found(tmp_path: Path) -> None:
    few, more = (
        open_sweep(searched_with_random_cells(tmp_path / str(n), random_accuracies=[0.5, 0.6] * n))
        for n in (1, 3)
    )

    alone, beside = (dict(analyze(few, others))[8].tables for others in ((), (more,)))

    assert alone["comparisons"]["random"].tolist() == [2]
    assert beside["comparisons"]["random"].tolist() == [6]


def test_of_curves_only_the_accuracy_that_counts_is_read(
    sweep: OpenedSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[set[str]] = []
    whole = ResultStore.epochs

    def noted(store: ResultStore, **options: Any) -> pd.DataFrame:
        rows = whole(store, **options)
        read.append(set(map(str, rows)))
        return rows

    monkeypatch.setattr(ResultStore, "epochs", noted)

    list(analyze(sweep))

    assert read == [{"trial_id", "epoch", "finished_at", "test_accuracy"}]


def test_the_same_store_gives_the_same_text_and_every_section_its_number(
    sweep: OpenedSweep,
) -> None:
    first, second = to_text(analyze(sweep)), to_text(analyze(sweep))

    assert first == second
    assert {each["section"] for each in to_json_value(analyze(sweep))} == set(range(1, 11))


def test_what_was_asked_for_and_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    accuracies = dict.fromkeys(CLASSES[:3], (0.5, 0.6))
    whole = topologies(tmp_path / "whole", accuracies, topologies=CLASSES[:3])
    part = topologies(tmp_path / "part", accuracies, topologies=CLASSES[:4])

    first, second = (next(analyze(sweep))[1].sentence for sweep in (whole, part))

    assert ": every seed is there. Last-epoch" in first
    assert ": each of these classes has each. Without any result: 1 class (class 3)." in second
    assert "Asked for and not run: 2 runs." in second


def test_a_metric_that_there_is_not_is_refused(sweep: OpenedSweep) -> None:
    with pytest.raises(InputError, match="no images were held out"):
        list(analyze(sweep, metric="val"))


def test_an_adaptive_sweep_is_analysed_on_the_seeds_that_were_asked_for_beforehand(
    tmp_path: Path,
) -> None:
    means = np.random.default_rng(1).normal(0.6, 0.05, size=(8, 5)).round(3)
    # The first four classes went on for two seeds more, which the race decided.
    accuracies = {
        topology: row[: 5 if number < 4 else 3]
        for number, (topology, row) in enumerate(zip(CLASSES, means, strict=True))
    }
    racing = {"seeds": (0, 1, 2), "topologies": CLASSES}
    raced = topologies(tmp_path / "raced", accuracies, adaptive=Adaptive(top=2), **racing)
    fixed = topologies(
        tmp_path / "fixed", {topology: row[:3] for topology, row in accuracies.items()}, **racing
    )

    first, plain = dict(analyze(raced)), dict(analyze(fixed))

    beside, like = (dict(analyze(fixed, [other]))[7].tables for other in (raced, fixed))
    taus = [tables["comparisons"][["n", "tau"]].iloc[-1].tolist() for tables in (beside, like)]
    assert taus == [[8, 1.0], [8, 1.0]]
    for section in range(1, 9):
        assert first[section].sentence == plain[section].sentence
    (*_, (_, race)) = analyze(raced)
    assert race.tables["classes"]["seeds"].tolist() == [5] * 4 + [3] * 4
    assert race.numbers["top"] == 2
