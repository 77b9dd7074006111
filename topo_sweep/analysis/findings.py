"""A finding: what one section of an analysis says, in a sentence, in numbers and in tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from topo_sweep.analysis.text import plain_table

if TYPE_CHECKING:
    from nas_core.errors import InputError

Number = float | int | str | bool | None

_WIDTH: Final = 100


@dataclass(frozen=True, eq=False, kw_only=True)
class Finding:
    """One section of an analysis.

    Args:
        title: what is asked, such as 'does topology matter'.
        sentence: the answer, one plain sentence that claims no more than the numbers do; where
            there is none, why not and what it would take.
        method: the name of the test or estimate, '' where there is none.
        assumes: what must hold for it, in words.
        numbers: name -> number; accuracies are fractions, None is a number that there is not.
        tables: name -> table; accuracies are fractions.
        shown: name -> rows as people read them, header first; of the tables that are worth a look
            on a screen.

    """

    title: str
    sentence: str
    method: str = ""
    assumes: str = ""
    numbers: Mapping[str, Number] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    shown: Mapping[str, list[tuple[str, ...]]] = field(default_factory=dict)

    def to_json_value(self) -> dict[str, Any]:
        """Return everything but what is shown, as plain Python values; NaN as None."""
        about = {"title": self.title, "sentence": self.sentence}
        about |= {"method": self.method, "assumes": self.assumes}
        numbers = {name: _plain(number) for name, number in self.numbers.items()}
        tables = {
            name: [
                {str(column): _plain(number) for column, number in row.items()}
                for row in table.to_dict("records")
            ]
            for name, table in self.tables.items()
        }
        return about | {"numbers": numbers, "tables": tables}

    def to_text(self) -> str:
        """Return the section for people: title, sentence, tables, method and what it assumes."""
        lines = [self.title.upper(), *wrap(self.sentence, _WIDTH)]
        for name, (header, *rows) in self.shown.items():
            lines += ["", f"{name}:", plain_table(header, rows)]
        method = ": it assumes ".join(text for text in (self.method, self.assumes) if text)
        return "\n".join([*lines, *(wrap(f"[{method}]", _WIDTH) if method else [])])


def left_out(name: str, error: InputError) -> str:
    """Say that another sweep has no part in a section, and why."""
    return f"{name} is left out: {error}."


def _plain(number: Any) -> Number:  # noqa: ANN401 - any scalar of a table
    """Return a scalar of numpy or pandas as Python's own; NaN and NA as None."""
    plain = number.item() if hasattr(number, "item") else number
    return None if pd.isna(plain) else plain
