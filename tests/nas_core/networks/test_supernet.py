"""The search network is the evaluation network of every genotype at once, as in DARTS."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nas_core.cells.genotype import OPERATION_NAMES, CellEdges, Edge, Genotype
from nas_core.cells.topology import Topology
from nas_core.networks import supernet as supernet_module
from nas_core.networks.alphas import Alphas, Mixing, SearchSpace, beside, one_hot
from nas_core.networks.evaluation import EvalNetwork
from nas_core.networks.kernels.edges import mix
from nas_core.networks.operations import FactorizedReduce, NormalisedPool
from nas_core.networks.stack import CellPlan
from nas_core.networks.supernet import MixedOp, SearchCell, SearchNetwork, cells_side_by_side
from nas_core.streams import initialise_

FACTS = Path(__file__).resolve().parents[3] / "tests" / "facts" / "darts.json"
PARAMETERS = {5: 1_275_834, 8: 1_930_618}
POOLS = nn.MaxPool2d | nn.AvgPool2d
FEW = ("none", "skip_connect", "sep_conv_3x3")
DOUBLE = torch.zeros((), dtype=torch.float64)


def build(
    operations: Sequence[str] = OPERATION_NAMES,
    *,
    cells: int = 3,
    channels: int = 2,
    topology: Topology | tuple[Topology, Topology] | None = None,
    partial_channels: int = 1,
) -> SearchNetwork:
    return SearchNetwork(
        init_channels=channels,
        cells=cells,
        num_classes=10,
        operations=operations,
        topology=topology,
        partial_channels=partial_channels,
    )


def search_cells(network: SearchNetwork) -> list[SearchCell]:
    return [cell for cell in network.cells if isinstance(cell, SearchCell)]


def mixed_ops(network: SearchNetwork) -> list[MixedOp]:
    return [module for module in network.modules() if isinstance(module, MixedOp)]


@pytest.mark.slow
@pytest.mark.parametrize("cells", PARAMETERS)
def test_parameter_counts_are_the_authors_and_leave_alphas_out(cells: int) -> None:
    with torch.device("meta"):
        network = build(cells=cells, channels=16)
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[cells]


def test_the_counts_in_this_file_are_those_of_the_facts() -> None:
    counts = json.loads(FACTS.read_text(encoding="utf-8"))["search_networks"]
    assert list(counts.values()) == list(PARAMETERS.values())


def test_without_a_topology_all_fourteen_edges_exist() -> None:
    edges = {f"{source}to{node}" for node in range(2, 6) for source in range(node)}
    assert len(edges) == 14
    assert all(set(cell.edges) == edges for cell in search_cells(build(FEW)))


def test_a_pair_of_topologies_leaves_each_cell_type_the_edges_of_its_own() -> None:
    normal, reduction = Topology.from_index(179), Topology.from_index(31)
    network = build(FEW, cells=5, topology=(normal, reduction))

    def edges(topology: Topology) -> set[str]:
        nodes = enumerate(topology.pairs, 2)
        return {f"{source}to{node}" for node, pair in nodes for source in pair}

    expected = [normal, reduction, normal, reduction, normal]
    assert [set(cell.edges) for cell in search_cells(network)] == [edges(t) for t in expected]
    assert all(len(cell.edges) == 8 for cell in search_cells(network))
    assert edges(normal) != edges(reduction)


def test_one_topology_holds_for_both_cell_types() -> None:
    topology = Topology.from_index(17)
    assert build(FEW, topology=topology).space == build(FEW, topology=(topology, topology)).space


def random_genotype(seed: int) -> Genotype:
    """Return a genotype in which every operation occurs."""
    source = random.Random(seed)  # noqa: S311 - no secret
    operations = [*OPERATION_NAMES, *OPERATION_NAMES]
    source.shuffle(operations)

    def cell(names: list[str]) -> CellEdges:
        pairs = Topology.from_index(source.randrange(180)).pairs
        return CellEdges(
            tuple(
                (Edge(first, names[2 * node]), Edge(second, names[2 * node + 1]))
                for node, (first, second) in enumerate(pairs)
            )
        )

    return Genotype(cell(operations[:8]), cell(operations[8:]))


def with_norm_after_pooling(network: EvalNetwork) -> EvalNetwork:
    """Normalise what evaluation pools, as a search does."""
    for operations in [m for m in network.modules() if isinstance(m, nn.ModuleList)]:
        for slot, operation in enumerate(operations):
            if isinstance(operation, POOLS):
                channels = next(m for m in operations.modules() if isinstance(m, nn.BatchNorm2d))
                operations[slot] = NormalisedPool(operation, channels.num_features)
    return network


def take_weights(network: EvalNetwork, supernet: SearchNetwork, genotype: Genotype) -> None:
    """Copy weights and statistics; scales and offsets in cells stay 1 and 0."""
    names = {}  # of a module of the evaluation network: that of the supernet
    for position, cell_type in enumerate(supernet.cell_types):
        cell = genotype.normal if cell_type == "normal" else genotype.reduction
        for slot, edge in enumerate(cell.edges):
            node = 2 + slot // 2
            names[f"cells.{position}.operations.{slot}."] = (
                f"cells.{position}.edges.{edge.source}to{node}.operations.{edge.operation}."
            )
    theirs = supernet.state_dict()
    taken = {}
    for name, value in network.state_dict().items():
        start = next((start for start in names if name.startswith(start)), "")
        taken[name] = theirs.get(names.get(start, "") + name.removeprefix(start), value)
    network.load_state_dict(taken)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "cells"), [(0, 3), (1, 3), (2, 4), (3, 5)])
def test_with_one_hot_weights_it_is_the_evaluation_network(seed: int, cells: int) -> None:
    genotype = random_genotype(seed)
    used = {edge.operation for cell in (genotype.normal, genotype.reduction) for edge in cell.edges}
    assert used == set(OPERATION_NAMES)
    supernet = build(cells=cells)
    initialise_(supernet, seed)
    supernet.double()
    network = EvalNetwork(genotype, init_channels=2, cells=cells, num_classes=10)
    with_norm_after_pooling(network).double()
    take_weights(network, supernet, genotype)
    mixing = one_hot(supernet.space, genotype, DOUBLE)
    source = torch.Generator().manual_seed(seed)

    # In training by the batch; what both then remember of it is compared in evaluation.
    for train in (True, True, False):
        supernet.train(train)
        network.train(train)
        images = torch.randn(4, 3, 8, 8, generator=source, dtype=torch.float64)
        with torch.no_grad():
            mine, theirs = supernet(images, mixing), network(images)
        assert theirs.std() > 1e-3
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_along_a_fixed_topology_it_is_the_evaluation_network_too() -> None:
    genotype = random_genotype(7)
    supernet = build(topology=(genotype.normal.topology, genotype.reduction.topology))
    supernet.double().eval()
    network = EvalNetwork(genotype, init_channels=2, cells=3, num_classes=10)
    with_norm_after_pooling(network).double().eval()
    take_weights(network, supernet, genotype)
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        mine, theirs = supernet(images, one_hot(supernet.space, genotype, DOUBLE)), network(images)
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_channels_that_pass_by_pass_on_the_edges_of_the_cell_alone() -> None:
    genotype = random_genotype(3)
    wirings = (genotype.normal.topology, genotype.reduction.topology)
    whole, along = (
        build(channels=4, topology=topology, partial_channels=2).double().eval()
        for topology in (None, wirings)
    )
    shared = whole.state_dict()
    along.load_state_dict({name: shared[name] for name in along.state_dict()})
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        first, second = (
            net(images, one_hot(net.space, genotype, DOUBLE)) for net in (whole, along)
        )
    torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-12)


def test_batch_norm_has_no_scale_in_cells_but_has_one_in_the_stem() -> None:
    network = build()
    cells = [m for cell in network.cells for m in cell.modules() if isinstance(m, nn.BatchNorm2d)]
    stem = [m for m in network.stem.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(cells) > 100
    assert not any(norm.affine for norm in cells)
    assert [norm.affine for norm in stem] == [True]
    assert set(network.batch_norms) == {*cells, *stem}


def test_pooling_is_normalised() -> None:
    for mixed in mixed_ops(build()):
        for name in ("max_pool_3x3", "avg_pool_3x3"):
            pool, norm = mixed.operations[name].children()
            assert isinstance(pool, POOLS)
            assert isinstance(norm, nn.BatchNorm2d)


def test_stride_2_is_only_where_reduction_cells_read_their_inputs() -> None:
    for cell, cell_type in zip(search_cells(network := build()), network.cell_types, strict=True):
        for name, mixed in cell.edges.items():
            assert isinstance(mixed, MixedOp)
            halves = isinstance(mixed.operations["skip_connect"], FactorizedReduce)
            assert halves == (cell_type == "reduction" and name[0] in "01")


def mixed_output(edge: MixedOp, x: Tensor, weights: Tensor) -> Tensor:
    """Return what a single edge gives."""
    (mixed,) = mix([edge.operations], x[:, : edge.channels], weights[None])
    y: Tensor = edge(mixed, x[:, edge.channels :])
    return y


def test_none_keeps_its_share_of_the_weights_but_adds_nothing() -> None:
    edge = MixedOp(["none", "skip_connect"], channels=2, stride=1)
    x = torch.randn(2, 2, 4, 4)
    torch.testing.assert_close(mixed_output(edge, x, torch.tensor([0.75, 0.25])), 0.25 * x)


def test_an_edge_is_the_weighted_sum_of_its_operations() -> None:
    mixed = MixedOp(OPERATION_NAMES, channels=2, stride=1).double().eval()
    x = torch.randn(2, 2, 6, 6, dtype=torch.float64)
    weights = torch.softmax(torch.randn(8, dtype=torch.float64), dim=0)
    parts = [
        w * mixed.operations[name](x) for name, w in zip(OPERATION_NAMES, weights, strict=True)
    ]
    total = torch.stack(parts).sum(0)
    torch.testing.assert_close(mixed_output(mixed, x, weights), total)


class Scaled(nn.Module):
    """Stands in the place of an edge and multiplies by a number, for sums by hand."""

    channels = 1

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.operations = nn.ModuleDict({"none": nn.Module(), "skip_connect": nn.Identity()})

    def forward(self, mixed: Tensor, _: Tensor) -> Tensor:
        return mixed * self.factor


def scaled_cell(topology: Topology, factors: Mapping[str, float]) -> SearchCell:
    """Return a cell whose edges multiply by these numbers."""
    cell = SearchCell(
        SearchSpace.full(FEW, topology).normal, CellPlan(channels=1, channels_before=(1, 1))
    )
    cell.edges = nn.ModuleDict({name: Scaled(factor) for name, factor in factors.items()})
    return cell


def test_edge_weights_scale_their_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supernet_module, "preprocessed", lambda _, x: x)
    topology = Topology(((0, 1), (0, 2), (2, 3), (1, 4)))
    factors = {"0to2": 1, "1to2": 10, "0to3": 2, "2to3": 3, "2to4": 1, "3to4": 5, "1to5": 7}
    cell = scaled_cell(topology, factors | {"4to5": 1})
    x0, x1 = torch.full((1, 1, 2, 2), 1.0), torch.full((1, 1, 2, 2), 2.0)
    # Of none and the skip: 1 to 8, edge by edge.
    weights = torch.stack([torch.zeros(8), torch.arange(1.0, 9.0)], dim=1)
    edge_weights = torch.tensor([1.0, 0.5, 0.5, 1.0, 1.0, 0.5, 1.0, 0.25])

    def computed(mixing: Mixing) -> list[float]:
        return cells_side_by_side([cell], x0, x1, beside([mixing]), [None])[0, :, 0, 0].tolist()

    plain, weighted = computed(Mixing(weights)), computed(Mixing(weights, edge_weights))

    node2 = 1 + 2 * 10 * 2  # 41
    node3 = 3 * 2 + 4 * 3 * node2
    node4 = 5 * node2 + 6 * 5 * node3
    assert plain == [node2, node3, node4, 7 * 7 * 2 + 8 * node4]
    node2 = 1 + 10 * 2
    node3 = 3 + 4 * 3 * node2
    node4 = 5 * node2 + 3 * 5 * node3
    assert weighted == [node2, node3, node4, 7 * 7 * 2 + 2 * node4]


def test_normalised_edges_of_a_node_share_a_weight_of_one() -> None:
    for topology in (None, Topology.from_index(99)):
        space = SearchSpace.full(FEW, topology)
        alphas = Alphas(space, edge_normalisation=True)
        alphas.initialise_(0, std=1.0)
        for cell_type, mixing in alphas.mixing().items():
            assert mixing.edges is not None
            logits = alphas.tensors[f"{cell_type}_edges"]
            rows = list(enumerate(space.cell(cell_type).edges))
            for _, group in itertools.groupby(rows, key=lambda row: row[1][1]):
                edge_numbers = [number for number, _ in group]
                shares = logits[edge_numbers].exp() / logits[edge_numbers].exp().sum()
                torch.testing.assert_close(mixing.edges[edge_numbers], shares)


def test_a_part_of_the_channels_passes_the_operations() -> None:
    network = build(channels=8, partial_channels=4, cells=5)
    expected = [2, 4, 4, 8, 8]  # a quarter of 8, doubled by each reduction cell
    for cell, channels in zip(search_cells(network), expected, strict=True):
        for mixed in cell.edges.values():
            norms = [m for m in mixed.modules() if isinstance(m, nn.BatchNorm2d)]
            assert {norm.num_features for norm in norms} == {channels}


def test_the_other_channels_reach_the_output_as_they_are_shuffled_among_the_rest() -> None:
    mixed = MixedOp(["none", "skip_connect"], channels=8, stride=1, partial_channels=4)
    x = torch.randn(2, 8, 4, 4)

    y = mixed_output(mixed, x, torch.tensor([0.5, 0.5]))

    # Groups of 2 channels, the first of them mixed; then first of all groups, second of all.
    assert torch.equal(y[:, [1, 2, 3]], x[:, [2, 4, 6]])
    assert torch.equal(y[:, [5, 6, 7]], x[:, [3, 5, 7]])
    torch.testing.assert_close(y[:, [0, 4]], x[:, [0, 1]] / 2)


@pytest.mark.parametrize("side", [8, 7])
def test_where_the_map_halves_the_other_channels_are_max_pooled(side: int) -> None:
    mixed = MixedOp(FEW, channels=4, stride=2, partial_channels=2)
    x = torch.randn(2, 4, side, side)
    y = mixed_output(mixed, x, torch.tensor([0.2, 0.4, 0.4]))
    padded = nn.functional.pad(x, (0, side % 2, 0, side % 2), value=-1e9)
    blocks = padded.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (B, C, H/2, 2, W/2, 2)
    assert torch.equal(y[:, [1, 3]], blocks.amax(dim=(3, 5))[:, [2, 3]])


def test_partial_channels_and_normalised_edges_make_a_network_that_learns() -> None:
    network = build(channels=4, partial_channels=2)
    alphas = Alphas(network.space, edge_normalisation=True)
    alphas.to(torch.device("cpu"), torch.float32)
    network(torch.randn(2, 3, 8, 8), alphas.mixing()).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    gradients = [alpha.grad for alpha in alphas.tensors.values()]
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)
