"""Convolutions and batch norms of all models, by the names that they have in a network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas_core.networks.kernels.grouped import EPS
from nas_core.networks.kernels.pointwise import Moments
from nas_core.networks.operations import FactorizedReduce, ReluConvBn
from nas_core.networks.packs.blocks import Memory, Pass

MODELS, IMAGES, SIDE, CHANNELS = 3, 2, 5, 4


def memory_of(modules: list[nn.Module]) -> Memory:
    shapes = {f"x.{name}": tensor.shape for name, tensor in modules[0].state_dict().items()}
    return Memory(len(modules), shapes)


def filled(memory: Memory, modules: list[nn.Module], *, running: bool = False) -> Pass:
    """Return a pass whose blocks hold the parameters of these modules, a module a model."""
    flat = torch.empty(memory.parameters.size, dtype=torch.float64)
    means = torch.empty(memory.statistics.size, dtype=torch.float64)
    variances = torch.empty_like(means)
    for number, module in enumerate(modules):
        state = {f"x.{name}": tensor for name, tensor in module.state_dict().items()}
        for name, part in memory.parameters.model(flat, number).items():
            part.copy_(state[name])
        for name, part in memory.statistics.model(means, number).items():
            part.copy_(state[name])
        for name, part in memory.statistics.model(variances, number).items():
            part.copy_(state[name.replace("mean", "var")])
    parts = zip(memory.statistics.split(means), memory.statistics.split(variances), strict=True)
    seen = [Moments(mean, 1 / (variance + EPS).sqrt()) for mean, variance in parts]
    return Pass(memory.parameters.split(flat), seen if running else None)


def maps(models: int = MODELS) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(IMAGES, SIDE, SIDE, models, CHANNELS, dtype=torch.float64)


def alone(modules: list[nn.Module], x: Tensor) -> Tensor:
    """Return what each module makes of its model's map: (B, H', W', K, C')."""
    images = [x[:, :, :, number % x.shape[3]].permute(0, 3, 1, 2) for number in range(len(modules))]
    outputs = [module(image) for module, image in zip(modules, images, strict=True)]
    return torch.stack([output.permute(0, 2, 3, 1) for output in outputs], dim=3)


def drawn(kind: type[ReluConvBn | FactorizedReduce], out: int = 6) -> list[nn.Module]:
    torch.manual_seed(1)
    modules: list[nn.Module] = [kind(CHANNELS, out).double() for _ in range(MODELS)]
    for module in modules:
        for parameter in module.parameters():
            nn.init.normal_(parameter)
        module(torch.randn(4, CHANNELS, SIDE, SIDE, dtype=torch.float64))
    return modules


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("joined", [True, False])
def test_a_convolution_and_its_norm_are_those_of_each_model(training: bool, joined: bool) -> None:
    modules = [module.train(training) for module in drawn(ReluConvBn)]
    memory = memory_of(modules)
    norm = memory.norm(("x.1", "x.2"))
    x = maps(1 if joined else MODELS)

    run = filled(memory, modules, running=not training)
    y = run.norm(norm, [x.relu()], joined=joined)

    torch.testing.assert_close(y, alone(modules, x))
    assert bool(run.seen) == training


@pytest.mark.parametrize("training", [True, False])
def test_a_map_is_halved_as_each_model_halves_it(training: bool) -> None:
    modules = [module.train(training) for module in drawn(FactorizedReduce)]
    memory = memory_of(modules)
    reduce = memory.reduce("x")
    x = maps()

    run = filled(memory, modules, running=not training)

    torch.testing.assert_close(run.halved(reduce, x.relu()), alone(modules, x))
