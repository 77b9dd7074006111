"""The errors that topo-sweep raises on purpose; a message names the value and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TopoSweepError(Exception):
    """Base of all our errors: something that was asked for could not be done."""


class InputError(TopoSweepError):
    """What was asked for is not possible as asked: a bad value, file, folder or combination."""


def valid_keys_hint(name: str, valid: Iterable[str]) -> str:
    """Return what to write instead of an unknown key: the nearest valid ones, else all."""
    names = sorted(valid)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"valid keys: {', '.join(names)}"
