"""Search networks side by side compute what each computes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor

from nas_core.cells.genotype import OPERATION_NAMES
from nas_core.cells.topology import Topology
from nas_core.errors import InputError
from nas_core.networks.alphas import Alphas, CellSpace, Mixing, SearchSpace
from nas_core.networks.supernet import Dropout, PackedSearchNetwork, SearchNetwork
from nas_core.streams import initialise_
from tests.nas_core.networks import forms
from tests.nas_core.networks.forms import FORMS

FEW = SearchSpace.full(["none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"])
Mixings = list[dict[str, Mixing]]


def network(space: SearchSpace, seed: int, *, partial_channels: int = 1) -> SearchNetwork:
    built = SearchNetwork(
        init_channels=2 * partial_channels,
        cells=3,
        num_classes=10,
        operations=space,
        partial_channels=partial_channels,
    )
    initialise_(built, seed)
    return built.double()


def alphas_of(space: SearchSpace, seed: int, *, edge_normalisation: bool = False) -> Alphas:
    alphas = Alphas(space, edge_normalisation=edge_normalisation)
    alphas.initialise_(seed, std=0.5)
    return alphas.to(torch.device("cpu"), torch.float64)


def images_of(models: int, batch: int = 5, side: int = 7) -> Tensor:
    source = torch.Generator().manual_seed(4)
    return torch.randn(models, batch, 3, side, side, dtype=torch.float64, generator=source)


def dropping(seed: int) -> Dropout:
    """Return a dropout whose stream depends on the model and the edge alone."""

    def drop(x: Tensor, edge_name: str) -> Tensor:
        source = torch.Generator().manual_seed(seed + sum(map(ord, edge_name)))
        return x * (torch.rand(x.shape, generator=source, dtype=x.dtype) < 0.7)

    return drop


def learnt(models: Sequence[SearchNetwork], alphas: Sequence[Alphas]) -> list[list[Tensor]]:
    both = zip(models, alphas, strict=True)
    return [[*model.parameters(), *each.tensors.values()] for model, each in both]


def equal_alone(
    models: Sequence[SearchNetwork],
    alone: Sequence[SearchNetwork],
    alphas: Sequence[Alphas],
    dropouts: Sequence[Dropout | None] | None = None,
) -> None:
    """Check logits, gradients and buffers of a step, then what an evaluation gives."""
    images = images_of(len(models))
    packed = PackedSearchNetwork(models)
    y = packed(images, [each.mixing() for each in alphas], dropouts)
    together = [tensor for each in learnt(models, alphas) for tensor in each]
    gradients = iter(torch.autograd.grad(y.square().sum(), together, materialize_grads=True))
    for number, (model, theirs) in enumerate(zip(models, alone, strict=True)):
        dropout = None if dropouts is None else dropouts[number]
        expected = theirs(images[number], alphas[number].mixing(), dropout)
        close(y[number], expected)
        (tensors,) = learnt([theirs], [alphas[number]])
        loss = expected.square().sum()
        for gradient in torch.autograd.grad(loss, tensors, materialize_grads=True):
            close(next(gradients), gradient)
        for (name, buffer), other in zip(model.named_buffers(), theirs.buffers(), strict=True):
            close(buffer.double(), other.double(), name)
    packed.eval()
    with torch.no_grad():
        y = packed(images, [each.mixing() for each in alphas], dropouts)
        for number, theirs in enumerate(alone):
            dropout = None if dropouts is None else dropouts[number]
            close(y[number], theirs.eval()(images[number], alphas[number].mixing(), dropout))


def close(ours: Tensor, theirs: Tensor, name: str = "") -> None:
    assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-11), name


@pytest.mark.parametrize("form", FORMS)
def test_each_model_computes_what_it_does_alone(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forms.take(form, monkeypatch)
    space = SearchSpace.full(OPERATION_NAMES, Topology.from_index(100))
    models, alone = ([network(space, seed) for seed in range(3)] for _ in range(2))
    equal_alone(models, alone, [alphas_of(space, seed) for seed in range(3)])


def test_with_partial_channels_and_normalised_edges() -> None:
    models, alone = ([network(FEW, seed, partial_channels=2) for seed in (0, 5)] for _ in "ab")
    equal_alone(models, alone, [alphas_of(FEW, s, edge_normalisation=True) for s in (0, 5)])


def test_with_a_dropout_of_its_own_for_each_model_and_edges_of_different_operations() -> None:
    cell = CellSpace.full(OPERATION_NAMES)
    kept = [
        ("skip_connect", "max_pool_3x3", "dil_conv_5x5"),
        ("none", "skip_connect", "avg_pool_3x3"),
    ]
    narrow = cell.narrowed({edge: kept[sum(edge) % 2] for edge in cell.edges})
    space = SearchSpace(narrow, narrow)
    models, alone = ([network(space, seed) for seed in range(3)] for _ in range(2))
    alphas = [alphas_of(space, seed) for seed in range(3)]
    equal_alone(models, alone, alphas, [dropping(0), None, dropping(9)])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [torch.inf, torch.nan])
@pytest.mark.parametrize(
    "name", ["stem.0.weight", "cells.1.edges.1to2.operations.sep_conv_3x3.6.weight"]
)
def test_what_is_not_finite_stays_with_its_model(
    name: str, value: float, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms.take(form, monkeypatch)

    def stepped(*, is_lost: bool) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        models = [network(FEW, seed) for seed in range(3)]
        if is_lost:
            with torch.no_grad():
                models[1].get_parameter(name).view(-1)[0] = value
        alphas = [alphas_of(FEW, seed) for seed in range(3)]
        packed = PackedSearchNetwork(models)
        y = packed(images_of(3), [each.mixing() for each in alphas])
        y.square().sum().backward()
        others = [tensor for each in (0, 2) for tensor in learnt([models[each]], [alphas[each]])[0]]
        state: Mapping[str, Tensor] = packed.state_dict()
        kept = {key: t for key, t in state.items() if not key.startswith("models.1.")}
        with torch.no_grad():
            evaluated = packed.eval()(images_of(3), [each.mixing() for each in alphas])
        gradients = [t.grad for t in others if t.grad is not None]
        return torch.stack([y.detach(), evaluated], dim=1), dict(kept), gradients

    (y, state, gradients), (expected, theirs, parts) = (stepped(is_lost=x) for x in (True, False))

    assert not y[1].flatten(1).isfinite().all(dim=1).any(), "in training and in evaluation"
    assert torch.equal(y[[0, 2]], expected[[0, 2]])
    assert all(torch.equal(state[key], theirs[key]) for key in theirs)
    assert all(torch.equal(one, other) for one, other in zip(gradients, parts, strict=True))


def test_networks_of_another_shape_are_refused() -> None:
    other = SearchSpace.full(["none", "skip_connect", "sep_conv_3x3"])
    with pytest.raises(InputError, match=r"^search network 2 .from 0. differs from the first"):
        PackedSearchNetwork([network(FEW, 0), network(FEW, 1), network(other, 0)])
    with pytest.raises(InputError, match="one or more, got none"):
        PackedSearchNetwork([])
