"""Edges computed together give what they give one by one and operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_core.cells.genotype import OPERATION_NAMES
from nas_core.cells.spaces import space_operations
from nas_core.cells.topology import Topology
from nas_core.networks.alphas import Alphas, CellSpace, Mixing, SearchSpace
from nas_core.networks.supernet import Dropout, SearchNetwork
from nas_core.streams import initialise_
from tests.nas_core.networks import forms, plain
from tests.nas_core.networks.forms import FORMS

Forward = Callable[[SearchNetwork, Tensor, dict[str, Mixing], Dropout | None], Tensor]


def searched(
    forward: Forward,
    space: SearchSpace,
    *,
    channels: int = 4,
    side: int = 8,
    cells: int = 3,
    partial_channels: int = 1,
    edge_normalisation: bool = False,
    dropout: Dropout | None = None,
    steps: int = 2,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """Return all that a small search computes: steps of both kinds, then an evaluation."""
    network = SearchNetwork(
        init_channels=channels,
        cells=cells,
        num_classes=10,
        operations=space,
        partial_channels=partial_channels,
    )
    initialise_(network, seed=3)
    network.to(dtype)
    alphas = Alphas(space, attention=True, edge_normalisation=edge_normalisation)
    alphas.initialise_(3, std=0.5)
    alphas.to(torch.device("cpu"), dtype)
    source = torch.Generator().manual_seed(5)
    learnt = dict(network.named_parameters()) | alphas.tensors
    result: dict[str, Tensor] = {}
    for step in range(steps):
        batch = 6 - step  # the last batch of an epoch is smaller
        images = torch.randn(batch, 3, side, side, dtype=dtype, generator=source)
        frozen = step == 1
        for norm in network.batch_norms:
            norm.track_running_stats = not frozen
        y = forward(network, images, alphas.mixing(), dropout)
        parts = torch.autograd.grad(y.square().sum(), list(learnt.values()), materialize_grads=True)
        result[f"{step} logits"] = y.detach()
        result |= {f"{step} {name}": part for name, part in zip(learnt, parts, strict=True)}
        with torch.no_grad():
            for tensor, part in zip(learnt.values(), parts, strict=True):
                tensor.sub_(0.01 * part / (1 + part.norm()))
    for norm in network.batch_norms:
        norm.track_running_stats = True
    result |= {name: buffer.double() for name, buffer in network.named_buffers()}
    with torch.no_grad():
        result["evaluated"] = forward(network.eval(), images, alphas.mixing(), None)
    return result


def ours(
    network: SearchNetwork, images: Tensor, mixing: dict[str, Mixing], dropout: Dropout | None
) -> Tensor:
    logits: Tensor = network(images, mixing, dropout)
    return logits


def equal(space: SearchSpace, **settings: object) -> None:
    mine, theirs = (searched(form, space, **settings) for form in (ours, plain.logits))  # type: ignore[arg-type]
    assert mine.keys() == theirs.keys()
    for name, values in theirs.items():
        assert torch.allclose(mine[name], values, rtol=1e-9, atol=1e-9), name


def wired(operations: Sequence[str], topology: int | None = 1) -> SearchSpace:
    return SearchSpace.full(operations, None if topology is None else Topology.from_index(topology))


@pytest.mark.parametrize("form", [*FORMS, "by size"])
@pytest.mark.parametrize(
    ("topology", "side"), [pytest.param(None, 8, marks=pytest.mark.slow), (100, 7)]
)
def test_a_search_is_that_of_the_plain_network(
    topology: int | None, side: int, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms.take(form, monkeypatch)
    equal(wired(OPERATION_NAMES, topology), side=side)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [f"SS{number}" for number in range(1, 9)])
def test_in_every_subspace_too(name: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forms.take(form, monkeypatch)
    equal(wired(space_operations(name)), steps=1)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [2, 4, 6, 8, 12, 16])
def test_with_any_number_of_channels(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    forms.take("large", monkeypatch)
    equal(wired(OPERATION_NAMES), channels=channels, side=4, steps=1)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("channels", plain.WIDTHS)
def test_in_single_precision_too(channels: int, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forms.take(form, monkeypatch)
    space = wired(["none", "skip_connect", "sep_conv_3x3", "dil_conv_5x5"])
    size: dict[str, Any] = {"channels": channels, "cells": 1, "side": plain.SIDE, "steps": 1}
    mine, theirs = (
        searched(forward, space, dtype=torch.float32, **size) for forward in (ours, plain.logits)
    )
    plain.check_nearly_equal(mine, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_with_partial_channels_and_normalised_edges(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms.take(form, monkeypatch)
    equal(wired(OPERATION_NAMES), channels=8, partial_channels=4, edge_normalisation=True)


@pytest.mark.parametrize("form", FORMS)
def test_with_dropout_behind_skips_and_edges_of_different_operations(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms.take(form, monkeypatch)
    cell = CellSpace.full(OPERATION_NAMES)
    kept = [
        ("skip_connect", "max_pool_3x3", "dil_conv_5x5"),
        ("none", "skip_connect", "sep_conv_3x3"),
    ]
    kept += [("none", "avg_pool_3x3", "sep_conv_5x5")]
    narrow = cell.narrowed({edge: kept[sum(edge) % 3] for edge in cell.edges})

    def dropout(x: Tensor, edge_name: str) -> Tensor:
        source = torch.Generator().manual_seed(sum(map(ord, edge_name)))
        return x * (torch.rand(x.shape, generator=source, dtype=x.dtype) < 0.7)

    equal(SearchSpace(narrow, narrow), dropout=dropout, steps=1)


@pytest.mark.parametrize("name", ["max_pool_3x3", "sep_conv_3x3"])
def test_a_batch_norm_that_would_remember_otherwise_than_here_is_no_edges(name: str) -> None:
    space = wired(["skip_connect", name, "sep_conv_5x5"])
    network = SearchNetwork(init_channels=2, cells=1, num_classes=10, operations=space)
    for key, module in network.cells.named_modules():
        if name in key and isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with pytest.raises(AssertionError):
        network(torch.randn(2, 3, 8, 8), Alphas(space).mixing())
