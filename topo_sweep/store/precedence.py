"""Which of several rows of a trial counts, and how a trial may end at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

STATUSES: Final = ("ok", "diverged", "failed")
"""In the order in which readers prefer them."""


def preferred(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return one row a key, by the order of `STATUSES` and then of the rows, in that order.

    Args:
        rows: the columns `status` and `key`.
        key: the column that names a trial or a search.

    """
    order = {status: preference for preference, status in enumerate(STATUSES)}
    by_status = rows.sort_values("status", key=lambda statuses: statuses.map(order), kind="stable")
    return by_status.drop_duplicates(key)


def by_time(rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return rows by `finished_at` and then by key, numbered anew; what is in order is not moved.

    Args:
        rows: the columns `finished_at` and `key`, a row a key.
        key: the column that names a trial or a search.

    """
    times = rows["finished_at"]
    if times.is_monotonic_increasing and times.is_unique:
        return rows.reset_index(drop=True)
    by = ["finished_at"] if times.is_unique else ["finished_at", key]
    return rows.sort_values(by, ignore_index=True)


def merged(frames: Sequence[pd.DataFrame], key: str) -> pd.DataFrame:
    """Return the rows of several sweeps as they stand, a key once: the `preferred` row of all."""
    import pandas as pd

    if not frames:
        return pd.DataFrame()
    rows = pd.concat(frames, ignore_index=True)
    return preferred(rows, key).sort_index(ignore_index=True)
