"""Which network and images are measured: a preset, with some of its sizes replaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final, get_args

from nas_core.errors import InputError
from nas_core.protocols.data import DATASETS, DatasetInfo
from nas_core.protocols.search import NEEDS_TOPOLOGY, SearchProtocol
from nas_core.protocols.training import NetworkTraining, Protocol
from topo_sweep.analysis.text import counted
from topo_sweep.spec.presets import find_preset

PRECISIONS: Final[tuple[str, ...]] = get_args(Protocol.model_fields["precision"].annotation)

_TOPOLOGY: Final = 1
"""The wiring of searches that need one: DARTS' own."""


def training_size(
    preset: str, sizes: Mapping[str, int | None], image_size: int | None
) -> tuple[Protocol, DatasetInfo]:
    """Return settings of a training and the data set whose images they are for.

    Args:
        preset: its name.
        sizes: what replaces settings, by their names; None leaves one.
        image_size: height and width in pixels; None is 8 for presets of the demo, else 32.

    Raises:
        InputError: an unknown preset, one of searches, or a size out of range.

    """
    protocol = find_preset(preset)
    if not isinstance(protocol, Protocol):
        raise InputError(f"preset {preset} is of searches: add --kind search, or name another")
    return protocol.with_values(_given(sizes)), _info(preset, image_size)


def search_size(
    preset: str, sizes: Mapping[str, int | None], image_size: int | None
) -> tuple[SearchProtocol, DatasetInfo]:
    """Return the same of a search; one that needs a wiring goes along DARTS' own.

    Raises:
        InputError: an unknown preset, one of trainings, or a size out of range.

    """
    protocol = find_preset(preset)
    if not isinstance(protocol, SearchProtocol):
        raise InputError(f"preset {preset} is of trainings: leave out --kind, or name another")
    wiring = {"topology": _TOPOLOGY} if preset in NEEDS_TOPOLOGY else {}
    return protocol.with_values(wiring | _given(sizes)), _info(preset, image_size)


def _given(sizes: Mapping[str, int | None]) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if size is not None}


def _info(preset: str, image_size: int | None) -> DatasetInfo:
    info = DATASETS["digits" if preset.endswith("demo") else "cifar10"]
    if image_size is None:
        return info
    return dataclasses.replace(info, image_size=(image_size, image_size))


def size_words(protocol: NetworkTraining, info: DatasetInfo, *, device: str, threads: int) -> str:
    """Return what is measured, and on what, in words."""
    height, width = info.image_size
    where = "the GPU" if device == "cuda" else f"the CPU, {counted(threads, 'thread')}"
    shape = f"{counted(protocol.cells, 'cell')}, {counted(protocol.init_channels, 'channel')}"
    images = counted(protocol.batch_size, "image")
    return f"{shape}, batches of {images} of {height}x{width}, on {where}"


def pack_sizes(text: str) -> list[int]:
    """Return the sizes in a list such as '1,10,30'.

    Raises:
        InputError: something that is no size.

    """
    names = [name.strip() for name in text.split(",")]
    if bad := [name for name in names if not name.isdecimal() or not 1 <= int(name) <= 10_000]:
        raise InputError(f"{bad[0]!r} is no size of a pack: write sizes from 1, as in 1,10,30")
    return list(dict.fromkeys(map(int, names)))


def precisions(text: str) -> list[str]:
    """Return the precisions in a list such as 'float32,bfloat16'.

    Raises:
        InputError: something that is none.

    """
    names = [name.strip() for name in text.split(",")]
    if bad := [name for name in names if name not in PRECISIONS]:
        raise InputError(f"{bad[0]!r} is no precision: use {', '.join(PRECISIONS)}")
    return list(dict.fromkeys(names))
