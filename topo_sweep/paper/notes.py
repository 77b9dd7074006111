"""How each preset stands to the eDARTS paper's text: differences in value, and open choices.

What notes say of our side is read from the preset, so that it cannot go stale; what they say of
the paper's, and why we chose as we did, is data in `choices.yaml`.
"""

from __future__ import annotations

import functools
import importlib.resources
import string
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from topo_sweep.spec.presets import ALL_PRESETS, find_preset, preset_difference, value_text
from topo_sweep.spec.strict_yaml import read_yaml

Kind = Literal["differs", "inferred", "open", "same"]

KINDS: Final[Mapping[Kind, str]] = {
    "differs": "the text has something else, or more",
    "inferred": "the text suggests it without saying it, or the code that it builds on has it",
    "open": "the text does not say, so it is our choice",
    "same": "as in the text, and others differ",
}
"""In the order in which notes are printed."""

Line = Annotated[str, StringConstraints(pattern=r"\A\S(.*\S)?\z")]
"""Text on one line, neither empty nor with a space at either end."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PaperNote(_Data):
    """One difference or choice; the head of `choices.yaml` explains the fields."""

    setting: Line
    paper: Line
    ours: Line
    why: Line
    kind: Kind = "open"

    def not_given(self) -> PaperNote:
        """Return what is left of the note where the text says nothing of this setting."""
        kind = "open" if self.kind == "differs" else self.kind
        return self.model_copy(update={"paper": "not given", "kind": kind})

    def __str__(self) -> str:
        return f"{self.setting}. Paper: {self.paper}. Ours: {self.ours}. {self.why}"


class PresetNotes(_Data):
    """Which notes belong to a preset; see the head of `choices.yaml`."""

    printed: list[str] = []
    groups: list[str]
    silent: list[str] = []
    follows: str | None = None
    reasons: dict[str, Line] = {}


class NotesFile(_Data):
    """What `choices.yaml` holds; refuses presets, groups and settings that do not exist."""

    topics: list[Line]
    groups: dict[str, list[PaperNote]]
    presets: dict[str, PresetNotes]

    def of(self, preset: str) -> list[PaperNote]:
        """Return the notes of a preset as they stand in the file, values not yet filled in."""
        chosen = self.presets[preset]
        return [
            (note.not_given() if group in chosen.silent else note).model_copy(
                update={"why": chosen.reasons.get(note.setting, note.why)}
            )
            for group in chosen.groups
            for note in self.groups[group]
        ]

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        if problems := [*self._unknown_names()] or [*self._unknown_settings()]:
            raise ValueError("; ".join(problems))
        return self

    def _unknown_names(self) -> Iterator[str]:
        for preset in sorted(set(self.presets) ^ set(ALL_PRESETS)):
            yield f"{preset} is no preset" if preset in self.presets else f"{preset} is missing"
        used = {group for chosen in self.presets.values() for group in chosen.groups}
        for group in sorted(used ^ set(self.groups)):
            yield f"{group} is no group" if group in used else f"no preset has the group {group}"
        for preset, chosen in self.presets.items():
            for group in sorted(set(chosen.silent) - set(chosen.groups)):
                yield f"{preset}: {group} is silent but none of its groups"
            if chosen.follows and chosen.follows not in ALL_PRESETS:
                yield f"{preset} follows {chosen.follows}, which is no preset"

    def _unknown_settings(self) -> Iterator[str]:
        for preset, chosen in self.presets.items():
            settings = set(type(ALL_PRESETS[preset]).model_fields)
            about = {note.setting for note in self.of(preset)} | set(chosen.reasons)
            for name in sorted(about - settings - set(self.topics)):
                yield f"{preset}: {name} is neither a setting nor a topic"
            for name in sorted(set(chosen.printed) - settings):
                yield f"{preset}: {name} is printed but no setting"
            texts = " ".join(note.ours + note.why for note in self.of(preset))
            fields = {field for _, field, _, _ in string.Formatter().parse(texts) if field}
            for name in sorted(fields - settings):
                yield f"{preset}: {{{name}}} is no setting"


@functools.cache
def notes_file() -> NotesFile:
    """Return what `choices.yaml` holds.

    Raises:
        ValidationError: it names what does not exist, or lacks something.

    """
    file = importlib.resources.files("topo_sweep.paper") / "choices.yaml"
    return NotesFile.model_validate(read_yaml(file, "choices.yaml"))


def printed_settings(name: str) -> frozenset[str]:
    """Return the settings of a preset whose values the paper's text has."""
    return frozenset(notes_file().presets[name].printed)


def notes(name: str) -> list[PaperNote]:
    """Return the differences and open choices of a preset, differences first.

    A preset that follows another differs from the paper in what differs in value from that one and
    is printed; of other values the paper's text is that of the followed preset's own note.

    Raises:
        InputError: no such preset.

    """
    preset, chosen = find_preset(name), notes_file().presets[name]
    followed = chosen.follows or name
    different = preset_difference(preset, ALL_PRESETS[followed]).different
    its_notes = {note.setting: note.paper for note in notes_file().of(followed)}
    deviations = [
        PaperNote(
            setting=setting,
            paper=value_text(theirs),
            ours=value_text(ours),
            why=chosen.reasons[setting],
            kind="differs",
        )
        if setting in printed_settings(followed)
        else PaperNote(
            setting=setting,
            paper=its_notes.get(setting, "not given"),
            ours=f"{value_text(ours)}, where {followed} has {value_text(theirs)}",
            why=chosen.reasons[setting],
        )
        for setting, (ours, theirs) in different.items()
    ]
    values = preset.model_dump(mode="json")
    written = [
        note.model_copy(
            update={
                field: _FILLED.vformat(getattr(note, field), (), values)
                for field in ("ours", "why")
            }
        )
        for note in notes_file().of(name)
        if note.setting not in different
    ]
    return sorted([*deviations, *written], key=lambda note: list(KINDS).index(note.kind))


class _Filled(string.Formatter):
    """Fills in values of a preset as people write them."""

    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ANN401 - any JSON value
        return format(value, format_spec) if format_spec else value_text(value)


_FILLED: Final = _Filled()
