"""All presets by name, of evaluations and of searches: what they set and how two differ. Pure.

How a preset stands to the paper's text is in `paper/notes.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nas_core.errors import InputError, nearest
from nas_core.protocols.search import SEARCH_PRESETS
from nas_core.protocols.training import PRESETS, NetworkTraining

ALL_PRESETS: Final[Mapping[str, NetworkTraining]] = {**PRESETS, **SEARCH_PRESETS}


def find_preset(name: str) -> NetworkTraining:
    """Return the preset of this name.

    Raises:
        InputError: there is none; names the nearest ones, else all.

    """
    if name in ALL_PRESETS:
        return ALL_PRESETS[name]
    near = nearest(name.lower(), ALL_PRESETS, cutoff=0.5)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(ALL_PRESETS)}"
    raise InputError(f"unknown preset {name!r}: {hint}")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of a preset, values as JSON has them (tuples are lists)."""

    name: str
    value: Any
    default: Any

    @property
    def differs(self) -> bool:
        """Whether the preset changes the default, which is what its hash covers."""
        return bool(self.value != self.default)


def settings(protocol: NetworkTraining) -> list[Setting]:
    """Return every setting in the order in which the class declares them."""
    defaults = type(protocol)().model_dump(mode="json")
    return [
        Setting(name=name, value=value, default=defaults[name])
        for name, value in protocol.model_dump(mode="json").items()
    ]


@dataclass(frozen=True, kw_only=True)
class PresetDifference:
    """How two presets differ.

    `different` holds both values of each common setting that differs; `only_first` and
    `only_second` name settings that the other kind of preset does not have, and `common` counts
    those that were compared.
    """

    different: Mapping[str, tuple[Any, Any]]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    common: int


def preset_difference(first: NetworkTraining, second: NetworkTraining) -> PresetDifference:
    """Compare the settings that both have; an evaluation lacks those of a search."""
    values = first.model_dump(mode="json")
    others = second.model_dump(mode="json")
    common = [name for name in values if name in others]
    return PresetDifference(
        different={
            name: (values[name], others[name]) for name in common if values[name] != others[name]
        },
        only_first=tuple(name for name in values if name not in others),
        only_second=tuple(name for name in others if name not in values),
        common=len(common),
    )


def value_text(value: object) -> str:
    """Return a setting's JSON value on one line, as a spec file would have it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {value_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(value_text(item) for item in value)}]"
    return str(value)
