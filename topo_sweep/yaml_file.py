"""Reading YAML from people: strict, small, and with one clear line for whatever is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

from nas_core.errors import InputError

MOST_BYTES: Final = 2**20

_FLOAT = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.[\d_]+)[eE][-+]?\d+")


class _Loader(yaml.SafeLoader):
    """YAML's plain types; no aliases, no repeated keys; 1e-3 is a number."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401
        """Refuse aliases: a few lines of them can unfold to gigabytes."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.constructor.ConstructorError(
                None, None, "aliases (*name) are not allowed", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is given twice, of which YAML would drop one."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


# YAML 1.1, which PyYAML reads, wants a dot and a sign: without this 1e-3 would be text.
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        InputError: names the file and what is wrong with it.

    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, not a YAML file")
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise InputError(
                f"{path} is {size:,} bytes large; a sweep is a few lines, at most {MOST_BYTES:,}"
            )
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    value = _parsed(text, str(path))
    if value is None:
        raise InputError(f"{path} is empty; a sweep needs at least `kind: topologies`")
    if not isinstance(value, dict):
        raise InputError(
            f"{path} holds a {type(value).__name__}, not keys with values like `kind: topologies`"
        )
    return {str(key): item for key, item in value.items()}


def read_scalar(text: str, where: str) -> Any:  # noqa: ANN401 - any YAML scalar
    """Return the value of one YAML scalar, as in `--set key=value`.

    Raises:
        InputError: names `where` it stands.

    """
    return _parsed(text, where)


def _parsed(text: str, where: str) -> Any:  # noqa: ANN401 - any YAML value
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise InputError(
            f"{where}{place} is not the YAML that is read here: {error.problem}"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else error
        raise InputError(f"{where} is not the YAML that is read here: {reason}") from None
