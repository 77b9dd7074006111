"""What a spec says of a sweep that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nas_core.errors import InputError


def refused(make: Callable[..., object], *arguments: Any, **values: Any) -> str:
    """Return the one line in which making a sweep of these is refused."""
    with pytest.raises(InputError) as caught:
        make(*arguments, **values)
    assert str(caught.value).isprintable(), "one line"
    return str(caught.value)
