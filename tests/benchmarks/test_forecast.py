"""Forecasts beside what runs take; the runs themselves are made up here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks.conftest import RunScript, Script
from topo_sweep.analysis.text import duration_with_range
from topo_sweep.bench.record import figures_of


class Program:
    """Stands for topo-sweep: dry runs forecast 100 s, runs take what it is told."""

    def __init__(self, *took: float) -> None:
        self.took = list(took)
        self.arguments: list[tuple[str, ...]] = []

    def __call__(self, folder: str, *arguments: str) -> tuple[str, float]:
        self.arguments.append(arguments)
        if "--dry-run" in arguments:
            return f"time      about {duration_with_range(100.0, 0.2)} on one worker\n", 7.0
        if not self.took:
            raise KeyboardInterrupt
        return "", self.took.pop(0)


def test_the_median_error_and_how_many_were_inside_the_range_are_told_and_kept(
    script: Script,
    run_script: RunScript,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(script("forecast"), "program", Program(79.0, 90.0, 100.0, 120.0, 200.0))
    file = tmp_path / "forecast.json"

    run_script("forecast", "--json", str(file))

    figures = figures_of(file)
    assert [each["forecast_seconds"] for each in figures["sweeps"]] == [100.0] * 5
    assert figures["inside_range"] == 3
    assert figures["median_error"] == pytest.approx(20 / 120)
    assert capsys.readouterr().out.splitlines()[-1] == (
        "median error 17% (aim: at most 20%), 3 of 5 within the range, n = 5 sweeps"
    )


def test_a_stopped_comparison_is_kept_and_goes_on_where_that_is_asked(
    script: Script, run_script: RunScript, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    forecast, file = script("forecast"), tmp_path / "forecast.json"
    monkeypatch.setattr(forecast, "program", Program(80.0, 90.0))
    with pytest.raises(KeyboardInterrupt):
        run_script("forecast", "--json", str(file))
    assert [each["took_seconds"] for each in figures_of(file)["sweeps"]] == [80.0, 90.0]

    rest = Program(100.0, 120.0, 200.0)
    monkeypatch.setattr(forecast, "program", rest)
    run_script("forecast", "--json", str(file), "--resume")

    assert len(rest.arguments) == 2 * 3
    assert [each["sweep"] for each in figures_of(file)["sweeps"]] == list(forecast.SWEEPS)
    assert json.loads(file.read_text())["n"] == 5

    monkeypatch.setattr(forecast, "program", Program(1.0, 1.0, 1.0, 1.0, 1.0))
    run_script("forecast", "--json", str(file))
    assert {each["took_seconds"] for each in figures_of(file)["sweeps"]} == {1.0}


def test_going_on_takes_a_file(run_script: RunScript, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_script("forecast", "--resume")
    assert "name it with --json" in capsys.readouterr().err


def test_a_forecast_without_a_range_is_not_counted_as_inside(script: Script) -> None:
    sweep = {"sweep": "x", "forecast_seconds": 9.0, "took_seconds": 10.0, "error": 0.1}
    figures = script("forecast").summed_up([sweep | {"range_seconds": [None, None]}])

    assert figures["inside_range"] == 0
    assert "0 of 1 within the range" in script("forecast").text(figures)
