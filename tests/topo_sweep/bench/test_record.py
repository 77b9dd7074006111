"""What is kept of a measurement says how to make it again, and on what it was made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from topo_sweep.bench.record import figures_of, keep, record
from topo_sweep.store.manifest import hardware, library_versions


def test_a_record_holds_command_machine_versions_date_n_and_figures(tmp_path: Path) -> None:
    kept = record("python x.py", {"seconds": 1.5}, n=7, device="a GPU")

    assert list(kept) == ["command", "machine", "versions", "date", "n", "figures"]
    assert kept["command"] == "python x.py"
    load = kept["machine"].pop("load")
    assert load >= 0
    instructions = {name: kept["machine"].pop(name) for name in ("capability", "bfloat16")}
    assert instructions["capability"] == torch.backends.cpu.get_cpu_capability()
    assert kept["machine"] == {**hardware(), "device": "a GPU"}
    assert kept["versions"].items() >= library_versions().items()
    assert (kept["n"], kept["figures"]) == (7, {"seconds": 1.5})
    assert len(kept["date"]) == len("2026-01-02")

    path = tmp_path / "results" / "x.json"
    keep(path, kept)
    keep(path, kept)
    assert json.loads(path.read_text()) == kept


def test_instructions_for_bfloat16_are_named_where_pytorch_tells_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {"avx512_f": True, "avx512_bf16": False, "amx_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert record("", {}, n=1)["machine"]["bfloat16"] == ["amx_bf16"]

    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert record("", {}, n=1)["machine"]["bfloat16"] is None


def test_the_figures_of_a_record_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert figures_of(path) == {}

    keep(path, record("python x.py", {"seconds": [1.5]}, n=1))

    assert figures_of(path) == {"seconds": [1.5]}
