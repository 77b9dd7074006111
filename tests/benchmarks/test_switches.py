"""What each form gains: all cases are tried, and a limit is what it was afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_core.networks.kernels import switch
from tests.benchmarks.conftest import RunScript, Script
from topo_sweep.bench.record import figures_of


@pytest.mark.usefixtures("one_thread")
def test_a_step_is_taken_by_each_form_and_limits_stay(
    script: Script,
    run_script: RunScript,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    switches, before = script("switches"), vars(switch).copy()
    seen: list[tuple[int, int]] = []

    def steps(_: str) -> object:
        while True:
            seen.append((switch.GRADIENTS_FROM, switch.EDGES_UP_TO))
            yield (1.0,)

    monkeypatch.setattr(switches, "steps_of", steps)
    file = tmp_path / "switches.json"

    run_script("switches", "--repeats", "1", "--threads", "1", "--json", str(file))

    assert vars(switch) == before
    assert {2**62, 0, switch.GRADIENTS_FROM} == {gradients for gradients, _ in seen}
    assert {2**62, 0, switch.EDGES_UP_TO} == {edges for _, edges in seen}
    cases = figures_of(file)["cases"]
    assert [(case["limit"], case["steps"]) for case in cases] == [
        (case.limit, case.steps) for case in switches.CASES
    ]
    assert all(case["ratios"] == {"always": 1.0, "as it is": 1.0} for case in cases)
    assert len(capsys.readouterr().out.splitlines()) == len(cases)


@pytest.mark.slow
@pytest.mark.parametrize("steps", ["training of 30, 4 channels, 8x8", "search, 4 channels, 8x8"])
def test_steps_are_those_of_real_networks(script: Script, steps: str) -> None:
    assert next(script("switches").steps_of(steps))[0] > 0
