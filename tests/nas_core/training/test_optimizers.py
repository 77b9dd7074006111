"""Steps and state are those of PyTorch's classes, bit for bit, without its compiler."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nas_core.training.optimizers import Adam, Optimizer, Sgd

Named = dict[str, Tensor]
Theirs = Callable[[Named], torch.optim.Optimizer]

SHAPES = {"matrix": (3, 2), "vector": (4,)}


def sgd(parameters: Named) -> Sgd:
    return Sgd(parameters, learning_rate=0.1, momentum=0.9, weight_decay=0.01)


def adam(parameters: Named) -> Adam:
    return Adam(parameters, learning_rate=0.1, betas=(0.5, 0.99), weight_decay=0.01)


PAIRS = {
    "sgd": (sgd, lambda p: torch.optim.SGD(p.values(), 0.1, 0.9, weight_decay=0.01, fused=True)),
    "without momentum": (
        lambda p: Sgd(p, learning_rate=0.1, momentum=0.0, weight_decay=0.01),
        lambda p: torch.optim.SGD(p.values(), 0.1, weight_decay=0.01, fused=True),
    ),
    "adam": (adam, lambda p: torch.optim.Adam(p.values(), 0.1, (0.5, 0.99), weight_decay=0.01)),
}


def parameters() -> Named:
    return {name: torch.ones(shape, requires_grad=True) for name, shape in SHAPES.items()}


def give_gradients(named: Named, seed: int) -> None:
    stream = torch.Generator().manual_seed(seed)
    for parameter in named.values():
        parameter.grad = torch.randn(parameter.shape, generator=stream)


def step(optimizer: Optimizer | torch.optim.Optimizer, named: Named, seed: int) -> None:
    give_gradients(named, seed)
    optimizer.step()


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_steps_are_those_of_pytorch(pair: tuple[Callable[[Named], Optimizer], Theirs]) -> None:
    make, theirs = pair
    mine, other = parameters(), parameters()
    ours, reference = make(mine), theirs(other)
    for seed in range(4):
        if seed == 3:
            ours.learning_rate = 0.05
            reference.param_groups[0]["lr"] = 0.05
        step(ours, mine, seed)
        step(reference, other, seed)
        assert all(torch.equal(mine[name], other[name]) for name in SHAPES)


@pytest.mark.parametrize("make", [sgd, adam])
def test_what_has_no_gradient_stays(make: Callable[[Named], Optimizer]) -> None:
    named = parameters()
    optimizer = make(named)
    named["matrix"].grad = torch.ones(3, 2)
    optimizer.step()
    assert torch.equal(named["vector"], torch.ones(4))
    assert not torch.equal(named["matrix"], torch.ones(3, 2))
    optimizer.zero_grad()
    assert named["matrix"].grad is None


@pytest.mark.parametrize("make", [sgd, adam])
def test_what_goes_on_from_a_state_is_bit_identical(make: Callable[[Named], Optimizer]) -> None:
    whole = parameters()
    without_break = make(whole)
    for seed in (0, 1):
        step(without_break, whole, seed)
    state = {name: tensor.clone() for name, tensor in without_break.tensors("of it ").items()}
    later = {name: p.detach().clone().requires_grad_() for name, p in whole.items()}
    resumed = make(later)
    resumed.restore(state, "of it ")
    for optimizer, named in ((without_break, whole), (resumed, later)):
        step(optimizer, named, 2)
    assert all(torch.equal(whole[name], later[name]) for name in SHAPES)


def test_a_state_takes_the_layout_of_its_parameter() -> None:
    named = {"kernel": torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last)}
    optimizer = sgd(named)
    optimizer.restore({"momentum.kernel": torch.arange(120.0).view(2, 3, 4, 5)})
    buffer = optimizer.momentum_buffers["kernel"]
    assert buffer.stride() == named["kernel"].stride()
    assert buffer.flatten().tolist() == list(range(120))


def test_a_state_is_copied_so_that_two_may_go_on_from_it() -> None:
    named = parameters()
    step(first := adam(named), named, 0)
    saved = first.tensors()
    before = {name: tensor.clone() for name, tensor in saved.items()}
    for _ in range(2):
        later = parameters()
        resumed = adam(later)
        resumed.restore(saved)
        step(resumed, later, 1)
    assert all(torch.equal(saved[name], before[name]) for name in before)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("mean.matrix", (2, 3), r"^mean of matrix has shape \(2, 3\), needs \(3, 2\)$"),
        ("step.vector", (4,), r"^step of vector has shape \(4,\), needs \(\)$"),
    ],
)
def test_a_state_of_another_shape_is_refused(
    name: str, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        adam(parameters()).restore({name: torch.zeros(shape)})


@pytest.mark.long
def test_no_epoch_and_no_fact_imports_the_compiler_of_pytorch() -> None:
    script = """
import sys
from nas_core import KNOWN_CELLS, Protocol, Search, SearchProtocol, Training, load_dataset
from nas_core.data.splits import search_split, split
from nas_core.protocols.training import DataOptions
from nas_core.training.pack import Member, PackTraining
digits = split(load_dataset("digits"), DataOptions(dataset="digits", train_limit=40))
sizes = {"cells": 1, "init_channels": 2, "epochs": 1, "batch_size": 20}
cell = KNOWN_CELLS["DARTS_V2"]
for training in (
    Training(cell, Protocol(**sizes), digits, seed=0),
    PackTraining([Member(cell, 0), Member(cell, 1)], Protocol(**sizes), digits),
):
    list(training.epochs())
    training.facts()
protocol = SearchProtocol(**sizes, operations="SS1", alpha_order=2)
(epoch,) = Search(protocol, search_split(digits, 20), seed=0).epochs()
print(epoch.alpha_steps, "torch._dynamo" in sys.modules)
"""
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "1 False\n"
