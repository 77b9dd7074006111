"""How often what failed is tried again in one run, and after how long."""

from __future__ import annotations

from collections import Counter
from typing import Final

_FIRST_SECONDS: Final = 1.0
_LONGER: Final = 4.0
_MOST_SECONDS: Final = 60.0


class Retries:
    """Counts the failures of each trial or pack; a lost machine counts only for how long to wait.

    Both counts begin anew where one has got further than in any try before.

    Args:
        most: retries of each.

    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._failures: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        self._epochs: Counter[str] = Counter()
        """As far as each got in any try."""

    def seconds_until(self, key: str, *, epochs: int, is_lost: bool) -> float | None:
        """Note a failure; return after how many seconds to try again, None where that was enough.

        What lost its machine goes on elsewhere at once. Where it loses each one, it may be what
        takes them down, and waits longer each time.

        Args:
            key: names the trial or the pack.
            epochs: that it had behind it.
            is_lost: whether its machine was lost.

        """
        if epochs > self._epochs[key]:
            self._epochs[key] = epochs
            self._failures[key] = self._losses[key] = 0
        counts = self._losses if is_lost else self._failures
        counts[key] += 1
        if is_lost:
            return _wait(counts[key] - 1)
        return _wait(counts[key]) if counts[key] <= self._most else None


def _wait(number: int) -> float:
    """Return the seconds before the retry of this number, from 1; none before one of number 0."""
    return min(_FIRST_SECONDS * _LONGER ** (number - 1), _MOST_SECONDS) if number else 0.0
