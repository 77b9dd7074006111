"""What tests of a store that cannot be written share."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for temporary files, with a name that a shell would take apart."""
    folder = tmp_path / "a place"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder
