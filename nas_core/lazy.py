"""Public names of a package that are imported when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package.

    What is listed are the public names, and what every module has: `__name__` and its like.

    Args:
        package: its `__name__`.
        homes: module inside the package -> the public names that it defines.

    """
    modules = {name: f"{package}.{module}" for module, names in homes.items() for name in names}

    def find(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    def listed() -> list[str]:
        own = vars(sys.modules[package])
        return sorted({*modules, *(name for name in own if name.startswith("__"))})

    return find, listed
