"""The evaluation network equals the authors', counted and computed by hand.

The numbers are those of the DARTS authors' released code and of the eDARTS paper.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas_core.cells.genotype import KNOWN_CELLS, CellEdges, Edge, Genotype
from nas_core.cells.topology import Topology, enumerate_topologies, isomorphism_classes
from nas_core.errors import InputError
from nas_core.networks.evaluation import (
    AuxiliaryHead,
    Cell,
    EvalNetwork,
    multiply_adds,
    parameter_count,
)
from nas_core.networks.operations import Convolution
from nas_core.networks.stack import CellPlan, cell_plans, check_image_size
from nas_core.streams import initialise_

FACTS = Path(__file__).resolve().parents[3] / "tests" / "facts" / "darts.json"
TOPOLOGY_SWEEP, PHASE_2 = 162_746, 261_562


def uniform(index: int, normal: str, reduction_index: int, reduction: str) -> Genotype:
    return Genotype(
        CellEdges.uniform(Topology.from_index(index), normal),
        CellEdges.uniform(Topology.from_index(reduction_index), reduction),
    )


def build(
    genotype: Genotype,
    channels: int = 2,
    cells: int = 5,
    *,
    auxiliary: bool = False,
    device: str = "cpu",
) -> EvalNetwork:
    with torch.device(device):
        return EvalNetwork(
            genotype, init_channels=channels, cells=cells, num_classes=10, auxiliary=auxiliary
        )


def counted(genotype: Genotype, channels: int, cells: int) -> int:
    return parameter_count(build(genotype, channels, cells, device="meta"))


def test_parameter_counts_are_the_authors_to_the_digit() -> None:
    assert counted(KNOWN_CELLS["DARTS_V1"], 16, 5) == 123_098
    network = build(KNOWN_CELLS["DARTS_V2"], 36, 20, auxiliary=True, device="meta")
    assert parameter_count(network) == 3_349_342
    assert network.auxiliary_head is not None
    assert sum(p.numel() for p in network.auxiliary_head.parameters()) == 476_426


@pytest.mark.slow
def test_every_topology_has_the_same_number_of_parameters_in_each_phase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Counting needs no numbers, and drawing them would take half of the time.
    monkeypatch.setattr(nn.Conv2d, "reset_parameters", lambda _: None)
    normal, reduction = cell_plans(5, 16)[:2]

    def count(topology: Topology, plan: CellPlan) -> int:
        with torch.device("meta"):
            return parameter_count(Cell(CellEdges.uniform(topology, "sep_conv_3x3"), plan))

    # In the sweep normal cells depend on the topology, in phase 2 reduction cells do too.
    assert len({count(topology, normal) for topology in enumerate_topologies()}) == 1
    assert len({count(members[0], reduction) for members in isomorphism_classes()}) == 1
    for index in (0, 99, 179):
        sweep = uniform(index, "sep_conv_3x3", 0, "max_pool_3x3")
        assert counted(sweep, 16, 5) == TOPOLOGY_SWEEP
        assert counted(uniform(index, "sep_conv_3x3", index, "sep_conv_3x3"), 16, 5) == PHASE_2


def test_the_numbers_in_this_file_are_those_of_the_facts() -> None:
    parameters = json.loads(FACTS.read_text(encoding="utf-8"))["parameters"]
    assert list(parameters.values()) == [TOPOLOGY_SWEEP, PHASE_2, 3_349_342, 123_098, 476_426]


def test_multiply_adds_are_those_that_pytorch_counts_and_nothing_else_changes() -> None:
    network = build(KNOWN_CELLS["PC_DARTS"], 4, 6, auxiliary=True)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, 3, 16, 16))
    network.train()
    state = {name: value.clone() for name, value in network.state_dict().items()}

    assert 2 * multiply_adds(network, 16, 16) == counter.get_total_flops()
    assert not any(module._forward_hooks for module in network.modules())
    assert network.training
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in state.items())


@pytest.mark.slow
def test_every_topology_runs_forward_and_backward_and_every_parameter_learns() -> None:
    source = torch.Generator().manual_seed(0)
    larger, x = (torch.randn(2, 4, side, side, generator=source) for side in (8, 4))
    for topology in enumerate_topologies():
        for operation, reduction in (("sep_conv_3x3", False), ("max_pool_3x3", True)):
            plan = CellPlan(
                channels=2, channels_before=(4, 4), reduction=reduction, reduction_before=True
            )
            cell = Cell(CellEdges.uniform(topology, operation), plan)
            y = cell(larger, x)
            assert y.shape == ((2, 8, 2, 2) if reduction else (2, 8, 4, 4))
            y.square().sum().backward()
            assert all(parameter.grad is not None for parameter in cell.parameters())


def test_a_whole_network_runs_forward_and_backward_and_every_parameter_learns() -> None:
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for index in range(0, 180, 30):
        network = build(uniform(index, "sep_conv_3x3", index, "max_pool_3x3"))
        logits = network(images)
        assert logits.shape == (4, 10)
        logits.square().sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())


class Times(nn.Module):
    """Multiplies by a number, so that sums can be done by hand."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def scaled_cell(topology: Topology, factors: list[float], *, reduction: bool = False) -> Cell:
    """Return a cell whose edges multiply by these numbers and whose inputs come in as they are."""
    cell = Cell(
        CellEdges.uniform(topology, "skip_connect"),
        CellPlan(channels=2, channels_before=(2, 2), reduction=reduction),
    )
    for name in ("preprocess0", "preprocess1"):
        setattr(cell, name, nn.Identity())
    cell.operations = nn.ModuleList(Times(factor) for factor in factors)
    return cell


