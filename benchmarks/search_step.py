"""What a step of a search costs beside the DARTS authors' supernet, as ratios of one run.

All 14 edges with all operations, at the paper's size: 5 cells, 16 channels, batches of 64 images of
32x32. The yardstick is what the authors' code computes, written out below by PyTorch's own layers:
edge by edge, each operation's output weighted and added, and each step's gradients as they take
them. Both sides run in turn, each in a process of its own; a ratio is the median over pairs. Claims
and numbers are in docs/performance.md, the last result in benchmarks/results/search_step.json.

Run: python benchmarks/search_step.py [--threads 2] [--repeats 5] [--cells 5] [--channels 16]
     [--batch 64] [--side 32] [--json benchmarks/results/search_step.json]
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Mapping, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nas_core.cells.genotype import OPERATION_NAMES
from nas_core.networks.operations import OPS
from nas_core.networks.stack import CellPlan, cell_plans, stem
from topo_sweep.bench.record import keep, record, typed
from topo_sweep.bench.sizes import search_size
from topo_sweep.bench.turns import timed
from topo_sweep.runs.device import become_worker
from topo_sweep.runs.timing.step_time import search_steps, stepwise_search

STEPS = ("weights", "alphas, first order", "alphas, second order")
RATE, MOMENTUM, DECAY = 0.025, 0.9, 3e-4
NODES = range(2, 6)
EDGES = sum(NODES)


class AuthorsOperation(nn.Module):
    """Every operation of an edge, weighted and added: (B, C, H, W) and (O,) -> (B, C, H', W')."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.operations = nn.ModuleList()
        for name in OPERATION_NAMES[1:]:
            operation = OPS[name](channels, stride, False)
            if "pool" in name:
                operation = nn.Sequential(operation, nn.BatchNorm2d(channels, affine=False))
            self.operations.append(operation)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Mix; the authors' none is the input times 0."""
        total = weights[0] * x[:, :, :: self.stride, :: self.stride].mul(0.0)
        for weight, operation in zip(weights[1:], self.operations, strict=True):
            total = total + weight * operation(x)
        return total


class AuthorsCell(nn.Module):
    """A cell of 14 edges: two inputs -> the nodes beside each other."""

    def __init__(self, plan: CellPlan) -> None:
        super().__init__()
        self.cell_type: str = plan.cell_type
        self.preprocess0, self.preprocess1 = plan.preprocessing(affine=False)
        self.edges = nn.ModuleList(
            AuthorsOperation(plan.channels, plan.stride(source))
            for node in NODES
            for source in range(node)
        )

    def forward(self, input0: Tensor, input1: Tensor, weights: Tensor) -> Tensor:
        """Compute the cell with these weights (E, O)."""
        states = [self.preprocess0(input0), self.preprocess1(input1)]
        rows = iter(zip(self.edges, weights, strict=True))
        for _ in NODES:
            terms = [edge(x, row) for x, (edge, row) in zip(states, rows, strict=False)]
            states.append(sum(terms[1:], start=terms[0]))
        return torch.cat(states[2:], dim=1)


class AuthorsNetwork(nn.Module):
    """The supernet with its alphas: images (B, 3, H, W) -> logits (B, 10)."""

    def __init__(self, cells: int, channels: int) -> None:
        super().__init__()
        plans = cell_plans(cells, channels)
        self.stem = stem(channels)
        self.cells = nn.ModuleList(AuthorsCell(plan) for plan in plans)
        self.classifier = nn.Linear(plans[-1].width, 10)
        self.alphas = {
            name: (1e-3 * torch.randn(EDGES, len(OPERATION_NAMES))).requires_grad_()
            for name in ("normal", "reduction")
        }

    def forward(self, images: Tensor) -> Tensor:
        """Classify."""
        weights = {name: alpha.softmax(dim=-1) for name, alpha in self.alphas.items()}
        before = last = self.stem(images)
        for cell in self.cells:
            before, last = last, cell(before, last, weights[str(cell.cell_type)])
        return self.classifier(last.mean(dim=(2, 3)))


class AuthorsSearch:
    """The authors' steps: every gradient that their code takes, and no other."""

    def __init__(self, cells: int, channels: int) -> None:
        self.size = cells, channels
        self.network = AuthorsNetwork(cells, channels)
        self.alphas = list(self.network.alphas.values())
        self.weights = list(self.network.parameters())
        self.sgd = torch.optim.SGD(
            self.weights, lr=RATE, momentum=MOMENTUM, weight_decay=DECAY, fused=True
        )
        self.adam = torch.optim.Adam(self.alphas, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)

    def weight_step(self, train: Sequence[Tensor], _: Sequence[Tensor]) -> None:
        """Learn weights."""
        self.sgd.zero_grad()
        self._loss(self.network, train).backward()
        nn.utils.clip_grad_norm_(self.weights, 5.0)
        self.sgd.step()

    def first_order(self, _: Sequence[Tensor], valid: Sequence[Tensor]) -> None:
        """Learn alphas at the weights as they are."""
        self.adam.zero_grad()
        self._loss(self.network, valid).backward()  # the weights' gradients come along
        self.adam.step()

    def second_order(self, train: Sequence[Tensor], valid: Sequence[Tensor]) -> None:
        """Learn alphas at the weights of one step ahead."""
        gradients = torch.autograd.grad(self._loss(self.network, train), self.weights)
        ahead = AuthorsNetwork(*self.size)
        ahead.load_state_dict(self.network.state_dict())
        with torch.no_grad():
            for own, theirs in zip(ahead.alphas.values(), self.alphas, strict=True):
                own.copy_(theirs)
            for weight, gradient in zip(ahead.parameters(), gradients, strict=True):
                buffer = self.sgd.state.get(weight, {}).get("momentum_buffer", 0.0)
                weight.sub_(RATE * (MOMENTUM * buffer + gradient + DECAY * weight))
        self._loss(ahead, valid).backward()
        direction = [weight.grad for weight in ahead.parameters()]
        length = 0.01 / torch.cat([part.flatten() for part in direction if part is not None]).norm()
        sides = []
        for sign in (1, -2):
            self._move(sign * length, direction)
            sides.append(torch.autograd.grad(self._loss(self.network, train), self.alphas))
        self._move(length, direction)
        for alpha, own, up, down in zip(self.alphas, ahead.alphas.values(), *sides, strict=True):
            assert own.grad is not None  # noqa: S101
            alpha.grad = own.grad - RATE * (up - down) / (2 * length)
        self.adam.step()

    @torch.no_grad()
    def _move(self, step: Tensor, direction: Sequence[Tensor | None]) -> None:
        for weight, towards in zip(self.weights, direction, strict=True):
            if towards is not None:
                weight.add_(step * towards)

    @staticmethod
    def _loss(network: AuthorsNetwork, batch: Sequence[Tensor]) -> Tensor:
        return cross_entropy(network(batch[0]), batch[1])


def our_search(parent: Connection, size: Mapping[str, int], side: int, threads: int) -> None:
    """Take a step of weights and one of alphas whenever the parent names an order of the latter.

    This is a process of its own, as a worker of a sweep is. It sends the seconds of both.
    """
    become_worker(threads)
    steps = {}
    for order in (1, 2):
        protocol, info = search_size("search_darts_2nd", {**size, "alpha_order": order}, side)
        steps[order] = search_steps(stepwise_search(protocol, info, device="cpu"))
    while order := parent.recv():
        parent.send(next(steps[order]))


def measured(
    *, cells: int, channels: int, batch: int, side: int, repeats: int, threads: int
) -> dict[str, Any]:
    """Return median seconds of both sides and the median ratio of pairs, for each kind of step."""
    authors = AuthorsSearch(cells, channels)
    size = {"cells": cells, "init_channels": channels, "batch_size": batch}
    search, child = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    context.Process(target=our_search, args=(child, size, side, threads), daemon=True).start()

    def step_of(order: int) -> tuple[float, float]:
        search.send(order)
        seconds: tuple[float, float] = search.recv()
        return seconds

    train, valid = (
        (torch.randn(batch, 3, side, side), torch.randint(10, (batch,))) for _ in range(2)
    )
    theirs: dict[str, list[float]] = {step: [] for step in STEPS}
    ours: dict[str, list[float]] = {step: [] for step in STEPS}
    for _ in range(repeats + 1):
        steps = (authors.weight_step, authors.first_order, authors.second_order)
        weights, first_order = step_of(1)
        for name, step in zip(STEPS[:2], steps[:2], strict=True):
            theirs[name].append(timed(partial(step, train, valid)))
        _, second_order = step_of(2)
        theirs[STEPS[2]].append(timed(partial(steps[2], train, valid)))
        for name, seconds in zip(STEPS, (weights, first_order, second_order), strict=True):
            ours[name].append(seconds)
    search.send(0)
    figures = {}
    for name in STEPS:  # the first of each claims memory
        pairs = [t / o for t, o in zip(theirs[name][1:], ours[name][1:], strict=True)]
        figures[name] = {
            "authors_seconds": round(median(theirs[name][1:]), 4),
            "seconds": round(median(ours[name][1:]), 4),
            "ratio": round(median(pairs), 2),
            "ratios": [round(pair, 2) for pair in sorted(pairs)],
        }
    return figures


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--side", type=int, default=32, help="of the images, in pixels")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the result")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    size = {name: getattr(arguments, name) for name in ("cells", "channels", "batch", "side")}
    figures = measured(**size, repeats=arguments.repeats, threads=arguments.threads)
    print(
        f"torch {torch.__version__}, {arguments.threads} thread(s), n = {arguments.repeats} pairs"
    )
    for name, figure in figures.items():
        print(
            f"{name:22s} authors {figure['authors_seconds']:7.2f} s  ours {figure['seconds']:7.2f} "
            f"s  ratio {figure['ratio']:5.2f} ({figure['ratios'][0]} to {figure['ratios'][-1]})"
        )
    if arguments.json:
        figures |= {"threads": arguments.threads}
        keep(arguments.json, record(typed(), figures, n=arguments.repeats))


if __name__ == "__main__":
    main()
