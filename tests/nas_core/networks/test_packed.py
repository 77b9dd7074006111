"""A pack computes and trains what each of its models would alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from nas_core.cells.genotype import KNOWN_CELLS, Genotype
from nas_core.cells.topology import Topology
from nas_core.errors import InputError
from nas_core.networks.evaluation import EvalNetwork
from nas_core.networks.kernels import switch
from nas_core.networks.packed import PackedNetwork
from nas_core.streams import initialise_
from tests.nas_core.networks import forms, plain
from tests.nas_core.networks.forms import FORMS

CELLS, CLASSES, SIDE, BATCH = 5, 10, 8, 6
DOUBLE = torch.float64


def wirings(*indices: int) -> list[Topology]:
    return [Topology.from_index(index) for index in indices]


SOME = wirings(0, 17, 99)


def pack(models: Sequence[Topology | Genotype], **arguments: Any) -> PackedNetwork:
    shape = {"init_channels": 4, "cells": CELLS, "num_classes": CLASSES} | arguments
    return PackedNetwork(models, **shape)


def alone(genotypes: Sequence[Genotype], *, auxiliary: bool = False) -> list[EvalNetwork]:
    """Return the network of each genotype, each of another seed."""
    networks = []
    for seed, genotype in enumerate(genotypes):
        network = EvalNetwork(
            genotype, init_channels=4, cells=CELLS, num_classes=CLASSES, auxiliary=auxiliary
        )
        initialise_(network, seed)
        networks.append(network.double())
    return networks


def sgd(network: torch.nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=3e-4)


def losses(output: Tensor | tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
    """Return the loss of each model, that of its auxiliary head added: (K,)."""
    heads = output if isinstance(output, tuple) else (output,)
    each = [torch.stack([cross_entropy(logits, labels) for logits in head]) for head in heads]
    return torch.stack(each).sum(0)


def _of_one(output: Tensor | tuple[Tensor, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
    """Return the logits of a network as those of a pack of one model."""
    return output[None] if isinstance(output, Tensor) else (output[0][None], output[1][None])


def check_training(
    packed: PackedNetwork,
    *,
    steps: int = 20,
    shared: bool = True,
    auxiliary: bool = False,
    side: int = SIDE,
    every: int = 1,
) -> None:
    """Train a pack and each of its models alone, and compare losses, parameters and buffers.

    With momentum, weight decay, clipping, drop path, and a smaller last batch. Of many models,
    one of `every` so many is trained alone.
    """
    torch.manual_seed(1)
    packed.double()
    models = len(packed.genotypes)
    networks = alone(packed.genotypes, auxiliary=auxiliary)
    packed.load_models([network.state_dict() for network in networks])
    compared = range(0, models, every)
    optimizers, optimizer = [sgd(network) for network in networks], sgd(packed)
    for step in range(steps):
        batch = BATCH if step < steps - 1 else BATCH - 2
        images = torch.randn(1 if shared else models, batch, 3, side, side, dtype=DOUBLE)
        labels = torch.randint(CLASSES, (batch,))
        keep = (torch.rand(CELLS, 8, batch) < 0.8).double() / 0.8
        expected = []
        for number in compared:
            network = networks[number]
            output = network(images[0 if shared else number], keep)
            (loss,) = losses(_of_one(output), labels)
            loss.backward()
            clip_grad_norm_(network.parameters(), 0.5)
            optimizers[number].step()
            optimizers[number].zero_grad()
            expected.append(loss.detach())
        ours = losses(packed(images[0] if shared else images, keep), labels)
        ours.sum().backward()
        packed.clip_gradients(0.5)
        optimizer.step()
        optimizer.zero_grad()
        torch.testing.assert_close(ours.detach()[::every], torch.stack(expected), rtol=1e-9, atol=0)
    for number in compared:
        state, network = packed.extract(number), networks[number]
        assert set(state) == set(network.state_dict())
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(
                state[name], tensor, rtol=1e-9, atol=1e-12, check_dtype=False
            )


@pytest.mark.slow
@pytest.mark.parametrize("models", [SOME, SOME[1:2]])
@pytest.mark.parametrize("gradients_from", [0, 2**62])
def test_large_maps_and_small_ones_train_alike(
    gradients_from: int, models: Sequence[Topology], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "GRADIENTS_FROM", gradients_from)

    check_training(pack(models))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "steps"),
    [
        (1, 20),
        (2, 20),
        *(pytest.param(*each, marks=pytest.mark.long) for each in ((7, 20), (60, 2), (60, 20))),
    ],
)
def test_packs_of_any_size_train_as_their_models_would_alone(count: int, steps: int) -> None:
    packed = pack(wirings(*range(0, 180, 3))[:count])
    check_training(packed, steps=steps, every=max(1, count // 6))


@pytest.mark.slow
@pytest.mark.parametrize(
    "reductions",
    [
        {"reduction_topologies": SOME},
        {"reduction_topologies": SOME, "reduction_operation": "sep_conv_3x3"},
        {"reduction_topologies": SOME, "reduction_operation": "dil_conv_3x3"},
        {"reduction_operation": "avg_pool_3x3"},
    ],
)
def test_reduction_cells_of_any_wiring_and_operation_train_alike(
    reductions: dict[str, Any],
) -> None:
    check_training(pack(SOME, **reductions), steps=2)


def test_models_of_several_seeds_see_other_images() -> None:
    check_training(pack(SOME), steps=2, shared=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DARTS_V2", "PDARTS", "PC_DARTS"])
def test_one_genotype_trains_with_several_seeds(name: str) -> None:
    check_training(pack([KNOWN_CELLS[name]] * 2), steps=2, shared=False)


def test_images_of_odd_sizes_are_halved_alike() -> None:
    check_training(pack([KNOWN_CELLS["DARTS_V1"]] * 2), steps=2, side=9)


@pytest.mark.slow
def test_the_auxiliary_head_of_each_model_learns() -> None:
    packed = pack([KNOWN_CELLS["DARTS_V2"]] * 2, auxiliary=True)
    check_training(packed, steps=2, auxiliary=True, side=32)


def test_an_evaluation_uses_what_each_model_remembers() -> None:
    packed = pack(SOME).double()
    networks = alone(packed.genotypes)
    images = torch.randn(BATCH, 3, SIDE, SIDE, dtype=DOUBLE)
    for network in networks:
        network(images)
    packed.load_models([network.eval().state_dict() for network in networks])
    before = packed.running_means.clone()

    logits = packed.eval()(images, torch.zeros(CELLS, 8, BATCH))  # masks are for training alone

    expected = torch.stack([network(images) for network in networks])
    torch.testing.assert_close(logits, expected)
    assert torch.equal(packed.running_means, before)


@pytest.mark.parametrize("models", [1, 5])
@pytest.mark.parametrize("init_channels", [2, 4, 8, 16])
def test_networks_of_every_width_are_evaluated(init_channels: int, models: int) -> None:
    size: dict[str, Any] = {"init_channels": init_channels, "cells": CELLS, "num_classes": 10}
    packed = PackedNetwork([Topology.from_index(40 * n) for n in range(models)], **size).eval()
    networks = [EvalNetwork(genotype, **size).eval() for genotype in packed.genotypes]
    packed.load_models([network.state_dict() for network in networks])
    images = torch.randn(BATCH, 3, SIDE, SIDE)

    logits = packed(images)

    expected = torch.stack([network(images) for network in networks])
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("init_channels", plain.WIDTHS)
def test_networks_of_every_width_have_their_gradients_in_single_precision_too(
    init_channels: int, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms.take(form, monkeypatch)
    size: dict[str, Any] = {"init_channels": init_channels, "cells": 2, "num_classes": 10}
    packed = PackedNetwork([KNOWN_CELLS["DARTS_V2"]] * 2, **size)
    networks = [EvalNetwork(genotype, **size) for genotype in packed.genotypes]
    for seed, network in enumerate(networks):
        initialise_(network, seed)
    packed.load_models([network.state_dict() for network in networks])
    images = torch.randn(2, 3, plain.SIDE, plain.SIDE, generator=torch.Generator().manual_seed(0))

    packed(images).square().sum().backward()

    assert packed.flat.grad is not None
    for number, network in enumerate(networks):
        network(images).square().sum().backward()
        expected = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        gradients = packed._parameters_of.model(packed.flat.grad, number)
        plain.check_nearly_equal(gradients, expected)


def test_an_evaluation_keeps_a_model_that_is_not_finite_apart() -> None:
    packed = pack(SOME).eval()
    packed.load_models([network.state_dict() for network in alone(packed.genotypes)])
    images = torch.randn(BATCH, 3, SIDE, SIDE)
    before = packed(images)
    packed.extract(1)["cells.0.preprocess1.1.weight"][0, 0] = torch.nan

    logits = packed(images)

    others = [number for number in range(len(packed.genotypes)) if number != 1]
    assert torch.equal(logits[others], before[others])
    assert logits[1].isnan().any()


def test_a_model_that_is_not_finite_leaves_the_others_as_they_are() -> None:
    packed, images = pack(SOME), torch.randn(BATCH, 3, SIDE, SIDE)
    labels = torch.randint(CLASSES, (BATCH,))
    start = [network.float().state_dict() for network in alone(packed.genotypes)]
    ends = []
    for broken in (False, True):
        packed.load_models(start)
        optimizer = sgd(packed)
        if broken:
            packed.extract(1)["cells.0.operations.3.2.weight"].fill_(torch.inf)
        for _ in range(3):
            losses(packed(images), labels).sum().backward()
            packed.clip_gradients(0.5)
            optimizer.step()
            optimizer.zero_grad()
        ends.append([{n: t.clone() for n, t in packed.extract(k).items()} for k in range(3)])

    assert not ends[1][1]["classifier.weight"].isfinite().all()
    for number in (0, 2):
        assert all(torch.equal(t, ends[1][number][n]) for n, t in ends[0][number].items())


def test_what_is_loaded_is_what_is_extracted() -> None:
    packed = pack(SOME)
    states = [network.float().state_dict() for network in alone(packed.genotypes)]

    packed.load_models(states)

    for number, state in enumerate(states):
        assert all(torch.equal(packed.extract(number)[name], t) for name, t in state.items())
    with pytest.raises(InputError, match="3 models need as many states, got 2"):
        packed.load_models(states[:2])


@pytest.mark.parametrize(
    "change", [{"classifier.weight": torch.ones(1, 1)}, {"another.weight": torch.ones(1)}]
)
def test_a_state_of_another_network_is_refused_and_nothing_loaded(
    change: dict[str, Tensor],
) -> None:
    packed = pack(SOME)
    states = [network.float().state_dict() for network in alone(packed.genotypes)]
    before = packed.flat.clone()

    with pytest.raises(InputError, match="state 2 is not that of a network of this pack"):
        packed.load_models([*states[:2], states[2] | change])

    assert torch.equal(packed.flat, before)


def test_it_may_take_another_type_between_steps() -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 3, SIDE, SIDE)
    packed = pack(SOME)
    packed.load_models([network.float().state_dict() for network in alone(packed.genotypes)])
    packed(images)
    packed.double()
    networks = alone(packed.genotypes)
    for number, network in enumerate(networks):
        network.load_state_dict(packed.extract(number))

    packed(images.double())

    for number, network in enumerate(networks):
        network(images.double())
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(packed.extract(number)[name], tensor, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        ([], "one model or more"),
        ([KNOWN_CELLS["DARTS_V1"], KNOWN_CELLS["DARTS_V2"]], "the same operation in every slot"),
    ],
)
def test_models_of_other_shapes_are_refused(models: list[Genotype], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        pack(models)


def test_skip_connections_of_other_strides_are_refused() -> None:
    with pytest.raises(InputError, match="skip connections of the same strides"):
        pack(SOME, reduction_topologies=SOME, reduction_operation="skip_connect")


@pytest.mark.parametrize(
    ("models", "reductions", "problem"),
    [
        (SOME, SOME[:2], "3 topologies need as many reduction topologies, got 2"),
        (SOME, [], "3 topologies need as many reduction topologies, got 0"),
        ([KNOWN_CELLS["DARTS_V2"]], SOME[:1], "genotypes have reduction cells of their own"),
    ],
)
def test_reduction_cells_that_cannot_be_theirs_are_refused(
    models: Sequence[Topology | Genotype], reductions: list[Topology], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        pack(models, reduction_topologies=reductions)
