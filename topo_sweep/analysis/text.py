"""Numbers as people read them: counted nouns, seeds and what one seed cannot tell, tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import isnan
from typing import Final

NO_SPREAD: Final = "n = 1: the spread over seeds is unknown, and the order is not evidence"
"""What a picture says in which no group has a second seed."""

SOME_WITHOUT_SPREAD: Final = "n = 1 in {single} of {groups} groups: their spread is unknown"
"""What a picture says in which other groups have more seeds."""

GIVEN: Final = "cut at 0 and 100%, given this split and this test set"
"""How far an interval of accuracies can go, and what it takes as fixed."""

NO_INTERVAL: Final = {
    "every": "With one seed there is no interval, and this order is not evidence.",
    "some": "Where n = 1 there is no interval, and the place is not evidence.",
}
"""What a table of intervals says where no group has a second seed, and where some have none; given
to `single_seed_caution`."""


def counted(count: int, noun: str) -> str:
    """Return '1 trial', '2,000 trials', '2 searches', '79 classes' or '180 topologies'."""
    if count == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{count:,} {noun[:-1]}ies"
    return f"{count:,} {noun}{'es' if noun.endswith(('ch', 'ss')) else 's'}"


def plural(noun: str) -> str:
    """Return 'trials', 'searches', 'classes' or 'topologies'."""
    return counted(2, noun).removeprefix("2 ")


def p_words(p_value: float) -> str:
    """Return 'p < 0.001', 'p = 0.012' or 'p = 0.35'."""
    if p_value < 0.001:
        return "p < 0.001"
    return f"p = {p_value:.{3 if p_value < 0.1 else 2}f}"


def p_number(p_value: float) -> str:
    """Return '0.0123' for a column of a table, or '<0.0001'."""
    return f"{p_value:.4f}" if p_value >= 1e-4 else "<0.0001"


def points(fraction: float) -> str:
    """Return a difference or spread of accuracies (fractions): 0.0123 is '1.23' points, NaN '-'."""
    return "-" if isnan(fraction) else f"{100 * fraction:.2f}"


def interval_words(low: float, high: float) -> str:
    """Return an interval of accuracies or of their differences, in points; '-' for none."""
    return "-" if isnan(low) or isnan(high) else f"{points(low)} to {points(high)}"


def n_words(counts: Collection[int]) -> str:
    """Return 'n = 10' or 'n = 8 to 10'."""
    fewest, most = int(min(counts)), int(max(counts))
    return f"n = {fewest}" if fewest == most else f"n = {fewest} to {most}"


def single_seed_caution(
    counts: Collection[int], *, every: str = NO_SPREAD, some: str = SOME_WITHOUT_SPREAD
) -> list[str]:
    """Return the sentence that is due where groups have one seed, none where all have more.

    Args:
        counts: of each group its number of seeds.
        every: the sentence where no group has a second seed.
        some: the sentence where others have; '{single}' in it is how many have one seed, and
            '{groups}' how many groups there are.

    """
    single = sum(int(count) == 1 for count in counts)
    if not single:
        return []
    return [every if single == len(counts) else some.format(single=single, groups=len(counts))]


def aligned(rows: Sequence[Sequence[str]], *, left: Collection[int]) -> list[str]:
    """Return a line a row with columns as wide as needed, those in `left` flush left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if column in left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def duration(seconds: float) -> str:
    """Return a length of time as a person says it: '42 s', '3 min 20 s', '5 h 10 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole / 86400:.1f} days"


def duration_with_range(seconds: float, error: float) -> str:
    """Return a length of time and how far it may be off: '2 h 10 min (1 h 50 min to 2 h 29 min)'.

    `error` is a share of the seconds; where both ends read like the middle, they are left out.
    """
    middle, *ends = (duration(seconds * factor) for factor in (1, max(1 - error, 0), 1 + error))
    return middle if {middle} == set(ends) else f"{middle} ({ends[0]} to {ends[1]})"


def plain_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in which columns of numbers are flush right, and all others flush left."""
    texts = [tuple(map(str, row)) for row in rows]
    numbers = [bool(rows) and all(map(_is_number, column)) for column in zip(*texts, strict=True)]
    left = [column for column, is_number in enumerate(numbers) if not is_number]
    return "\n".join(aligned([tuple(header), *texts], left=left if rows else range(len(header))))


def _is_number(text: str) -> bool:
    return text == "-" or text.replace(".", "", 1).replace("-", "", 1).rstrip("%").isdigit()
