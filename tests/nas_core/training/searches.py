"""Small searches that several test files run, and when two of them are the same."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from nas_core.data.splits import SearchSplit, load_dataset, search_split, split
from nas_core.protocols.search import SearchProtocol
from nas_core.protocols.training import DataOptions
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import SearchEpoch
from nas_core.training.search import Search

DIGITS = split(load_dataset("digits"), DataOptions(dataset="digits", holdout=50, train_limit=70))
HALVES = search_split(DIGITS, 24)

TINY = SearchProtocol().with_values(
    {"cells": 1, "init_channels": 2, "epochs": 3, "batch_size": 16, "images": 24}
    | {"operations": "none,skip_connect,sep_conv_3x3", "topology": 17, "crop_padding": 1}
)
"""Two steps an epoch, the second of a partial batch; one reduction cell of 8 edges."""

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


def stopped_after(epochs: int, search: Search) -> None:
    """Search this many epochs and no more."""
    for _, _ in zip(range(epochs), search.epochs(), strict=False):
        pass


def facts(epoch: SearchEpoch) -> dict[str, object]:
    """Return what must not differ between equal searches: all but the times."""
    return {name: value for name, value in asdict(epoch).items() if not name.endswith("seconds")}


def same(first: Search, second: Search) -> bool:
    """Whether two searches came to the same end by the same way, to the bit."""
    return (
        [facts(epoch) for epoch in first.history] == [facts(epoch) for epoch in second.history]
        and first.network.space == second.network.space
        and unchanged(first.tensors(), second.tensors())
    )


def unchanged(before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    """Whether two sets of tensors have the same names and bits."""
    return set(before) == set(after) and all(
        torch.equal(before[name], after[name]) for name in before
    )


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the values of now."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
