"""What `--compile` measures, what it decides, and that a sweep keeps the decision."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from nas_core.errors import InputError
from tests.topo_sweep.runs.pack_run import manifest_of, spec
from tests.topo_sweep.runs.search_run import search_spec
from topo_sweep.runs import compiling
from topo_sweep.runs.compiling import (
    Timed,
    Work,
    check_compiler,
    measured_here,
    pays,
    settled_compiling,
)
from topo_sweep.runs.execution import Execution
from topo_sweep.runs.packing.size import ask_here, candidates_of
from topo_sweep.runs.plan import Plan, make_plan
from topo_sweep.runs.sweep import run
from topo_sweep.runs.timing.step_time import TrainingSteps
from topo_sweep.store.manifest import CompileTime, Compiling
from topo_sweep.store.opened import load_results, open_sweep

HERE = Execution(executor="inline", gpus=0.0, compile="auto", checkpoint_seconds=0)
TIMES = CompileTime(seconds=1.0, compiled_seconds=0.75, compile_seconds=100.0)
Compile = Callable[..., Any]


def plan_of(results: Path, **values: Any) -> Plan:
    return make_plan(spec(**values), results)


def decided(
    plan: Plan, measured: CompileTime | str | None, execution: Execution = HERE, **where: Any
) -> tuple[Compiling | None, str | None]:
    """Settle what is compiled where a measurement says this."""
    how: dict[str, Any] = {"images": 40, "workers": 1, "ask": lambda *_: ("cpu", measured)} | where
    return settled_compiling(plan, (), execution, **how)


def test_compiling_pays_in_a_long_sweep_and_not_in_a_short_one() -> None:
    # A step saves a quarter of a second, and a graph takes 100.
    assert not pays(TIMES, Work(steps=400, graphs=1))
    assert pays(TIMES, Work(steps=401, graphs=1))
    assert not pays(TIMES, Work(steps=401, graphs=2))
    assert pays(TIMES, Work(steps=801, graphs=2))


def test_what_is_slower_compiled_never_pays() -> None:
    slower = TIMES.model_copy(update={"compiled_seconds": 1.1, "compile_seconds": 0.0})

    assert not pays(slower, Work(steps=10**9, graphs=1))


@pytest.mark.parametrize("asked", ["auto", "on"])
def test_nothing_is_compiled_where_no_step_would_run_a_graph(
    tmp_path: Path, asked: Literal["auto", "on"]
) -> None:
    plan = plan_of(tmp_path, drop_path=0.3, epochs=1)

    settled, line = decided(plan, None, replace(HERE, compile=asked), ask=None)

    assert settled is None
    assert line == (
        f"--compile {asked}: nothing is compiled; graphs are for whole batches and, where paths "
        "are dropped, for epochs after the first"
    )


@pytest.mark.parametrize(("packed", "size"), [(6, None), (18, 6), (12, 6)])
def test_what_is_timed_is_what_most_units_are(
    tmp_path: Path, packed: int, size: int | None
) -> None:
    wider = {"topologies": tuple(range(18)), "seeds": (0,)}
    plan = make_plan(spec().model_copy(update=wider), tmp_path)
    ids = tuple(plan.trials)
    packs = tuple(ids[first : first + 6] for first in range(0, packed, 6))
    left = replace(plan, finished=dict.fromkeys(ids[packed + 2 :] if packed == 12 else (), "ok"))
    timed: list[Timed] = []

    def ask(_: object, asked: Timed) -> tuple[str, None]:
        timed.append(asked)
        return "cpu", None

    settled_compiling(left, packs, HERE, images=40, workers=1, ask=ask)

    assert timed[0].size == size


def test_what_was_measured_decides_and_is_kept(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    fast = TIMES.model_copy(update={"compile_seconds": 1.0})

    settled, line = decided(plan, fast)
    assert settled is not None
    assert settled.taken
    assert (settled.steps, settled.graphs, settled.measured) == (60, 4, fast)
    assert line is not None
    assert line.startswith("--compile auto: networks are compiled; on cpu a step takes 1 s")

    slow, line = decided(plan, TIMES)
    assert slow is not None
    assert not slow.taken
    assert line is not None
    assert line.startswith("--compile auto: nothing is compiled; on cpu a step takes 1 s")


def test_where_pytorch_cannot_compile_auto_says_so_and_compiles_nothing(tmp_path: Path) -> None:
    settled, line = decided(plan_of(tmp_path), "PyTorch cannot compile here (no C++ compiler)")

    assert settled is not None
    assert not settled.taken
    assert line == (
        "--compile auto: nothing is compiled; PyTorch cannot compile here (no C++ compiler)"
    )


@pytest.mark.parametrize("asked", ["auto", "on"])
def test_of_searches_alone_nothing_is_measured_or_decided(
    tmp_path: Path, asked: Literal["auto", "on"]
) -> None:
    plan = make_plan(search_spec(evaluation_seeds=()), tmp_path)

    assert decided(plan, None, replace(HERE, compile=asked), ask=None) == (None, None)


def test_where_all_trainings_have_ended_nothing_is_measured(tmp_path: Path) -> None:
    plan = make_plan(search_spec(), tmp_path)
    trained = {key: "ok" for key, trial in plan.trials.items() if not trial.finds_cell}

    assert decided(replace(plan, finished=trained), None, ask=None) == (None, None)


def test_searches_that_go_together_are_not_counted(tmp_path: Path) -> None:
    plan = make_plan(search_spec(seeds=(0, 1)), tmp_path)
    searches = tuple(key for key, trial in plan.trials.items() if trial.finds_cell)
    timed: list[Timed] = []

    def ask(_: object, asked: Timed) -> tuple[str, None]:
        timed.append(asked)
        return "cpu", None

    settled_compiling(plan, (searches,), HERE, images=64, workers=1, ask=ask)

    assert (timed[0].size, timed[0].work) == (None, Work(steps=16, graphs=2))


def test_a_short_sweep_compiles_nothing_and_a_long_one_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    candidates, _ = candidates_of(plan_of(tmp_path), HERE, 1)
    assert candidates is not None

    def measured(steps: int) -> CompileTime | str | None:
        return measured_here(
            Timed(candidates=candidates, size=None, work=Work(steps=steps, graphs=1))
        )[1]

    assert measured(60) is None
    times = measured(10**9)
    assert isinstance(times, CompileTime)
    assert min(times.seconds, times.compiled_seconds, times.compile_seconds) > 0


def test_what_the_compiler_says_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no C++ compiler\nand much more")

    monkeypatch.setattr(torch, "compile", fail)
    candidates, _ = candidates_of(plan_of(tmp_path), HERE, 1)
    assert candidates is not None
    many = Work(steps=10**9, graphs=1)

    assert measured_here(Timed(candidates=candidates, size=2, work=many)) == (
        "cpu",
        "PyTorch cannot compile here (no C++ compiler)",
    )
    left, on = list(plan_of(tmp_path).left.values()), replace(HERE, compile="on")
    with pytest.raises(
        InputError, match=r"--compile on: PyTorch cannot compile here \(no C\+\+ compiler\): use"
    ):
        check_compiler(left, on, ask_here)
    check_compiler(left, HERE, ask_here)  # auto finds out itself
    searches = make_plan(search_spec(evaluation_seeds=()), tmp_path)
    check_compiler(searches.left.values(), on, ask_here)


@pytest.mark.parametrize(("size", "which"), [(None, "one training"), (2, "a pack of 2")])
def test_memory_that_runs_out_is_not_said_to_be_the_compilers_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int | None, which: str
) -> None:
    candidates, _ = candidates_of(plan_of(tmp_path), HERE, 1)
    assert candidates is not None
    asked = Timed(candidates=candidates, size=size, work=Work(steps=10**9, graphs=1))

    def fail(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "compile", fail)
    said = measured_here(asked)[1]
    assert said == f"{which} does not fit into memory beside its compiled form"
    monkeypatch.setattr(TrainingSteps, "__next__", fail)
    assert measured_here(asked)[1] == f"{which} does not fit into memory"


def test_what_goes_wrong_without_a_compiler_is_not_said_to_be_its_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates, _ = candidates_of(plan_of(tmp_path), HERE, 1)
    assert candidates is not None

    def fail(*_: Any) -> None:
        raise RuntimeError("another fault")

    monkeypatch.setattr(TrainingSteps, "__next__", fail)
    with pytest.raises(RuntimeError, match="another fault"):
        measured_here(Timed(candidates=candidates, size=None, work=Work(steps=9, graphs=1)))


def test_a_decision_stays_until_there_is_more_to_do_or_another_device(tmp_path: Path) -> None:
    def ran(plan: Plan, known: Compiling, execution: Execution = HERE) -> str | None:
        manifest = manifest_of(tmp_path).model_copy(update={"compiling": known})
        return decided(replace(plan, manifest=manifest), TIMES, execution)[1]

    run(plan_of(tmp_path, epochs=1), replace(HERE, compile="off"))
    plan = plan_of(tmp_path / "again")
    settled, _ = decided(plan, TIMES)
    assert settled is not None
    off, on = settled, settled.model_copy(update={"taken": True})

    assert ran(plan, off) == "--compile auto: nothing is compiled, as decided before"
    assert ran(plan, on) == "--compile auto: networks are compiled, as decided before"
    longer = plan_of(tmp_path / "again", epochs=9)
    assert "a step takes" in (ran(longer, off) or "")
    assert "as decided before" in (ran(longer, on) or "")
    assert "a step takes" in (ran(plan, on, replace(HERE, cpus=2)) or "")
    unmeasured = off.model_copy(update={"measured": None})
    assert "a step takes" in (ran(plan, unmeasured) or ""), "there may be a compiler by now"


def test_what_was_decided_outlives_a_run_without_trainings(tmp_path: Path) -> None:
    searches = search_spec(evaluation_seeds=())
    run(make_plan(searches, tmp_path), HERE)
    assert manifest_of(tmp_path).compiling is None
    known = Compiling(asked="auto", taken=False, steps=9, graphs=1, measured=TIMES)
    path = open_sweep(tmp_path).store.paths.manifest
    manifest_of(tmp_path).model_copy(update={"compiling": known}).write(path)

    run(make_plan(searches, tmp_path), replace(HERE, compile="on"))

    assert manifest_of(tmp_path).compiling == known


def test_rows_of_trainings_that_run_no_graph_do_not_say_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)

    run(plan_of(tmp_path, drop_path=0.3, epochs=1), replace(HERE, compile="on"))

    assert "compiled" not in "".join(load_results(tmp_path)["execution"])


@pytest.mark.parametrize("pack_size", [None, 2])
def test_a_run_compiles_what_is_asked_for_and_its_rows_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack_size: int | None
) -> None:
    compiled = []

    def compiler(network: Compile, **_: Any) -> Compile:
        compiled.append(network)
        return network

    monkeypatch.setattr(torch, "compile", compiler)
    execution = replace(HERE, compile="on", pack_size=pack_size)

    run(plan_of(tmp_path / "on", epochs=1), execution)

    assert len(compiled) == 1 + (4 if pack_size is None else 2)  # the check, then each network
    compiled_rows = load_results(tmp_path / "on")
    assert all(json.loads(text)["compiled"] is True for text in compiled_rows["execution"])
    assert manifest_of(tmp_path / "on").compiling == Compiling(asked="on", taken=True)

    run(plan_of(tmp_path / "off", epochs=1), replace(execution, compile="off"))
    rows = load_results(tmp_path / "off")
    assert "compiled" not in "".join(rows["execution"])
    assert manifest_of(tmp_path / "off").compiling is None
    assert list(rows["test_accuracy"]) == list(compiled_rows["test_accuracy"])


def test_auto_hands_its_decision_to_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    fast = TIMES.model_copy(update={"compile_seconds": 0.0})
    monkeypatch.setattr(compiling, "measured_here", lambda _: ("cpu", fast))
    said: list[str] = []

    run(plan_of(tmp_path, epochs=1), HERE, said.append)

    assert any(line.startswith("--compile auto: networks are compiled") for line in said)
    kept = manifest_of(tmp_path).compiling
    assert kept is not None
    assert (kept.asked, kept.taken, kept.measured) == ("auto", True, fast)
    assert all(json.loads(text)["compiled"] for text in load_results(tmp_path)["execution"])
