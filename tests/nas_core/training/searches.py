"""Small searches that several test files run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from nas_core.data.splits import SearchSplit, search_split
from nas_core.protocols.search import SearchProtocol
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.search import Search
from tests.nas_core.training.trainings import DIGITS

HALVES = search_split(DIGITS, 24)

TINY = SearchProtocol().with_values(
    {"cells": 1, "init_channels": 2, "epochs": 3, "batch_size": 16, "images": 24}
    | {"operations": "none,skip_connect,sep_conv_3x3", "topology": 17, "crop_padding": 1}
)
"""Two steps an epoch, the second of a partial batch; one reduction cell of 8 edges."""

FIRST = TINY.with_values({"alpha_order": 1})
BOTH = TINY.with_values({"cells": 3, "precision": "float64"})
"""A normal cell and two reduction cells."""


def started(
    protocol: SearchProtocol = TINY,
    seed: int = 0,
    images: SearchSplit = HALVES,
    path: Path | None = None,
) -> Search:
    """Return a search that saves its state after every epoch, if it has a path."""
    checkpoint = None if path is None else Checkpoint(path, key="search", every_seconds=0)
    return Search(protocol, images, seed=seed, checkpoint=checkpoint)


def searched(
    protocol: SearchProtocol = TINY, seed: int = 0, images: SearchSplit = HALVES
) -> Search:
    """Return a search that has come to its end."""
    search = started(protocol, seed, images)
    for _ in search.epochs():
        pass
    return search


reference = cache(searched)
"""The same, searched once a process: only to be looked at."""
