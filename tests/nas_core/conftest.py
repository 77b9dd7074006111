"""What the tests of the science share: one thread, since every network here is tiny."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread: None) -> None:
    """Use it in every module."""
