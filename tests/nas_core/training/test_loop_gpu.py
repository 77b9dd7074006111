"""On a GPU: the numbers of a CPU, and steps in which nothing waits for the other side."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from nas_core.data.splits import search_split
from nas_core.training.loop import Loop
from nas_core.training.pack import Member, PackTraining
from nas_core.training.search import Search
from nas_core.training.search_steps import SideBySide
from nas_core.training.training import Training
from tests.nas_core.training.searches import BOTH
from tests.nas_core.training.trainings import DIGITS, TINY, cells, stopped_after

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

EXACT = TINY.with_values({"precision": "float64"})
MEMBERS = [Member(cells(17), 0), Member(cells(99), 0), Member(cells(99), 3)]


def training(device: str) -> Training:
    return Training(cells(99), EXACT, DIGITS.to(torch.device(device)), seed=0)


def pack(device: str) -> PackTraining:
    return PackTraining(MEMBERS, EXACT, DIGITS.to(torch.device(device)))


def search(device: str) -> Search:
    return Search(BOTH, search_split(DIGITS.to(torch.device(device)), 24), seed=0)


@pytest.mark.parametrize("started", [training, pack, search])
def test_a_gpu_trains_and_searches_as_a_cpu_does(started: Callable[[str], Loop[Any]]) -> None:
    ends = []
    for device in ("cuda", "cpu"):
        loop = started(device)
        stopped_after(3, loop)
        ends.append(loop.tensors())

    ours, theirs = ends
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name].cpu(), tensor, rtol=1e-6, atol=1e-9)


@contextlib.contextmanager
def never_waiting() -> Iterator[None]:
    """Raise where the host waits for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_steps_of_a_training_never_wait() -> None:
    loop = training("cuda")
    loop.begin(1)
    first, second, *_ = loop.draws(loop.split.train, 1).steps()
    loop._step(first)  # what is kept is made now

    with never_waiting():
        loop._step(second)


def test_the_steps_of_a_pack_never_wait() -> None:
    loop = pack("cuda")
    loop.begin(1)
    steps = [loop.draws(loop.split.train, 1, seed=seed).steps() for seed in (0, 3)]
    first, second, _ = zip(*steps, strict=True)
    loop._step(dict(zip((0, 3), first, strict=True)))  # what is kept is made now

    with never_waiting():
        loop._step(dict(zip((0, 3), second, strict=True)))


@pytest.mark.parametrize("order", [1, 2])
def test_the_steps_of_a_search_never_wait(order: int) -> None:
    protocol = BOTH.with_values({"alpha_order": order})
    loop = Search(protocol, search_split(DIGITS.to(torch.device("cuda")), 24), seed=0)
    loop.begin(0)
    together = SideBySide([loop])
    (first, _), (second, _) = loop.steps(0)
    together.weight_step([first], [None])
    together.alpha_step([first], [first], [None])

    with never_waiting():
        together.weight_step([second], [None])
        together.alpha_step([second], [second], [None])
