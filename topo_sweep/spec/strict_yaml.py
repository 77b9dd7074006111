"""Strict YAML: keys and values that a model accepts, or one line with all that is wrong.

What the keys mean is not known here; that is `spec/load.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from nas_core.errors import InputError, valid_keys_hint

SIZE_LIMIT: Final = 1_000_000
"""Bytes; a sweep of a thousand written genotypes is half of it."""

DEPTH_LIMIT: Final = 20
"""Levels of nesting; a sweep has three, and the composer recurses once a level."""

PROBLEM_LIMIT: Final = 100
"""Problems told at once; who has more has the wrong file."""


class _RefusedError(yaml.YAMLError):
    """YAML that is valid but that we do not read."""


class _Loader(yaml.SafeLoader):
    """Composes nodes with the plain scalars of YAML 1.2, without tags and without aliases.

    PyYAML reads YAML 1.1, where 1e-3 is text, `no` is false, 010 is 8 and 1:30 is 90. Aliases
    are refused because a few lines of them expand to gigabytes.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose the next node, unless it is of a kind that is refused."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        self._depth += 1
        if isinstance(event, yaml.AliasEvent):
            problem = "aliases (*name) are not allowed: write the value out"
        elif tag := getattr(event, "tag", None):
            problem = f"tags (here {shown_value(tag)}) are not allowed: write a plain value"
        elif self._depth > DEPTH_LIMIT:
            problem = f"values are nested more than {DEPTH_LIMIT} levels deep"
        else:
            node = super().compose_node(parent, index)
            self._depth -= 1
            return node
        raise _RefusedError(f"{_position(event.start_mark)}: {problem}")


Scalar = str | float | bool | None

_SCALARS: Final[tuple[tuple[str, str, Callable[[str], Scalar]], ...]] = (
    ("null", r"(?:~|null|Null|NULL|)\Z", lambda _: None),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", lambda text: text.lower() == "true"),
    # At most 18 digits: such numbers fit into 64 bits, and Python refuses to read very long ones.
    ("int", r"[-+]?[0-9]{1,18}\Z", int),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?\Z", float),
    (
        "not finite",
        r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z",
        lambda text: float(text.replace(".", "")),
    ),
)
"""Plain scalars that are no text: our tag, their form, and what reads them."""

_Loader.yaml_implicit_resolvers = {}
for _tag, _form, _ in _SCALARS:
    _Loader.add_implicit_resolver(_tag, re.compile(_form), None)
_READERS: Final = {tag: read for tag, _, read in _SCALARS}


Key = tuple[str | int, ...]
"""A value's place in a file: the keys, and indices of lists, that lead to it."""

_Model = TypeVar("_Model", bound=BaseModel)

_ALLOWED: Final[Mapping[str, str]] = {
    "bool_type": "write true or false",
    "int_type": "write a whole number",
    "float_type": "write a number",
    "string_type": "write text",
}


