"""A node that has another PyTorch, as far as anybody can tell without importing it."""

from __future__ import annotations

import os
from pathlib import Path


def with_another_torch(folder: Path) -> dict[str, str]:
    """Return the variables of a node in which torch is of version 0.1; `folder` is empty."""
    (folder / "torch-0.1.dist-info").mkdir()
    (folder / "torch-0.1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch\nVersion: 0.1\n", encoding="utf-8"
    )
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