def test_a_cell_is_the_sums_that_its_wiring_says_concatenated_in_order() -> None:
    topology = Topology(((0, 1), (0, 2), (2, 3), (1, 4)))
    cell = scaled_cell(topology, [1, 10, 2, 3, 1, 5, 100, 1])
    input0, input1 = torch.full((1, 2, 4, 4), 1.0), torch.full((1, 2, 4, 4), 2.0)

    output = cell(input0, input1)

    node2 = 1 * 1 + 10 * 2  # 21
    node3 = 2 * 1 + 3 * node2  # 65
    node4 = 1 * node2 + 5 * node3  # 346
    node5 = 100 * 2 + 1 * node4  # 546
    assert output[0, :, 0, 0].tolist() == [node2, node2, node3, node3, node4, node4, node5, node5]


def test_drop_path_masks_single_samples_and_edges_but_never_the_identity() -> None:
    topology = Topology(((0, 1), (0, 1), (0, 1), (0, 1)))
    cell = scaled_cell(topology, [1, 10, 1, 10, 1, 10, 1, 10])
    cell.operations[1] = nn.Identity()
    inputs = torch.ones(3, 2, 2, 2)
    keep = torch.ones(8, 3)
    keep[0] = torch.tensor([0.0, 1.25, 1.25])  # node 2, first edge
    keep[1] = 0.0  # node 2, second edge: the identity, which stays
    keep[3, 2] = 0.0  # node 3, second edge, third sample

    output = cell(inputs, inputs, keep)[:, ::2, 0, 0]

    assert output[:, 0].tolist() == [1.0, 2.25, 2.25]
    assert output[:, 1].tolist() == [11.0, 11.0, 1.0]


def test_drop_path_applies_to_the_skip_that_halves_the_map() -> None:
    cell = Cell(
        CellEdges.uniform(Topology.from_index(0), "skip_connect"),
        CellPlan(channels=2, channels_before=(2, 2), reduction=True),
    )
    x = torch.randn(2, 2, 4, 4)
    output = cell(x, x, torch.tensor([0.0, 1.0]).expand(8, 2))
    assert output[0].abs().max() == 0
    assert output[1].abs().max() > 0


