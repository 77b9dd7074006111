"""Checkpoints: tensors and a JSON value in one safetensors file, written whole or not at all.

Among its metadata is a digest of all its bytes, but for the digest itself.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from nas_core.files import digest, is_regular, write_durably

_LOGGER = logging.getLogger(__name__)
_NO_DIGEST: Final = "0" * 16


@dataclass
class Checkpoint:
    """One file that a long computation can go on from.

    Args:
        path: the file; its folder must exist by the time of `save`.
        key: whose state this is; a file with another key is not read.
        every_seconds: `is_due` says no until this long after the last save, so that short
            computations write nothing.
        write: replaces a file by a content, whole or not at all; raises an OSError.

    """

    path: Path
    key: str
    every_seconds: float = 20.0
    write: Callable[[Path, bytes], None] = write_durably
    _saved_at: float = field(default_factory=time.monotonic)
    _warned: bool = False

    @property
    def is_due(self) -> bool:
        """Whether the time since the last save (or since the start) is long enough."""
        return time.monotonic() - self._saved_at >= self.every_seconds

    def save(self, tensors: Mapping[str, Tensor], value: Any) -> None:  # noqa: ANN401 - JSON
        """Replace the file by these tensors (by name) and this JSON value.

        Where that fails, as on a full disk, the computation goes on: a warning says once that it
        would have to start over.
        """
        written = save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            metadata={"key": self.key, "value": json.dumps(value), "digest": _NO_DIGEST},
        )
        content = _with_digest(written, _NO_DIGEST, digest(written))
        self._saved_at = time.monotonic()
        try:
            self.write(self.path, content)
        except OSError as error:
            if not self._warned:
                _LOGGER.warning("no checkpoint can be written, training goes on without: %s", error)
            self._warned = True

    def load(self) -> tuple[dict[str, Tensor], Any] | None:
        """Return tensors and value, or None where there is no readable file of this key.

        A damaged file costs the time it had saved, not the trial: everything starts over from
        the same random streams, and a warning says so.
        """
        try:
            if not is_regular(self.path):
                raise ValueError("it is no regular file")
            return self._read(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
            _LOGGER.warning("starting over, checkpoint %s is unusable: %s", self.path, error)
            return None

    def _read(self, content: bytes) -> tuple[dict[str, Tensor], Any]:
        metadata = checked_metadata(content)
        if metadata["key"] != self.key:
            raise ValueError(f"it belongs to {metadata['key']!r}, not {self.key!r}")
        return load(content), json.loads(metadata["value"])


def checked_metadata(content: bytes) -> dict[str, str]:
    """Return the metadata of a checkpoint's file, among them `key` and `value`.

    Raises:
        ValueError, KeyError: it is not what was written; a file of an earlier version cannot say.

    """
    try:
        metadata: dict[str, str] = json.loads(content[8 : _header_ends(content)])["__metadata__"]
        is_text = all(isinstance(value, str) for value in metadata.values())
    except (TypeError, AttributeError, RecursionError):  # a list, no metadata, or nested deeply
        is_text = False
    if not is_text:
        raise ValueError("its header is not that of a checkpoint")
    saved = metadata.get("digest")
    if saved is not None and digest(_with_digest(content, saved, _NO_DIGEST)) != saved:
        raise ValueError("its bytes are not those that were written")
    return metadata


def _with_digest(content: bytes, old: str, new: str) -> bytes:
    """Return a file with another digest in its header."""
    end = _header_ends(content)
    return (
        content[:end].replace(f'"digest":"{old}"'.encode(), f'"digest":"{new}"'.encode())
        + (content[end:])
    )


def _header_ends(content: bytes) -> int:
    return 8 + int.from_bytes(content[:8], "little")
