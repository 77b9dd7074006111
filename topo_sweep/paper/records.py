"""What a comparison with the paper is made of: estimates, entries, and how they are printed.

Nothing here knows a table of the paper; each has a module of its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import stdtr

from topo_sweep.analysis.accuracy import half_width
from topo_sweep.analysis.text import aligned
from topo_sweep.paper.published import Published

_WIDTH: Final = 100
_HEADER: Final = ("", "n", "ours", "SD", "95% interval", "paper", "ours - paper", "")
_DIFFERENCE: Final = _HEADER.index("ours - paper")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over `n` seeds with its spread; all but `n` and `mean` are None where n = 1.

    `low` and `high` are the 95% Student t interval, `sd` has ddof 1, `p_value` is the two-sided
    one of a mean of zero.
    """

    n: int
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


def estimate(values: Iterable[float]) -> Estimate | None:
    """Return mean, SD and interval over values that each belong to one seed; None for none."""
    seeds = np.asarray(list(values), dtype=float)
    n = len(seeds)
    if n == 0:
        return None
    mean = float(seeds.mean())
    if n == 1:
        return Estimate(n=n, mean=mean)
    sd = float(seeds.std(ddof=1))
    error = sd / n**0.5
    half = float(half_width(sd, n))
    # Without any spread the interval is a point, and only a mean of zero agrees with zero.
    p_value = 2 * float(stdtr(n - 1, -abs(mean) / error)) if error else float(mean == 0)
    return Estimate(n=n, mean=mean, sd=sd, low=mean - half, high=mean + half, p_value=p_value)


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
        verdict: of a claim: 'supported', 'contradicted' or 'undecided'.
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


def entry(quantity: str, row: str, ours: Estimate | None, **values: Any) -> Entry:  # noqa: ANN401 - fields of Entry
    """Return the entry of an estimate; `values` are further fields of `Entry`."""
    if ours is None:
        return Entry(quantity=quantity, row=row, ours=None, **values)
    values |= {"n": ours.n, "sd": ours.sd, "low": ours.low, "high": ours.high}
    return Entry(quantity=quantity, row=row, ours=ours.mean, **values)


def beside(number: Published | None) -> dict[str, Any]:
    """Return the fields of an entry that hold what the paper prints, if anything."""
    return {} if number is None else {"theirs": number.value, "theirs_value": number.number}


@dataclass(frozen=True, kw_only=True)
class ComparedTable:
    """One table of the paper beside ours, of one protocol and data set.

    Args:
        table: '2', '3', '4', 'fig2', 'phases' or 'ablations'.
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


def to_records(tables: Iterable[ComparedTable]) -> list[dict[str, Any]]:
    """Return a flat record for each entry, each with its setting and what differs."""
    return [
        {
            "table": table.table,
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
            "setting": table.setting,
            "differs": "; ".join(table.differs) or None,
        }
        for table in tables
        for line in table.entries
    ]


def format_table(table: ComparedTable) -> str:
    """Return a table for people: title, setting, what differs, numbers, notes."""
    lines = [table.title, "=" * len(table.title), *_wrapped(table.setting)]
    if table.differs:
        lines += ["not as in the paper:", *_bullets(table.differs)]
    else:
        lines.append("protocol and data as in the paper, as far as it tells")
    lines += ["", *_numbers(table.entries)]
    if table.extra:
        lines += ["", table.extra]
    if table.notes:
        lines += ["", *_bullets(table.notes)]
    return "\n".join(lines)


def number_text(value: float | None, decimals: int | None = 2, *, sign: bool = False) -> str:
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
        interval = f"{number_text(numbers.low, decimals)} to {number_text(numbers.high, decimals)}"
    return (
        f"  {numbers.row}",
        str(numbers.n) if numbers.n else "-",
        number_text(numbers.ours, decimals, sign=bool(numbers.verdict)),
        number_text(numbers.sd, decimals),
        interval,
        numbers.theirs or "-",
        number_text(numbers.difference, decimals, sign=True),
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