def test_each_cell_gets_its_own_masks() -> None:
    network = build(KNOWN_CELLS["DARTS_V1"])
    seen: list[Tensor] = []
    for cell in network.cells:
        cell.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[2]))
    masks = torch.rand(5, 8, 2)
    network(torch.randn(2, 3, 8, 8), masks)
    assert torch.equal(torch.stack(seen), masks)


def test_masks_are_ignored_in_evaluation() -> None:
    network = build(KNOWN_CELLS["DARTS_V2"]).eval()
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(network(images, torch.zeros(5, 8, 2)), network(images))
    network.train()
    assert not torch.equal(network(images, torch.zeros(5, 8, 2)), network(images))


def test_batch_norm_is_affine_and_pooling_has_none() -> None:
    network = build(uniform(3, "sep_conv_3x3", 0, "max_pool_3x3"))
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert all(norm.affine for norm in norms)
    reduction = network.cells[1]
    assert isinstance(reduction, Cell)
    assert all(type(operation) is nn.MaxPool2d for operation in reduction.operations)


def test_stride_2_is_only_where_reduction_cells_read_their_inputs() -> None:
    topology = Topology(((0, 1), (1, 2), (2, 3), (0, 4)))
    genotype = Genotype(
        CellEdges.uniform(topology, "sep_conv_3x3"), CellEdges.uniform(topology, "sep_conv_3x3")
    )
    network = build(genotype)
    for position, cell in enumerate(network.cells):
        assert isinstance(cell, Cell)
        strides = []
        for operation in cell.operations:
            assert isinstance(operation, Convolution)
            convolutions = [m for m in operation if isinstance(m, nn.Conv2d)]
            strides.append(convolutions[0].stride[0])
            assert {c.stride for c in convolutions[1:]} == {(1, 1)}
        reduces = position in (1, 3)
        assert strides == ([2, 2, 2, 1, 1, 1, 2, 1] if reduces else [1] * 8)


def test_each_cell_reads_the_outputs_of_the_two_before_it() -> None:
    network = build(KNOWN_CELLS["DARTS_V1"])
    outputs: list[Tensor] = []
    inputs: list[tuple[Tensor, Tensor]] = []
    network.stem.register_forward_hook(lambda _, __, output: outputs.extend([output, output]))
    for cell in network.cells:
        cell.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[:2]))
        cell.register_forward_hook(lambda _, __, output: outputs.extend([output]))
    network(torch.randn(2, 3, 8, 8))
    assert len(inputs) == 5
    for position, (input0, input1) in enumerate(inputs):
        assert input0 is outputs[position]
        assert input1 is outputs[position + 1]


def test_logits_are_a_linear_map_of_the_mean_over_all_pixels() -> None:
    network = build(KNOWN_CELLS["DARTS_V1"])
    nn.init.zeros_(network.classifier.weight)
    nn.init.zeros_(network.classifier.bias)
    network.classifier.weight.data[7, 0] = 2.0  # class 7: twice the mean of channel 0, plus 1
    network.classifier.bias.data[7] = 1.0
    last: list[Tensor] = []
    network.cells[4].register_forward_hook(lambda _, __, output: last.append(output))
    logits = network(torch.randn(2, 3, 8, 8))
    assert last[0].shape == (2, 4 * 8, 2, 2)  # C doubled twice from 2, maps halved twice from 8
    means = last[0][:, 0].sum(dim=(1, 2)) / 4
    torch.testing.assert_close(logits[:, 7], 2 * means + 1)
    assert logits[:, :7].count_nonzero() == 0


