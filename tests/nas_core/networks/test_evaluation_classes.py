"""Members of a class are the same network with its channels in another order.

Renaming the nodes of a cell moves edges with their weights to other places and permutes the blocks
of channels that the cell's output concatenates; what reads that output must permute its input
channels alike. Shown in float64 on real scans, for every class with more than one member.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas_core.cells.genotype import CellEdges, Genotype
from nas_core.cells.topology import INPUTS, Topology, isomorphism_classes
from nas_core.data.splits import load_dataset
from nas_core.networks.evaluation import Cell, EvalNetwork
from nas_core.networks.stack import CellPlan
from nas_core.streams import initialise_

Order = tuple[int, ...]
CLASSES = [members for members in isomorphism_classes() if len(members) > 1]
SCANS = load_dataset("digits").test.pixels[:3].double() / 255


def genotype(topology: Topology, phase: int) -> Genotype:
    """Return the network's cells in the topology sweep (1) or the unified phase (2)."""
    normal = CellEdges.uniform(topology, "sep_conv_3x3")
    fixed = CellEdges.uniform(Topology.from_index(37), "max_pool_3x3")
    return Genotype(normal, normal if phase == 2 else fixed)


def network(cells: Genotype, *, auxiliary: bool = False) -> EvalNetwork:
    net = EvalNetwork(cells, init_channels=2, cells=5, num_classes=10, auxiliary=auxiliary)
    initialise_(net, 0)
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():  # so that no two channels of a batch norm are alike
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.uniform_(-0.5, 0.5, generator=generator)
    return net.double()


def renaming(first: Topology, second: Topology) -> Order:
    """Return the old nodes in new order, such that renaming the first gives the second."""
    return next(order for order in first.renamings() if first.renamed(order) == second)


def renamed(original: EvalNetwork, target: Genotype, orders: dict[bool, Order]) -> EvalNetwork:
    """Return the original's function with the target's wiring.

    Args:
        original: a network.
        target: its cells renamed.
        orders: the order of the old nodes, for normal (False) and reduction cells (True).

    """
    auxiliary = original.auxiliary_head is not None
    net = EvalNetwork(target, init_channels=2, cells=5, num_classes=10, auxiliary=auxiliary)
    net = net.double()
    state = original.state_dict()
    # Channel permutation of each cell's output; cells 0 and 1 read the stem, which stays.
    permutations: list[Tensor | None] = [None, None]
    for position, (old, new) in enumerate(zip(original.cells, net.cells, strict=True)):
        assert isinstance(old, Cell)
        assert isinstance(new, Cell)
        order = orders[position in (1, 3)]
        move_edges(state, f"cells.{position}", old, new, order)
        for source, before in ((0, permutations[-2]), (1, permutations[-1])):
            permute_input(state, f"cells.{position}.preprocess{source}", before)
        channels = old.preprocess1[1].out_channels
        assert isinstance(channels, int)
        blocks = [torch.arange(channels) + channels * (node - INPUTS) for node in order]
        permutations.append(torch.cat(blocks))
        if position == net.auxiliary_after and auxiliary:
            key = "auxiliary_head.2.weight"
            state[key] = state[key][:, permutations[-1]]
    state["classifier.weight"] = state["classifier.weight"][:, permutations[-1]]
    net.load_state_dict(state)
    return net


def move_edges(state: dict[str, Tensor], prefix: str, old: Cell, new: Cell, order: Order) -> None:
    """Give each edge of the renamed cell the weights of the edge that it was."""
    before = {name: value for name, value in state.items() if name.startswith(f"{prefix}.op")}
    old_name = {0: 0, 1: 1} | dict(enumerate(order, INPUTS))
    for node, sources in enumerate(new.sources):
        was = old_name[node + INPUTS] - INPUTS
        for edge, source in enumerate(sources):
            edge_before = old.sources[was].index(old_name[source])
            here = f"{prefix}.operations.{2 * node + edge}."
            there = f"{prefix}.operations.{2 * was + edge_before}."
            for name, value in before.items():
                if name.startswith(there):
                    state[here + name.removeprefix(there)] = value


def permute_input(state: dict[str, Tensor], prefix: str, permutation: Tensor | None) -> None:
    """Let every convolution of a preprocessing read the channels in their new order."""
    if permutation is None:
        return
    for name, value in state.items():
        if name.startswith(prefix) and value.dim() == 4:
            state[name] = value[:, permutation]


@pytest.mark.slow
@pytest.mark.parametrize("reduction", [False, True])
@torch.no_grad()
def test_cells_of_all_members_of_every_class_compute_the_same_in_another_order(
    reduction: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every weight is set below: PyTorch's own draws would only cost time.
    monkeypatch.setattr(nn.Conv2d, "reset_parameters", lambda _: None)
    plan = CellPlan(channels=2, channels_before=(3, 3), reduction=reduction)

    def cell_of(topology: Topology) -> Cell:
        return Cell(CellEdges.uniform(topology, "sep_conv_3x3"), plan).double()

    for members in CLASSES:
        original = cell_of(members[0])
        initialise_(original, 0)
        expected = original(SCANS, SCANS.flip(0))
        for member in members[1:]:
            order, other = renaming(members[0], member), cell_of(member)
            state = {f"cell.{name}": value for name, value in original.state_dict().items()}
            move_edges(state, "cell", original, other, order)
            other.load_state_dict({n.removeprefix("cell."): v for n, v in state.items()})
            blocks = torch.cat([torch.arange(2) + 2 * (node - INPUTS) for node in order])
            output = other(SCANS, SCANS.flip(0))
            torch.testing.assert_close(output, expected[:, blocks], rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("phase", [1, 2])
@torch.no_grad()
def test_networks_of_a_class_compute_the_same_function(
    phase: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.Conv2d, "reset_parameters", lambda _: None)
    for members in CLASSES[::4]:
        original = network(genotype(members[0], phase))
        order = renaming(members[0], members[-1])
        stay = tuple(range(INPUTS, INPUTS + 4))
        orders = {False: order, True: order if phase == 2 else stay}
        other = renamed(original, genotype(members[-1], phase), orders)
        torch.testing.assert_close(other(SCANS), original(SCANS), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_also_with_an_auxiliary_head() -> None:
    images = SCANS.repeat_interleave(4, 2).repeat_interleave(4, 3)
    for members in CLASSES[::20]:
        original = network(genotype(members[0], 2), auxiliary=True)
        order = renaming(members[0], members[-1])
        other = renamed(original, genotype(members[-1], 2), {False: order, True: order})
        for logits, expected in zip(other(images), original(images), strict=True):
            torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)


def test_without_the_permutation_the_functions_differ() -> None:
    members = CLASSES[3]
    first, last = (network(genotype(topology, 2)) for topology in (members[0], members[-1]))
    assert (first(SCANS) - last(SCANS)).abs().max() > 1e-3
