"""A made-up store and the processes that read it, at a tiny size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.conftest import RunScript, Script
from topo_sweep.bench.record import figures_of
from topo_sweep.store.opened import load_curves, load_results


def test_the_store_is_one_that_can_be_read(script: Script, tmp_path: Path) -> None:
    store = script("store")
    made = store.make_store(tmp_path, store.pairs(2, seeds=3, epochs=4))

    rows = load_results(made.paths.folder)
    assert len(rows) == 2 * 2 * 3
    assert rows["test_accuracy"].between(0, 1).all()
    assert len(load_curves(made.paths.folder, topology=1)) == 2 * 3 * 4
    assert store.layout(made)["curve_rows"] == 2 * 2 * 3 * 4


def test_peak_memory_is_that_of_the_process_however_much_this_one_holds(script: Script) -> None:
    held = bytearray(b"1") * 150_000_000

    seconds, processor, gigabytes = script("store").measured(["-c", "print('not to be seen')"])

    assert 0 < gigabytes < len(held) / 1e9 / 2
    assert seconds > 0
    assert processor > 0


def test_a_process_that_fails_is_no_fast_one(script: Script) -> None:
    with pytest.raises(AssertionError, match="exit"):
        script("store").measured(["-c", "exit(1)"])


@pytest.mark.slow
def test_figures_of_every_command_are_kept(
    script: Script,
    run_script: RunScript,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = script("store")
    every = store.commands(tmp_path)
    assert {"open_sweep", "topo-sweep rank", "topo-sweep list"} <= set(every)
    few = {"python": ["-c", "pass"]}
    monkeypatch.setattr(store, "commands", lambda _: few)
    file = tmp_path / "store.json"

    size = ("--wirings", "2", "--seeds", "1", "--epochs", "2", "--repeats", "2")
    run_script("store", *size, "--folder", str(tmp_path / "store"), "--json", str(file))

    figures = figures_of(file)
    assert figures["store"]["curve_rows"] == 8
    assert figures["commands"]["python"]["seconds"] > 0
    assert "python" in capsys.readouterr().out
