"""Steps of a network and of its compiled form; the compiler, which takes minutes, is left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.benchmarks.conftest import RunScript
from topo_sweep.bench.record import figures_of


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("pack", [(), ("--pack", "2")])
def test_both_forms_take_turns_and_compiling_counts_apart(
    run_script: RunScript, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pack: tuple[str, ...]
) -> None:
    compiled = []

    def compiler(forward: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        compiled.append(forward)
        return forward

    monkeypatch.setattr(torch, "compile", compiler)
    file = tmp_path / "compiled.json"

    run_script("compile_step", *pack, "--repeats", "2", "--json", str(file))

    figures = figures_of(file)
    assert len(compiled) == 1
    assert figures["pack"] == (2 if pack else None)
    assert figures["first_step_seconds"] > 0
    assert figures["written"]["seconds"] > 0
    assert figures["ratio"] > 0
