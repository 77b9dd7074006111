"""How the groups of a design stand in the tables and sentences of findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import pandas as pd

from topo_sweep.analysis.design import Design
from topo_sweep.analysis.text import plural

SHOWN: Final = 20
"""So many rows of a long table are shown; the table of a finding has all."""


def named(design: Design, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table that is indexed by group with the groups' names as its first column."""
    named = table.reset_index(drop=True)
    named.insert(0, design.unit, [design.name_of(int(group)) for group in table.index])
    return named


def label(design: Design, group: int) -> str:
    """Return a group's name without its unit, for a column that has the unit as its head."""
    return design.name_of(group).removeprefix(f"{design.unit} ")


def best_first(design: Design, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table that is indexed by group, ordered by means as if all had the same seeds."""
    order = design.means[table.index].sort_values(ascending=False, kind="stable")
    return table.loc[order.index]


def shown_rows(design: Design, table: pd.DataFrame) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield label and row of the first groups of a table, as many as are shown."""
    rows = table.head(SHOWN)
    for group, row in zip(rows.index, rows.to_dict("records"), strict=True):
        yield label(design, int(group)), {str(column): cell for column, cell in row.items()}


def listed(design: Design, groups: Iterable[int], most: int = SHOWN) -> str:
    """Return 'class 3', 'classes 3, 7 and 12', or the first `most` and how many more."""
    labels = [label(design, int(group)) for group in groups]
    if len(labels) == 1:
        return f"{design.unit} {labels[0]}"
    units = plural(design.unit)
    if len(labels) > most:
        return f"{units} {', '.join(labels[:most])} and {len(labels) - most} more"
    return f"{units} {', '.join(labels[:-1])} and {labels[-1]}"


def rank_words(low: Any, high: Any) -> str:  # noqa: ANN401 - NA, too
    """Return '1 to 12' or '3'; '-' where there is no interval."""
    if pd.isna(low):
        return "-"
    return str(low) if low == high else f"{low} to {high}"


def yes_no(answer: Any) -> str:  # noqa: ANN401 - NA, too
    """Return 'yes', 'no', or '-' where there is no answer."""
    return "-" if pd.isna(answer) else "yes" if answer else "no"
