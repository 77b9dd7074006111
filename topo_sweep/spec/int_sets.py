"""Sets of numbers as people write them: 0-3,17."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any, Final

from nas_core.errors import InputError
from topo_sweep.spec.strict_yaml import shown_value

MEMBER_LIMIT: Final = 1_000_000
"""Numbers that an int set may hold: a range of billions must not fill the memory."""

_LARGEST: Final = 10**18 - 1  # 18 digits always fit into the 64 bits of a store's column


def parse_int_set(text: str, *, what: str, maximum: int | None = None) -> tuple[int, ...]:
    """Return the numbers that a text like '0-3,17' names, sorted, each once.

    Args:
        text: numbers and ranges, separated by commas; both ends of a range belong to it.
        what: what the numbers are, for the error message.
        maximum: the largest number allowed.

    Raises:
        InputError: no such text, a number above the maximum, or more than `MEMBER_LIMIT`.

    """
    try:
        return members(text, maximum)
    except ValueError as error:
        raise InputError(f"{what} {shown_value(text)}: {error}") from None


def format_int_set(numbers: Iterable[int]) -> str:
    """Return the text from which `parse_int_set` gives these numbers, which are 0 or above."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def members(value: object, maximum: int | None) -> tuple[int, ...]:
    """Return the numbers that a text, a number or a list of numbers names.

    Raises:
        ValueError: what is wrong, and what to write.

    """
    form = f"write numbers {'from 0' if maximum is None else f'0 to {maximum}'}, as in 0-3,17"
    ranges = _ranges(value, form)
    if not ranges:
        raise ValueError(f"that is none: {form}")
    last = max(members[-1] for members in ranges)
    if last > (_LARGEST if maximum is None else maximum):
        raise ValueError(f"{last} is too large: {form}")
    if sum(map(len, ranges)) > MEMBER_LIMIT:
        raise ValueError(f"that is more than {MEMBER_LIMIT:,} numbers: name fewer")
    return tuple(sorted(set(itertools.chain.from_iterable(ranges))))


def _ranges(value: object, form: str) -> list[range]:
    if isinstance(value, str):
        return [_range(item.strip(), form) for item in value.split(",")]
    items: Iterable[Any] = value if isinstance(value, list | tuple) else [value]
    if bad := [item for item in items if type(item) is not int or item < 0]:
        raise ValueError(f"no number from 0: {', '.join(map(shown_value, bad[:5]))}: {form}")
    return [range(item, item + 1) for item in items]


def _range(item: str, form: str) -> range:
    match = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", item)
    if match is None:
        raise ValueError(f"{shown_value(item)} is no number or range: {form}")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise ValueError(f"{item} counts down: write {last}-{first}")
    return range(first, last + 1)
