"""A user who has no token, no cluster and no results yet, and what that user runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import AS_FAST


def new_user() -> tuple[Path, dict[str, str]]:
    """Return a folder to be removed, and the variables of a process of this user.

    The folder's name is short, since it is part of the names of Ray's sockets.
    """
    folder = Path(tempfile.mkdtemp(prefix="ts-"))
    (folder / "home").mkdir()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "TOPO_"))}
    own = {"HOME": "home", "XDG_STATE_HOME": "state", "RAY_TMPDIR": ""}
    return folder, inherited | AS_FAST | {name: str(folder / path) for name, path in own.items()}


def ran(
    arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run Python to its end."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
