"""How each preset stands to the eDARTS paper's text: differences in value, and open choices. Pure.

What notes say of our side is read from the preset, so that it cannot go stale; what they say of
the paper's is in `paper/choices.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from nas_core.protocols.training import NetworkTraining
from topo_sweep.paper.choices import CHOICES, KINDS, Note
from topo_sweep.spec.presets import ALL_PRESETS, compare, find_preset, value_text

_SMALLER: Final = "Smaller, so that it ends in minutes without a GPU."
_SHIFTED: Final = "A digit fills its 8x8 pixels, so a shifted one would be cut off."
_MIRRORED: Final = "A mirrored digit is another digit or none."
_REFERENCES: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "demo": (
        "shallow",
        {
            "init_channels": _SMALLER,
            "epochs": _SMALLER,
            "batch_size": "Divides the demo's 432 images.",
            "learning_rate": "So few steps need larger ones.",
            "drop_path": "Five epochs of a small network do not overfit.",
            "crop_padding": _SHIFTED,
            "flip": _MIRRORED,
        },
    ),
    "search_darts_1st": (
        "search_darts_2nd",
        {"alpha_order": "DARTS' own cheaper variant, for comparison with Table II's first row."},
    ),
    "search_demo": (
        "search_edarts",
        {
            "init_channels": _SMALLER,
            "images": _SMALLER,
            "crop_padding": _SHIFTED,
            "flip": _MIRRORED,
        },
    ),
}
"""Presets that deviate on purpose: from which one that follows the paper, and why."""


def notes(name: str) -> list[Note]:
    """Return the differences and open choices of a preset, differences first.

    Raises:
        InputError: no such preset.

    """
    protocol = find_preset(name)
    deviations = _deviations(name, protocol)
    settled = {note.setting for note in deviations}
    values = {setting: _Shown(value) for setting, value in protocol.model_dump(mode="json").items()}
    written = [
        dataclasses.replace(
            note, ours=note.ours.format_map(values), why=note.why.format_map(values)
        )
        for note in CHOICES[name]
        if note.setting not in settled
    ]
    return sorted([*deviations, *written], key=lambda note: list(KINDS).index(note.kind))


def _deviations(name: str, protocol: NetworkTraining) -> list[Note]:
    """Return what differs in value from the preset that follows the paper."""
    if name not in _REFERENCES:
        return []
    reference, whys = _REFERENCES[name]
    return [
        Note(
            setting=setting,
            paper=value_text(theirs),
            ours=value_text(ours),
            why=whys[setting],
            kind="differs",
        )
        for setting, (ours, theirs) in compare(protocol, ALL_PRESETS[reference]).different.items()
    ]


class _Shown:
    """A value of a preset that format strings print as people write it."""

    def __init__(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        self.value = value

    def __format__(self, specification: str) -> str:
        return format(self.value, specification) if specification else value_text(self.value)