def test_the_stem_is_three_times_as_wide_without_relu_and_feeds_both_inputs() -> None:
    network = build(KNOWN_CELLS["DARTS_V1"], 6)
    assert [type(module) for module in network.stem] == [nn.Conv2d, nn.BatchNorm2d]
    convolution = network.stem[0]
    assert isinstance(convolution, nn.Conv2d)
    assert (convolution.out_channels, convolution.bias) == (18, None)

    seen: list[tuple[Tensor, ...]] = []
    network.cells[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    images = torch.randn(2, 3, 8, 8)
    network(images)
    assert seen[0][0] is seen[0][1]
    assert seen[0][0].min() < 0


def test_the_auxiliary_head_reads_the_second_reduction_and_only_in_training() -> None:
    network = build(KNOWN_CELLS["DARTS_V1"], 2, 8, auxiliary=True)
    seen: list[Tensor] = []
    assert network.auxiliary_head is not None
    network.auxiliary_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    outputs: list[Tensor] = []
    network.cells[5].register_forward_hook(lambda _, __, output: outputs.append(output))
    images = torch.randn(2, 3, 32, 32)

    pair = network(images)
    assert isinstance(pair, tuple)
    assert [tuple(logits.shape) for logits in pair] == [(2, 10), (2, 10)]
    assert seen[0] is outputs[0]
    assert seen[0].shape[-2:] == (8, 8)
    assert isinstance(network.eval()(images), Tensor)
    assert len(seen) == 1


def test_an_auxiliary_head_leaves_the_main_logits_alone() -> None:
    with_head, without = (
        build(KNOWN_CELLS["DARTS_V1"], 2, 5, auxiliary=auxiliary) for auxiliary in (True, False)
    )
    for network in (with_head, without):
        initialise_(network, seed=0)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(with_head(images)[0], without(images))
    assert torch.equal(with_head.eval()(images), without.eval()(images))
    assert parameter_count(with_head) == parameter_count(without)


def test_the_auxiliary_head_averages_four_windows_of_25_pixels() -> None:
    head = AuxiliaryHead(1, 10)
    maps = torch.arange(64.0).reshape(1, 1, 8, 8)
    # Rows and columns 0..4 and 3..7; the mean of 8 * row + column is that of the centre.
    pooled = head[1](head[0](maps))
    assert pooled.tolist() == [[[[18, 21], [42, 45]]]]
    assert [type(module) for module in head] == [
        *(nn.ReLU, nn.AvgPool2d, nn.Conv2d, nn.BatchNorm2d, nn.ReLU),
        *(nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Flatten, nn.Linear),
    ]


def test_odd_images_pass_through_every_operation() -> None:
    for operation in ("max_pool_3x3", "skip_connect", "sep_conv_5x5", "dil_conv_5x5", "none"):
        network = build(uniform(179, operation, 179, operation))
        assert network(torch.randn(2, 3, 9, 7)).shape == (2, 10)


@pytest.mark.parametrize(
    ("cells", "fitting", "others"),
    [(1, range(15, 17), (14, 17)), (2, range(29, 33), (28, 33)), (5, range(29, 33), (28, 33))],
)
def test_the_auxiliary_head_works_for_exactly_the_images_that_pass_the_check(
    cells: int, fitting: range, others: tuple[int, int]
) -> None:
    network = build(uniform(0, "skip_connect", 0, "max_pool_3x3"), 2, cells, auxiliary=True)
    for side in fitting:
        check_image_size(side, side, cells=cells, auxiliary=True)
        assert network(torch.randn(2, 3, side, side))[1].shape == (2, 10)
    for side in others:
        check_image_size(side, side, cells=cells, auxiliary=False)
        with pytest.raises(InputError, match=f"{side}x{fitting[0]}.*set auxiliary=false"):
            check_image_size(side, fitting[0], cells=cells, auxiliary=True)


def test_a_network_needs_a_cell_a_channel_and_a_class() -> None:
    with pytest.raises(InputError, match="cells=0"):
        build(KNOWN_CELLS["DARTS_V1"], cells=0)


def test_edges_of_one_node_may_be_given_in_any_order() -> None:
    pairs = [(Edge(0, "sep_conv_3x3"), Edge(1, "skip_connect"))] * 4
    swapped = [(second, first) for first, second in pairs]
    assert CellEdges(tuple(pairs)) == CellEdges(tuple(swapped))
