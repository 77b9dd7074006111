"""What a measurement leaves: figures, with the machine, versions and command that made them."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nas_core.files import write_durably
from topo_sweep.store.manifest import hardware, library_versions


def typed() -> str:
    """Return the command that started this script."""
    return shlex.join(["python", *sys.argv])


def record(
    command: str, figures: Mapping[str, Any], *, n: int, device: str = "cpu"
) -> dict[str, Any]:
    """Return what is kept of a measurement, as JSON has it.

    The load is the mean of the last minute, this measurement's own included.

    Args:
        command: what to type to make it again.
        figures: what was measured, by name.
        n: how often each figure was measured.
        device: 'cpu' or the name of the GPU.

    """
    return {
        "command": command,
        "machine": {
            **hardware(),
            **_instructions(),
            "device": device,
            "load": round(os.getloadavg()[0], 1),
        },
        "versions": {"python": platform.python_version(), **library_versions()},
        "date": datetime.now(UTC).date().isoformat(),
        "n": n,
        "figures": dict(figures),
    }


def _instructions() -> dict[str, str | list[str] | None]:
    """Return the vectors that PyTorch computes with here, and the instructions for bfloat16.

    None of the latter where PyTorch is too old to tell: without `torch.cpu.get_capabilities`.
    """
    import torch

    told: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    bfloat16 = sorted(name for name, has in told.items() if name.endswith("bf16") and has)
    return {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": bfloat16 if told else None,
    }


def keep(path: Path, kept: Mapping[str, Any]) -> None:
    """Write a record to a file, in place of an earlier one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, (json.dumps(kept, indent=1) + "\n").encode())


def figures_of(path: Path) -> dict[str, Any]:
    """Return the figures of a record that was kept; none where there is no such file."""
    if not path.exists():
        return {}
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["figures"]
    return figures
