"""Inputs that nobody writes on purpose, what must become of them, and how many are tried."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from nas_core.errors import TopoSweepError

Result = TypeVar("Result")

FUZZ: Final = settings(
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES", "30")),
    suppress_health_check=list(HealthCheck),
)
"""`make fuzz EXAMPLES=N` tries N inputs of each kind; all other runs a few."""

NUMBERS = st.one_of(
    st.integers(-3, 200),
    st.integers(),
    st.sampled_from([2**31, 2**63 - 1, 2**63, 10**18, 10**30, -(2**63) - 1]),
    st.floats(),
)
NAMES = st.sampled_from(
    ["../x", "/etc/passwd", "..", ".", "a/b", "a\0b", "a\nb", "~", "-x", "", "x" * 300, "{}", "%s"]
)
TEXTS = st.one_of(NAMES, st.text(max_size=20), st.text("0123456789-,:@+;|.eE \n", max_size=12))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
"""What JSON and YAML can hold."""


def works_or_is_refused(
    function: Callable[..., Result], *arguments: Any, **options: Any
) -> Result | None:
    """Return what a function returns, or None where it refuses its arguments in one line."""
    try:
        return function(*arguments, **options)
    except TopoSweepError as error:
        message = str(error)
        assert message, "it says nothing"
        assert len(message.splitlines()) == 1, message
        assert len(message) < 20_000, "no one reads so much"
        return None


@st.composite
def edited(draw: st.DrawFn, text: str) -> str:
    """Return a text of which a few pieces are cut, doubled, or replaced."""
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(start + 12, len(text))))
        piece = draw(st.one_of(st.just(""), st.just(text[start:end] * 2), TEXTS))
        text = text[:start] + piece + text[end:]
    return text


def places_in(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of everything in a JSON value, the value itself left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in items:
        found.append((*place, key))
        if isinstance(inner, dict | list):
            found += places_in(inner, (*place, key))
    return found


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """Return a JSON value of which a few things are replaced, removed, moved or added."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        places = places_in(value)
        if not places:
            break
        *way, key = draw(st.sampled_from(places))
        holder = value
        for step in way:
            holder = holder[step]
        action = draw(st.sampled_from(["junk", "junk", "number", "remove", "add", "copy"]))
        if action == "remove":
            del holder[key]
        elif action == "add" and isinstance(holder, dict):
            holder[draw(TEXTS)] = draw(JUNK)
        elif action == "copy":
            other = value
            for step in draw(st.sampled_from(places)):
                other = other[step] if not isinstance(other, list) or step < len(other) else None
                if not isinstance(other, dict | list):
                    break
            holder[key] = copy.deepcopy(other)
        else:
            holder[key] = draw(NUMBERS if action == "number" else JUNK)
    return value
