"""Small trainings that several test files run, and when two loops came to the same end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import Topology
from nas_core.data.splits import Split, load_dataset, split
from nas_core.protocols.training import PRESETS, DataOptions, Protocol
from nas_core.training.checkpoint import Checkpoint
from nas_core.training.epochs import Epoch
from nas_core.training.loop import Loop
from nas_core.training.training import Training

_ALL = split(load_dataset("digits"), DataOptions(dataset="digits", holdout=50, train_limit=70))
DIGITS = Split(_ALL.info, _ALL.train, _ALL.validation, _ALL.test[torch.arange(60)])
TINY = PRESETS["demo"].with_values(
    {"init_channels": 2, "cells": 3, "epochs": 3, "batch_size": 32, "drop_path": 0.3}
    | {"crop_padding": 1, "flip": True, "cutout": 2}
)
"""Three steps an epoch, the third of a partial batch."""


def cells(index: int) -> Genotype:
    """Return separable convolutions along this topology and pooling reductions."""
    topology = Topology.from_index(index)
    return Genotype(
        CellEdges.uniform(topology, "sep_conv_3x3"), CellEdges.uniform(topology, "max_pool_3x3")
    )


def started(
    index: int = 100,
    protocol: Protocol = TINY,
    seed: int = 0,
    images: Split = DIGITS,
    path: Path | None = None,
    **options: Any,
) -> Training:
    """Return a training that saves its state after every epoch, if it has a path."""
    checkpoint = None if path is None else Checkpoint(path, key="training", every_seconds=0)
    return Training(cells(index), protocol, images, seed=seed, checkpoint=checkpoint, **options)


def trained(
    index: int = 100, protocol: Protocol = TINY, seed: int = 0, images: Split = DIGITS
) -> Training:
    """Return a training that has come to its end."""
    training = started(index, protocol, seed, images)
    for _ in training.epochs():
        pass
    return training


reference = cache(trained)
"""The same, trained once a process: only to be looked at."""


def stopped_after(epochs: int, loop: Loop[Any]) -> None:
    """Run this many more epochs and no more."""
    for _, _ in zip(range(epochs), loop.epochs(), strict=False):
        pass


def facts(epoch: Epoch) -> dict[str, object]:
    """Return what must not differ between equal loops: all but the times."""
    return {name: value for name, value in asdict(epoch).items() if not name.endswith("seconds")}


def same(first: Loop[Any], second: Loop[Any]) -> bool:
    """Whether two loops came to the same end by the same way, to the bit."""
    return [facts(epoch) for epoch in first.history] == [
        facts(epoch) for epoch in second.history
    ] and unchanged(first.tensors(), second.tensors())


def unchanged(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors have the same names and bits."""
    return set(before) == set(after) and all(
        torch.equal(before[name], after[name]) for name in before
    )


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the values of now."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
