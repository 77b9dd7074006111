"""How a trial may end, and which of its rows counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

STATUSES: Final = ("ok", "diverged", "failed")
"""In the order in which readers prefer them."""


def merged(frames: Sequence[pd.DataFrame], key: str) -> pd.DataFrame:
    """Return the rows of several sweeps, of those with the same key one alone.

    Args:
        frames: rows with `status`, the columns of one table.
        key: the column that names a trial or search; equal keys go by the order of `STATUSES`, then
            by that of the frames.

    """
    import pandas as pd

    if not frames:
        return pd.DataFrame()
    rows = pd.concat([own for own in frames if len(own)] or frames[:1], ignore_index=True)
    preference = rows["status"].map({status: i for i, status in enumerate(STATUSES)})
    best = rows.loc[preference.sort_values(kind="stable").index].drop_duplicates(key)
    return best.sort_index(ignore_index=True)
