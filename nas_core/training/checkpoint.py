"""Checkpoints: tensors and a JSON value in one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nas_core.files import write_durably

_LOGGER = logging.getLogger(__name__)


@dataclass
class Checkpoint:
    """One file that a long computation can go on from.

    Args:
        path: the file; its folder must exist by the time of `save`.
        key: whose state this is; a file with another key is not read.
        every_seconds: `is_due` says no until this long after the last save, so that short
            computations write nothing.

    """

    path: Path
    key: str
    every_seconds: float = 20.0
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
        content = save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            metadata={"key": self.key, "value": json.dumps(value)},
        )
        self._saved_at = time.monotonic()
        try:
            write_durably(self.path, content)
        except OSError as error:
            if not self._warned:
                _LOGGER.warning("no checkpoint can be written, training goes on without: %s", error)
            self._warned = True

    def load(self) -> tuple[dict[str, Tensor], Any] | None:
        """Return tensors and value, or None where there is no readable file of this key.

        A damaged file costs the time it had saved, not the trial: everything starts over from
        the same random streams, and a warning says so.
        """
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("key") != self.key:
                    raise ValueError(f"it belongs to {metadata.get('key')!r}, not {self.key!r}")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return tensors, json.loads(metadata["value"])
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            _LOGGER.warning("starting over, checkpoint %s is unusable: %s", self.path, error)
            return None
