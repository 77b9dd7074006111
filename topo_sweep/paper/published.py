"""The numbers that the eDARTS paper prints, read from `results/published.csv`; nothing of ours.

Values are kept as text, so that they can be shown as they were noted down (a zero at the end of a
printed number may have been lost before that: 97.0 for 97.00).
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
from dataclasses import dataclass

FILE = "published.csv"


@dataclass(frozen=True, kw_only=True)
class Published:
    """One printed number or statement.

    Args:
        table: '2', '3', '4', 'fig2', 'phases', 'ablation', or 'text' for what stands in no table.
        row: what it is about, as the paper calls it.
        column: what is measured.
        value: as printed.
        unit: of the value; 'text' for words.
        note: which statistic it is, or what is not known about it.

    """

    table: str
    row: str
    column: str
    value: str
    unit: str
    note: str

    @property
    def number(self) -> float:
        """The value as a number, in its unit; a ValueError for words."""
        return float(self.value)


@functools.cache
def published() -> tuple[Published, ...]:
    """Return everything that is known of the paper's numbers, in the order of its tables."""
    text = importlib.resources.files("topo_sweep.published").joinpath(FILE).read_text("utf-8")
    return tuple(Published(**row) for row in csv.DictReader(text.splitlines()))


def find(table: str, row: str, column: str) -> Published | None:
    """Return what the paper prints at this place, None where it prints nothing."""
    return _by_place().get((table, row, column))


def printed(table: str, row: str, column: str) -> Published:
    """Return what the paper prints at this place; a KeyError where it prints nothing."""
    return _by_place()[table, row, column]


def rows_of(table: str) -> tuple[str, ...]:
    """Return the names of a table's rows in printed order."""
    return tuple(dict.fromkeys(entry.row for entry in published() if entry.table == table))


@functools.cache
def _by_place() -> dict[tuple[str, str, str], Published]:
    return {(entry.table, entry.row, entry.column): entry for entry in published()}
