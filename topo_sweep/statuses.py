"""How a trial may end."""

from __future__ import annotations

from typing import Final

STATUSES: Final = ("ok", "diverged", "failed")
"""In the order in which readers prefer them."""