@dataclass
class Draft:
    """Values before they are checked, and all that is wrong with them so far.

    Args:
        file: what the values come from, for messages.
        values: the values; `give` adds to them.
        advice: for a missing key what to write.
        labels: how a value was given that does not come from the file.
        problems: one sentence each, with file, key, value and what is allowed.

    """

    file: str
    values: dict[str, Any]
    advice: Mapping[str, str] = field(default_factory=dict)
    labels: dict[Key, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def give(self, key: Key, value: object, label: str) -> None:
        """Set a value that does not come from the file; its section must exist."""
        *sections, name = key
        target = self.values
        for section in sections:
            target = target[str(section)]
        target[str(name)] = value
        self.labels[key] = label

    def refuse(self, key: Key, value: object, allowed: str) -> None:
        """Note that a value is wrong, and what is allowed instead."""
        in_file = f"{self.file}: {_dotted(key)} = {shown_value(value)}" if key else self.file
        label = self.labels.get(key) or in_file
        self.problems.append(f"{label}: {allowed}")

    def miss(self, key: Key) -> None:
        """Note that a value is missing, and what to write."""
        name = _dotted(key)
        self.problems.append(f"{self.file}: {name} is missing: {self.advice.get(name, 'write it')}")

    def checked(
        self, model: type[_Model], values: object, *section: str, also: frozenset[str] = frozenset()
    ) -> _Model | None:
        """Return the model with these values, or None after noting all that it refuses.

        Args:
            model: decides about every key and value.
            values: those of the section.
            section: where they stand in the file.
            also: keys of the section that the file may have beside the model's.

        """
        try:
            return model.model_validate(values)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                key, kind = (*section, *detail["loc"]), detail["type"]
                if kind == "missing":
                    self.miss(key)
                elif kind == "extra_forbidden":
                    more = also if key not in self.labels else frozenset()
                    hint = valid_keys_hint(str(key[-1]), {*model.model_fields, *more})
                    self.refuse(key, detail["input"], f"unknown key ({hint})")
                else:
                    self.refuse(key, detail["input"], _allowed(kind, detail["msg"]))
            return None


def one_line(problems: list[str]) -> str:
    """Return problems joined to one line; of a flood the first, which say what is going on."""
    more = len(problems) - PROBLEM_LIMIT
    return "; ".join([*problems[:PROBLEM_LIMIT], *([f"and {more:,} more"] if more > 0 else [])])


def shown_value(value: object) -> str:
    """Return a value much as YAML writes it, shortened to one line."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _dotted(key: Key) -> str:
    """Return a key as one speaks of it: protocol.epochs, genotypes[1]."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    text = "".join(parts).removeprefix(".")
    return text if text.isprintable() and len(text) <= 80 else shown_value(text)


def _allowed(kind: str, message: str) -> str:
    """Return pydantic's message in words for a user who never heard of pydantic."""
    message = message.removeprefix("Value error, ").replace("Input should be", "must be")
    return _ALLOWED.get(kind, message)


def read_yaml(file: Path | Traversable, source: str) -> dict[str, Any]:
    """Return the keys and values of a YAML file.

    Args:
        file: the file.
        source: its name in error messages.

    Raises:
        InputError: unreadable, larger than `SIZE_LIMIT`, not UTF-8, or not what
            `parse_yaml` takes.

    """
    try:
        # Bounded, so that an endless device or a growing file ends here as well.
        with file.open("rb") as stream:
            content = stream.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {source}") from None
    except IsADirectoryError:
        raise InputError(f"{source} is a folder: name a YAML file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{source} cannot be read: {_reason(error)}") from None
    if len(content) > SIZE_LIMIT:
        raise InputError(f"{source} is larger than {SIZE_LIMIT:,} bytes: no sweep needs that")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source} is not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}"
        ) from None
    return parse_yaml(text, source)


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """Return the keys and values of a YAML document.

    Raises:
        InputError: not YAML, empty, no mapping, keys that are no text or are given twice, tags,
            aliases, or deeper than `DEPTH_LIMIT`.

    """
    node = _composed(text, source)
    if node is None:
        raise InputError(f"{source} is empty: write keys and values, as in kind: topologies")
    if not isinstance(node, yaml.MappingNode):
        kind = "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
        raise InputError(f"{source} holds {kind}: write keys and values, as in kind: topologies")
    problems: list[str] = []
    values = _mapping(node, problems)
    if problems:
        raise InputError(one_line([f"{source}: {problem}" for problem in problems]))
    return values


def parse_scalar(text: str, source: str) -> Scalar:
    """Return one value, read as in a file: number, true or false, null, or text.

    Raises:
        InputError: not YAML, or a list or mapping.

    """
    node = _composed(text, source)
    if node is None:
        return None
    if not isinstance(node, yaml.ScalarNode):
        raise InputError(f"{source}: write a single value")
    return _scalar(node)


def _composed(text: str, source: str) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except _RefusedError as error:
        raise InputError(f"{source}: {_reason(error)}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # ValueError and OverflowError: PyYAML meets an escape like "\UFFFFFFFF".
        raise InputError(f"{source} is not YAML: {_reason(error)}") from None
    return node


def _reason(error: Exception) -> str:
    """Return what an error says in one line."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, yaml.reader.ReaderError):
        return f"character {error.position} is {error.character:#x}: {error.reason}"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{_position(error.problem_mark)}: {error.problem}"
    return str(error)


def _position(mark: Any) -> str:  # noqa: ANN401 - either of PyYAML's two classes of marks
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _value(node: yaml.Node, problems: list[str]) -> Any:  # noqa: ANN401 - what YAML can hold
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, problems)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, problems) for item in node.value]
    return _scalar(node)


def _mapping(node: yaml.MappingNode, problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _value(key_node, problems)
        position = _position(key_node.start_mark)
        if not isinstance(key, str):
            problems.append(f"{position}: the key {shown_value(key)} is no text: write a word")
        elif key in values:
            problems.append(f"{position}: the key {shown_value(key)} is given twice: keep one")
        else:
            values[key] = _value(value_node, problems)
    return values


def _scalar(node: yaml.Node) -> Scalar:
    return _READERS.get(node.tag, str)(node.value)
