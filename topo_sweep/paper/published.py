"""The numbers that the eDARTS paper prints, read from `results/published.csv`; nothing of ours.

Values are kept as text, so that they are shown as they are printed: 97.00, not 97.0.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Published:
    """One printed number or statement.

    Args:
        table: '2', '3', '4', 'fig2', 'depth', 'phases', 'ablation', or 'text' for what stands in no
            table.
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
    file = importlib.resources.files("topo_sweep.published") / "published.csv"
    lines = file.read_text("utf-8").splitlines()
    return tuple(Published(**row) for row in csv.DictReader(lines))


def find(table: str, row: str, column: str) -> Published | None:
    """Return what the paper prints there, None where it prints nothing."""
    return _by_name().get((table, row, column))


def printed(table: str, row: str, column: str) -> Published:
    """Return what the paper prints there; a KeyError where it prints nothing."""
    return _by_name()[table, row, column]


def rows_of(table: str) -> tuple[str, ...]:
    """Return the names of a table's rows in printed order."""
    return tuple(dict.fromkeys(entry.row for entry in published() if entry.table == table))


@functools.cache
def _by_name() -> dict[tuple[str, str, str], Published]:
    return {(entry.table, entry.row, entry.column): entry for entry in published()}
