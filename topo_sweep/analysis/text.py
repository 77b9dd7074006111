"""Numbers as people read them: counted nouns, seeds, aligned columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def counted(count: int, noun: str) -> str:
    """Return '1 trial' or '2,000 trials'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def n_words(counts: Collection[int]) -> str:
    """Return 'n = 10' or 'n = 8 to 10'."""
    fewest, most = int(min(counts)), int(max(counts))
    return f"n = {fewest}" if fewest == most else f"n = {fewest} to {most}"


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
