"""How often what failed is tried again in one run, and after how long."""

from __future__ import annotations

from collections import Counter
from typing import Final

_FIRST_SECONDS: Final = 1.0
_LONGER: Final = 4.0
_MOST_SECONDS: Final = 60.0


class Retries:
    """Counts the failures of each trial or pack; what its machine took away counts for nothing.

    Args:
        most: retries of each.

    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._failures: Counter[str] = Counter()

    def seconds_until(self, key: str, *, is_lost: bool) -> float | None:
        """Note a failure; return after how many seconds to try again, None where that was enough.

        Args:
            key: names the trial or the pack.
            is_lost: whether its machine was lost.

        """
        if is_lost:
            return 0.0
        self._failures[key] += 1
        failures = self._failures[key]
        if failures > self._most:
            return None
        return min(_FIRST_SECONDS * _LONGER ** (failures - 1), _MOST_SECONDS)
