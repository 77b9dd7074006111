"""The form that every comparison with the paper has, and how it is printed.

An entry is one number of ours beside one of the paper's; a compared table is its entries with the
sentences that a reader needs to judge them. Which numbers belong beside each other is decided in a
module for each table of the paper: `table_2.py`, `phases.py` and so on.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from topo_sweep.analysis.accuracy import Estimate
from topo_sweep.analysis.text import aligned
from topo_sweep.paper.published import Published

_ALL_EQUAL: Final = "all equal: no interval"

_WIDTH: Final = 100
_HEADER: Final = ("", "n", "ours", "SD", "95% interval", "paper", "ours - paper", "")
_DIFFERENCE: Final = _HEADER.index("ours - paper")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One number of ours beside one of theirs.

    Args:
        quantity: what is compared, with its unit; entries of one quantity stand together.
        row: what has it: a method, a network, a space, a contrast.
        ours: our number, None where we have none.
        n: how many seeds (or searches) it comes from.
        sd: spread over them.
        low: lower end of the 95% interval.
        high: upper end.
        theirs: what the paper prints, or a calculation from it ('14/5 = 2.8'); '' for nothing.
        theirs_value: the same as a number where a difference means anything, else None.
        verdict: of a claim: 'supported', 'contradicted' or 'undecided'; 'not judged' where the
            paper claims no sign, 'not applicable' where its threshold is of other images.
        note: what the reader must know about this entry alone.
        decimals: shown; None shows three significant digits.

    """

    quantity: str
    row: str
    ours: float | None
    n: int = 0
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    theirs: str = ""
    theirs_value: float | None = None
    verdict: str = ""
    note: str = ""
    decimals: int | None = 2

    @property
    def difference(self) -> float | None:
        """Ours minus theirs, in the quantity's unit."""
        if self.ours is None or self.theirs_value is None:
            return None
        return self.ours - self.theirs_value


def entry(
    quantity: str,
    row: str,
    ours: Estimate | float | None,
    paper: Published | None = None,
    **values: Any,  # noqa: ANN401 - fields of Entry
) -> Entry:
    """Return an estimate or a bare number of ours beside what the paper prints, if anything.

    `values` are further fields of `Entry`, also instead of `paper`.
    """
    if isinstance(ours, Estimate):
        values |= {"n": ours.n, "sd": ours.sd, "low": ours.low, "high": ours.high}
        if ours.sd is not None and ours.low is None:
            values["note"] = "; ".join(filter(None, [_ALL_EQUAL, values.get("note")]))
        ours = ours.mean
    if paper is not None:
        values |= {"theirs": paper.value, "theirs_value": paper.number}
    return Entry(quantity=quantity, row=row, ours=ours, **values)


def by_quantity(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries with those of a quantity together, quantities in the order of their first."""
    together: dict[str, list[Entry]] = {}
    for numbers in entries:
        together.setdefault(numbers.quantity, []).append(numbers)
    return tuple(itertools.chain.from_iterable(together.values()))


@dataclass(frozen=True, kw_only=True)
class ComparedTable:
    """One table of the paper beside ours, of one protocol and data set.

    Args:
        table: '2', '3', '4', 'fig2', 'depth', 'phases' or 'ablations'.
        title: what it compares.
        setting: data, protocol and sweeps that ours come from.
        differs: what is not as in the paper, a sentence each.
        entries: the numbers.
        notes: what the numbers cannot tell.
        extra: a text that follows the numbers in print.

    """

    table: str
    title: str
    setting: str
    differs: tuple[str, ...]
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    extra: str = ""

    @property
    def records(self) -> list[dict[str, Any]]:
        """A flat record for each entry, each with its setting and what differs."""
        return [
            {
                "table": self.table,
                "quantity": line.quantity,
                "row": line.row,
                "n": line.n,
                "ours": line.ours,
                "sd": line.sd,
                "ci_low": line.low,
                "ci_high": line.high,
                "paper": line.theirs or None,
                "difference": line.difference,
                "verdict": line.verdict or None,
                "note": line.note or None,
                "setting": self.setting,
                "differs": "; ".join(self.differs) or None,
            }
            for line in self.entries
        ]

    @property
    def text(self) -> str:
        """Everything for people: title, setting, what differs, numbers, notes."""
        lines = [self.title, "=" * len(self.title), *_wrapped(self.setting)]
        if self.differs:
            lines += ["not as in the paper:", *_bullets(self.differs)]
        else:
            lines.append("protocol and data as in the paper, as far as it tells")
        lines += ["", *_numbers(self.entries)]
        if self.extra:
            lines += ["", self.extra]
        if self.notes:
            lines += ["", *_bullets(self.notes)]
        return "\n".join(lines)


def _number_text(value: float | None, decimals: int | None = 2, *, sign: bool = False) -> str:
    """Return a number for people; '-' where there is none."""
    if value is None:
        return "-"
    plus = "+" if sign else ""
    return f"{value:{plus}.3g}" if decimals is None else f"{value:{plus}.{decimals}f}"


def _numbers(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the lines of one aligned table in which each quantity is a heading over its rows."""
    rows = [_HEADER, *map(_cells, entries)]
    if all(row[_DIFFERENCE] == "-" for row in rows[1:]):
        rows = [(*row[:_DIFFERENCE], "", *row[_DIFFERENCE + 1 :]) for row in rows]
    header, *lines = aligned(rows, left=(0, len(_HEADER) - 1))
    yield header
    quantity = None
    for numbers, line in zip(entries, lines, strict=True):
        if numbers.quantity != quantity:
            quantity = numbers.quantity
            yield f"{numbers.verdict.upper()}: {quantity}" if numbers.verdict else quantity
        yield line


def _cells(numbers: Entry) -> tuple[str, ...]:
    decimals = numbers.decimals
    interval = "-"
    if numbers.low is not None and numbers.high is not None:
        interval = (
            f"{_number_text(numbers.low, decimals)} to {_number_text(numbers.high, decimals)}"
        )
    return (
        f"  {numbers.row}",
        str(numbers.n) if numbers.n else "-",
        _number_text(numbers.ours, decimals, sign=bool(numbers.verdict)),
        _number_text(numbers.sd, decimals),
        interval,
        numbers.theirs or "-",
        _number_text(numbers.difference, decimals, sign=True),
        numbers.note,
    )


def _bullets(sentences: Iterable[str]) -> list[str]:
    return [line for sentence in sentences for line in _wrapped(sentence, "- ")]


def _wrapped(text: str, bullet: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )
