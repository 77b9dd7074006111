"""Which form of everything networks take, where else the sizes of maps decide."""

from __future__ import annotations

import pytest

from nas_core.networks.kernels import switch

FORMS = ("small", "large")
NEVER, EVERY = 2**62, 0


def take(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the form of small maps or that of large ones; "by size" leaves it to sizes."""
    if form != "by size":
        limit = NEVER if form == "small" else EVERY
        monkeypatch.setattr(switch, "EDGES_UP_TO", limit)
        monkeypatch.setattr(switch, "GRADIENTS_FROM", limit)
