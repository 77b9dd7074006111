"""What a comparison with the paper is made of: estimates, entries, and how they are printed.

Nothing here knows a table of the paper: II is in `paper/table_2.py`, III and IV are in
`paper/cells.py`, the two phases in `paper/phases.py`, figure 2 in `paper/claims.py` and the
ablations in `paper/ablations.py`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
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


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number after Holm (1979), in the order given."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


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


def entry(quantity: str, row: str, found: Estimate | None, **values: Any) -> Entry:  # noqa: ANN401 - fields of Entry
    """Return the entry of an estimate; `values` are further fields of `Entry`."""
    if found is None:
        return Entry(quantity=quantity, row=row, ours=None, **values)
    return Entry(
        quantity=quantity,
        row=row,
        ours=found.mean,
        n=found.n,
        sd=found.sd,
        low=found.low,
        high=found.high,
        **values,
    )


def beside(found: Published | None) -> dict[str, Any]:
    """Return the fields of an entry that hold what the paper prints, if anything."""
    return {} if found is None else {"theirs": found.value, "theirs_value": found.number}


@dataclass(frozen=True, kw_only=True)
class Comparison:
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


def to_records(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """Return a flat record for each entry, each with its setting and what differs."""
    return [
        {
            "table": comparison.table,
            "quantity": own.quantity,
            "row": own.row,
            "n": own.n,
            "ours": own.ours,
            "sd": own.sd,
            "ci_low": own.low,
            "ci_high": own.high,
            "paper": own.theirs or None,
            "difference": own.difference,
            "verdict": own.verdict or None,
            "note": own.note or None,
            "setting": comparison.setting,
            "differs": "; ".join(comparison.differs) or None,
        }
        for comparison in comparisons
        for own in comparison.entries
    ]


def format_comparison(comparison: Comparison) -> str:
    """Return the comparison for people: title, setting, what differs, numbers, notes."""
    lines = [comparison.title, "=" * len(comparison.title), *_wrapped(comparison.setting)]
    lines += _listed("not as in the paper:", comparison.differs)
    if not comparison.differs:
        lines.append("protocol and data as in the paper, as far as it tells")
    lines += ["", *_numbers(comparison.entries)]
    if comparison.extra:
        lines += ["", comparison.extra]
    if comparison.notes:
        lines += ["", *_listed("", comparison.notes)]
    return "\n".join(lines)


def shown(value: float | None, decimals: int | None = 2, *, sign: bool = False) -> str:
    """Return a number for people; '-' where there is none."""
    if value is None:
        return "-"
    plus = "+" if sign else ""
    return f"{value:{plus}.3g}" if decimals is None else f"{value:{plus}.{decimals}f}"


def _numbers(entries: Sequence[Entry]) -> list[str]:
    """Return one aligned table in which each quantity is a heading over its rows."""
    rows = [_HEADER, *map(_cells, entries)]
    if all(row[_DIFFERENCE] == "-" for row in rows[1:]):
        rows = [(*row[:_DIFFERENCE], "", *row[_DIFFERENCE + 1 :]) for row in rows]
    lines = iter(aligned(rows, left=(0, len(_HEADER) - 1)))
    found = [next(lines)]
    quantity = None
    for own, line in zip(entries, lines, strict=True):
        if own.quantity != quantity:
            quantity = own.quantity
            found.append(f"{own.verdict.upper()}: {quantity}" if own.verdict else quantity)
        found.append(line)
    return found


def _cells(own: Entry) -> tuple[str, ...]:
    interval = "-"
    if own.low is not None and own.high is not None:
        interval = f"{shown(own.low, own.decimals)} to {shown(own.high, own.decimals)}"
    return (
        f"  {own.row}",
        str(own.n) if own.n else "-",
        shown(own.ours, own.decimals, sign=bool(own.verdict)),
        shown(own.sd, own.decimals),
        interval,
        own.theirs or "-",
        shown(own.difference, own.decimals, sign=True),
        own.note,
    )


def _listed(heading: str, sentences: Sequence[str]) -> list[str]:
    """Return a bullet a sentence under a heading; nothing without sentences."""
    bullets = [line for text in sentences for line in _wrapped(text, "- ")]
    return [heading, *bullets] if heading and sentences else bullets


def _wrapped(text: str, bullet: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )
