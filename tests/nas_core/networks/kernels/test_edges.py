"""Edges that are computed together give what they give one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nas_core.cells.genotype import OPERATION_NAMES
from nas_core.cells.topology import Topology
from nas_core.networks import supernet
from nas_core.networks.alphas import Alphas, SearchSpace
from nas_core.networks.kernels import switch
from nas_core.networks.kernels.edges import mix_together, pooled_once
from nas_core.networks.supernet import MixedOp, SearchCell, SearchNetwork
from nas_core.streams import initialise_

EVERYTHING = 2**40


def computed(space: SearchSpace, side: int, *, frozen: bool) -> dict[str, Tensor]:
    """Return outputs, gradients and buffers of a small network after two batches."""
    network = SearchNetwork(init_channels=4, cells=3, num_classes=10, operations=space)
    initialise_(network, seed=3)
    network.double()
    alphas = Alphas(space)
    alphas.initialise_(3, std=0.5)
    alphas.to(torch.device("cpu"), torch.float64)
    images = torch.randn(
        6, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    )
    for norm in network.batch_norms:
        norm.track_running_stats = not frozen
    network(images, alphas.mixing())
    trained = network(2 * images, alphas.mixing())
    parameters = {**dict(network.named_parameters()), **alphas.tensors}
    gradients = torch.autograd.grad(
        trained.square().sum(), list(parameters.values()), materialize_grads=True
    )
    for norm in network.batch_norms:
        norm.track_running_stats = True
    evaluated = network.eval()(images, alphas.mixing())
    buffers = {name: buffer.double() for name, buffer in network.named_buffers()}
    kept = {"trained": trained, "evaluated": evaluated, **buffers}
    return kept | dict(zip((f"gradient {name}" for name in parameters), gradients, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("topology", "side", "frozen"),
    [(None, 7, False), (None, 8, True), (1, 8, False), (100, 7, True), (100, 8, False)],
)
def test_together_is_one_by_one(
    topology: int | None, side: int, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring = None if topology is None else Topology.from_index(topology)
    space = SearchSpace.full(OPERATION_NAMES, wiring)
    monkeypatch.setattr(switch, "EDGES_UP_TO", EVERYTHING)
    together = computed(space, side, frozen=frozen)
    monkeypatch.setattr(switch, "EDGES_UP_TO", 0)
    one_by_one = computed(space, side, frozen=frozen)

    assert together.keys() == one_by_one.keys()
    for name, values in together.items():
        torch.testing.assert_close(values, one_by_one[name], rtol=1e-10, atol=1e-10, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
def test_pooling_once_for_all_edges_is_pooling_for_each(
    frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = SearchSpace.full(OPERATION_NAMES)
    monkeypatch.setattr(switch, "EDGES_UP_TO", 0)
    calls = []

    def counted(*arguments: Any) -> dict[str, Tensor]:
        calls.append(len(arguments[0]))
        return pooled_once(*arguments)

    monkeypatch.setattr(supernet, "pooled_once", counted)
    once = computed(space, 8, frozen=frozen)
    assert calls[:5] == [4, 4, 3, 2, 1]  # edges that read each node of the first cell
    monkeypatch.setattr(supernet, "pooled_once", lambda *_: {})
    torch.testing.assert_close(once, computed(space, 8, frozen=frozen), rtol=1e-9, atol=1e-10)


def test_what_pools_is_found_on_the_edges_that_have_it() -> None:
    edges = [
        MixedOp(names, channels=4, stride=1).operations
        for names in (["max_pool_3x3", "sep_conv_3x3"], ["avg_pool_3x3", "skip_connect"])
    ]
    x = torch.randn(2, 4, 6, 6)
    pooled = pooled_once(edges, x)
    assert list(pooled) == ["max_pool_3x3", "avg_pool_3x3"]
    for name, operations in (("max_pool_3x3", edges[0]), ("avg_pool_3x3", edges[1])):
        torch.testing.assert_close(pooled[name], operations[name](x))


def test_edges_with_other_operations_or_alone_or_large_are_computed_one_by_one() -> None:
    network = SearchNetwork(
        init_channels=4, cells=3, num_classes=10, operations=("skip_connect", "sep_conv_3x3")
    )
    cell = network.cells[0]
    assert isinstance(cell, SearchCell)
    edges = [edge.operations for edge in cell.edges.children() if isinstance(edge, MixedOp)]
    x, weights = torch.zeros(2, 4, 8, 8), torch.ones(2, 2)

    assert mix_together(edges[:2], x, weights) is not None
    assert mix_together(edges[:1], x, weights[:1]) is None
    assert mix_together(edges[:2], torch.zeros(2, 4, 256, 256), weights) is None
    del edges[0]["skip_connect"]
    assert mix_together(edges[:2], x, weights) is None
