"""Accuracies of packs beside those of trainings alone, at a tiny size."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from nas_core.errors import TopoSweepError
from nas_core.protocols.training import DataOptions, Protocol
from nas_core.training.epochs import EpochMetrics
from tests.benchmarks.conftest import RunScript, Script
from topo_sweep.bench.record import figures_of


def epoch(number: int, test_accuracy: float | None, loss: float = 1.0) -> EpochMetrics:
    return EpochMetrics(
        epoch=number,
        learning_rate=0.1,
        train_loss=loss,
        train_accuracy=0.5,
        val_accuracy=None,
        test_accuracy=test_accuracy,
        seconds=1.0,
    )


@pytest.fixture
def precision(script: Script, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the script with trainings that take no time."""
    module = script("precision")
    tiny = Protocol(cells=1, init_channels=2, epochs=1, batch_size=8)
    data = DataOptions(dataset="digits", train_limit=16)
    monkeypatch.setitem(module.WORK, "digits", (tiny, data))
    return module


def test_a_training_counts_at_its_last_measured_accuracy_and_one_without_any_is_refused(
    precision: Any,
) -> None:
    unmeasured = [epoch(0, 0.25), epoch(1, None, math.inf)]
    row = precision.row(3, unmeasured, 2.0)
    assert row == {"seed": 3, "test_accuracy": 0.25, "diverged": True, "seconds": 2.0}
    assert not precision.row(3, [epoch(0, 0.0)], 2.0)["diverged"]

    with pytest.raises(TopoSweepError, match="seed 3 ended without a test accuracy"):
        precision.row(3, [epoch(0, None)], 2.0)


def test_a_member_that_diverged_is_read_where_it_ended_and_named(
    precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    histories = [[epoch(0, 0.1, math.nan)], [epoch(0, None), epoch(1, 0.75)]]

    class Pack:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def reports(self) -> list[None]:
            return []

        def history_of(self, number: int) -> list[EpochMetrics]:
            return histories[number]

    monkeypatch.setattr(precision, "PackTraining", Pack)
    rows = precision.packed(Protocol(epochs=2), None, [5, 6])
    assert [(row["test_accuracy"], row["diverged"]) for row in rows] == [(0.1, True), (0.75, False)]

    figures = precision.summed_up([{"side": "pack, float32", **row} for row in rows], 1.0)
    assert figures["diverged"] == ["pack, float32, seed 5"]
    assert precision.text(figures) == "n = 0 seeds; diverged: pack, float32, seed 5"


@pytest.mark.usefixtures("one_thread")
def test_a_stopped_run_is_kept_by_the_pack_and_goes_on_where_that_is_asked(
    precision: Any,
    run_script: RunScript,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "precision.json"
    options = ("--seeds", "4", "--pack", "2", "--json", str(file))
    packed, packs = precision.SIDES["pack, float32"][0], []

    def stopped(*arguments: Any) -> Any:
        packs.append(arguments[2])
        if len(packs) == 4:
            raise KeyboardInterrupt
        return packed(*arguments)

    for name in ("pack, float32", "pack, bfloat16"):
        monkeypatch.setitem(precision.SIDES, name, (stopped, name.rpartition(" ")[2]))
    with pytest.raises(KeyboardInterrupt):
        run_script("precision", *options)
    assert json.loads(file.read_text())["n"] == 2
    before = figures_of(file)["rows"]
    assert len(before) == 2 * 3 + 2 * 2

    run_script("precision", *options, "--resume")

    assert packs == [[0, 1], [0, 1], [2, 3], [2, 3], [2, 3]]
    figures = figures_of(file)
    assert figures["rows"][: len(before)] == before
    assert figures["seeds"] == 4
    assert set(figures["compared"]) == {"pack, float32", "pack, bfloat16"}
    assert all(0 <= row["test_accuracy"] <= 1 for row in figures["rows"])
    assert "n = 4 seeds; diverged: none" in capsys.readouterr().out


def test_a_file_of_other_trainings_is_not_gone_on_with(
    precision: Any, run_script: RunScript, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "precision.json"
    file.write_text(json.dumps({"figures": {"work": {"data": "cifar10"}, "rows": []}}))
    with pytest.raises(SystemExit):
        run_script("precision", "--json", str(file), "--resume")
    assert "name another file" in capsys.readouterr().err
    assert precision.WORK
