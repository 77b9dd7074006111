"""The errors that topo-sweep raises on purpose; a message names the value and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


class TopoSweepError(Exception):
    """Base of all our errors: something that was asked for could not be done."""


class InputError(TopoSweepError, ValueError):
    """What was asked for is not possible as asked: a bad value, file, folder or combination.

    A ValueError, so that pydantic reports one that a validator raises beside its own.
    """


def nearest(name: object, valid: Iterable[str], *, most: int = 3, cutoff: float = 0.6) -> str:
    """Return the valid names nearest to one that is not, as 'a or b'; '' where none is near.

    Args:
        name: what was written.
        valid: what could have been meant.
        most: how many names at most.
        cutoff: the least similarity, 0..1.

    """
    return " or ".join(difflib.get_close_matches(str(name), list(valid), most, cutoff))


def valid_keys_hint(name: str, valid: Collection[str]) -> str:
    """Return what to write instead of an unknown key: the nearest valid ones, else all."""
    near = nearest(name, valid, cutoff=0.5)
    return f"did you mean {near}?" if near else f"valid keys: {', '.join(sorted(valid))}"
